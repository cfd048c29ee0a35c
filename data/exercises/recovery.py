"""Exercises in which a first call fails and its error, with the request, says what the right one is."""

from collections.abc import Iterator
from random import Random
from typing import Any

from data.conversation import Call
from data.exercises.calling import finish
from data.exercises.scene import Exercise, Scene, Stage
from data.exercises.wording import values_in
from data.mock_tools.names import subject_of
from data.mock_tools.service import failure, not_found
from data.row import JsonObject


def recovery(stage: Stage, rng: Random) -> Exercise:
    """A call that the schema refuses, an id that is mistyped, or a fault that is not the caller's."""
    scene = Scene(stage, rng)
    call = scene.call(scene.tool())
    ids = [key for key, value in call.arguments.items() if subject_of(key) and _slip(value)]
    wrong = [arguments for arguments in _spoiled(call.arguments) if _fails(scene, call.name, arguments)]
    if ids and rng.random() < 1 / 3:
        return _mistyped(scene, call, rng.choice(ids))
    scene.transcript.ask(scene.request(call))
    if wrong and rng.random() < 0.6:
        failed = Call(call.name, rng.choice(wrong))
        scene.transcript.fail(failed, scene.service.call(*failed))
    else:
        scene.transcript.fail(call, failure("rate_limit" if rng.random() < 0.5 else "timeout"))
    return finish(scene, [call], values_in(call.arguments))


def _mistyped(scene: Scene, call: Call, key: str) -> Exercise:
    """The user swaps two digits of an id; the error names the right one."""
    right = call.arguments[key]
    asked = Call(call.name, {**call.arguments, key: _slip(right)})
    scene.transcript.ask(scene.request(asked))
    scene.transcript.fail(asked, not_found(key, str(asked.arguments[key]), right))
    return finish(scene, [call], values_in(asked.arguments))


def _slip(value: Any) -> str:
    """The text with two neighbouring digits swapped; "" where that changes nothing."""
    if not isinstance(value, str):
        return ""
    for index in range(len(value) - 1, 0, -1):
        before, after = value[index - 1], value[index]
        if before.isdigit() and after.isdigit() and before != after:
            return value[: index - 1] + after + before + value[index + 1 :]
    return ""


def _spoiled(arguments: JsonObject) -> Iterator[JsonObject]:
    """What models get wrong: an argument left out, under another name, or as another type or word."""
    for key, value in arguments.items():
        others = {name: other for name, other in arguments.items() if name != key}
        yield others
        yield {**others, f"{key}_value": value}
        if isinstance(value, str):
            yield {**others, key: [value]}
            yield {**others, key: value.upper() if value != value.upper() else value.lower()}
        else:
            yield {**others, key: str(value)}


def _fails(scene: Scene, name: str, arguments: JsonObject) -> bool:
    return "error" in scene.service.call(name, arguments)
