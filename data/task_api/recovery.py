"""Scenarios in which a first call fails and the service's error, with the context, says what the right one is.

The failed call is context (`weight` 0): a model must learn to mend such a call, not to make it.
"""

from random import Random

from data.row import JsonObject
from data.task_api import wording
from data.task_api.calling import changed_task, new_task, new_task_with
from data.task_api.scene import Ref, Scene, Setting
from data.task_api.transcript import Call

# Argument names that models make up, beside the real ones; the error lists the real ones.
_MADE_UP_NAMES = {"title": ("name", "task"), "task_id": ("id", "task"), "due_date": ("due", "deadline")}


def _wrong_id(rng: Random, setting: Setting) -> JsonObject:
    """The user gives a title and mistypes the id; the error names the id of that title."""
    scene = Scene(rng, setting)
    task = scene.task()
    slip = scene.wrong_id(task)
    text, call = changed_task(scene, Ref(f'{slip} ("{task.title}")', task))
    scene.ask(text)
    return _fail_then_finish(scene, call, {**call.arguments, "task_id": slip})


def _bare_id(rng: Random, setting: Setting) -> JsonObject:
    scene = Scene(rng, setting)
    task = scene.task()
    number = task.task_id.removeprefix("T-")
    text, call = changed_task(scene, Ref(f"task {number}", task))
    scene.ask(text)
    return _fail_then_finish(scene, call, {**call.arguments, "task_id": number})


def _priority_word(rng: Random, setting: Setting) -> JsonObject:
    scene = Scene(rng, setting)
    ref = scene.ref()
    word, priority = rng.choice([pair for pair in wording.PRIORITY_WORDS if pair[1] != ref.task.priority])
    if rng.random() < 0.5:
        text = scene.phrase(wording.REPRIORITISE, ref=ref.words, priority=word)
        call = Call("update_task", {"task_id": ref.task.task_id, "priority": priority})
    else:
        text, call = new_task_with(
            scene, scene.choose(*wording.EXTRA_PRIORITY).format(priority=word), {"priority": priority}
        )
    scene.ask(text)
    return _fail_then_finish(scene, call, {**call.arguments, "priority": word})


def _day_word(rng: Random, setting: Setting) -> JsonObject:
    scene = Scene(rng, setting)
    ref = scene.ref()
    when = scene.spoken_day(other_than=ref.task.due_date)
    if rng.random() < 0.5:
        text = scene.phrase(wording.RESCHEDULE, ref=ref.words, when=when.words)
        call = Call("update_task", {"task_id": ref.task.task_id, "due_date": when.due_date})
    else:
        extra = scene.choose(*wording.EXTRA_DUE).format(when=when.words)
        text, call = new_task_with(scene, extra, {"due_date": when.due_date})
    scene.ask(text)
    return _fail_then_finish(scene, call, {**call.arguments, "due_date": when.words})


def _argument_name(rng: Random, setting: Setting) -> JsonObject:
    scene = Scene(rng, setting)
    text, call = new_task(scene) if rng.random() < 0.5 else changed_task(scene, scene.ref())
    scene.ask(text)
    real = scene.choose(*(name for name in call.arguments if name in _MADE_UP_NAMES))
    made_up = scene.choose(*_MADE_UP_NAMES[real])
    return _fail_then_finish(
        scene, call, {made_up if name == real else name: value for name, value in call.arguments.items()}
    )


def _fail_then_finish(scene: Scene, call: Call, wrong_arguments: JsonObject) -> JsonObject:
    scene.fail(Call(call.name, wrong_arguments))
    scene.finish(call)
    return scene.row()


RECOVERY = (_wrong_id, _priority_word, _day_word, _argument_name, _wrong_id, _bare_id)
BASIC_RECOVERY = (_wrong_id, _priority_word)
