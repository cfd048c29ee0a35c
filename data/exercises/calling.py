"""Exercises whose calls all succeed: one call, two at once, and a chain in which a result names what comes next."""

from random import Random

from data.conversation import Call
from data.exercises.scene import Exercise, Scene, Stage
from data.exercises.wording import answer, mentions, values_in
from data.mock_tools.names import label


def single(stage: Stage, rng: Random) -> Exercise:
    scene = Scene(stage, rng)
    call = scene.call(scene.tool())
    scene.transcript.ask(scene.request(call))
    return finish(scene, [call], values_in(call.arguments))


def parallel(stage: Stage, rng: Random) -> Exercise:
    """Two independent wishes, in the order asked."""
    scene = Scene(stage, rng)
    calls = [scene.call(scene.tool()), scene.call(scene.tool())]
    while calls[1] == calls[0] and len(stage.usable) > 1:
        calls[1] = scene.call(scene.tool())
    scene.transcript.ask(" Also: ".join(map(scene.request, calls)))
    return finish(scene, calls, [value for call in calls for value in values_in(call.arguments)])


def multi_step(stage: Stage, rng: Random) -> Exercise:
    scene = Scene(stage, rng)
    link = rng.choice(stage.links)
    first, second = scene.call(stage.usable[link.giver]), scene.call(stage.usable[link.taker])
    others = {key: value for key, value in second.arguments.items() if key != link.key}
    given = "".join(f", {mention}" for mention in mentions(others))
    then = rng.choice(("Then {} with the {} of the result{}.", "With the {1} that you get, {0}{2}."))
    then = then.format(scene.wish(link.taker), label(link.key), given)
    scene.transcript.ask(f"{scene.request(first)} {then}")
    (result,) = scene.transcript.call(first)
    values = [*values_in(first.arguments), *values_in(others)]
    return finish(scene, [Call(second.name, {**second.arguments, link.key: result[link.key]})], values)


def finish(scene: Scene, calls: list[Call], values: list[str]) -> Exercise:
    results = scene.transcript.call(*calls)
    scene.transcript.say(answer(calls, results))
    return Exercise(scene.transcript.messages, values)
