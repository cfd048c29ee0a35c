"""Scenarios whose calls all succeed: one call, parallel calls, and chains in which a result names what comes next."""

from random import Random

from data.row import JsonObject
from data.task_api import wording
from data.task_api.scene import Ref, Scene, Setting
from data.task_api.transcript import Call
from data.task_api.workspace import PRIORITIES, Task

_LOOK_UP = Call("list_tasks", {"status": "open"})


def _create(rng: Random, setting: Setting) -> JsonObject:
    scene = Scene(rng, setting)
    text, call = new_task(scene)
    scene.ask(text)
    scene.finish(call)
    return scene.row()


def new_task(scene: Scene) -> tuple[str, Call]:
    """A wish for a task with whatever due date and priority the user cares to give."""
    return new_task_with(scene, *scene.extras())


def new_task_with(scene: Scene, extra: str, arguments: JsonObject) -> tuple[str, Call]:
    """`extra` is how the user words `arguments`."""
    title = scene.title()
    text = scene.phrase(wording.CREATE, title=title, lower=wording.lower_first(title), extra=extra)
    return text, Call("create_task", {"title": wording.title_in(text, title), **arguments})


def _change(rng: Random, setting: Setting) -> JsonObject:
    scene = Scene(rng, setting)
    text, call = changed_task(scene, scene.ref())
    scene.ask(text)
    scene.finish(call)
    return scene.row()


def changed_task(scene: Scene, ref: Ref) -> tuple[str, Call]:
    """A wish to complete, move, rename or reprioritise the task."""
    task_id = ref.task.task_id
    choices = (
        ("complete", "due_date", "priority")
        if scene.is_basic
        else ("complete", "complete", "due_date", "priority", "title")
    )
    match scene.choose(*choices):
        case "complete":
            return scene.phrase(wording.COMPLETE, ref=ref.words), Call("complete_task", {"task_id": task_id})
        case "due_date":
            when = scene.when(other_than=ref.task.due_date)
            text = scene.phrase(wording.RESCHEDULE, ref=ref.words, when=when.words)
            return text, Call("update_task", {"task_id": task_id, "due_date": when.due_date})
        case "priority":
            priority = scene.priority(other_than=ref.task.priority)
            text = scene.phrase(wording.REPRIORITISE, ref=ref.words, priority=priority)
            return text, Call("update_task", {"task_id": task_id, "priority": priority})
        case _:
            title = scene.title()
            text = scene.phrase(wording.RENAME, ref=ref.words, title=title)
            return text, Call("update_task", {"task_id": task_id, "title": title})


def _list(rng: Random, setting: Setting) -> JsonObject:
    scene = Scene(rng, setting, listed=False)
    which, filters = rng.choice(wording.LISTINGS)
    scene.ask(scene.phrase(wording.LIST, which=which))
    scene.finish(Call("list_tasks", filters))
    return scene.row()


def _follow_up(rng: Random, setting: Setting) -> JsonObject:
    """A second wish about the task just made."""
    scene = Scene(rng, setting)
    text, call = new_task(scene)
    scene.ask(text)
    (created,) = scene.finish(call)
    text, call = changed_task(scene, Ref("it", Task(**created)))
    scene.ask(text)
    scene.finish(call)
    return scene.row()


def _complete_two(rng: Random, setting: Setting) -> JsonObject:
    scene = Scene(rng, setting)
    first, second = scene.ref(), scene.ref()
    scene.ask(scene.phrase(wording.COMPLETE_TWO, ref=first.words, ref2=second.words))
    scene.finish(_complete(first.task), _complete(second.task))
    return scene.row()


def _create_two(rng: Random, setting: Setting) -> JsonObject:
    scene = Scene(rng, setting)
    titles = scene.title(), scene.title()
    scene.ask(scene.phrase(wording.CREATE_TWO, title=titles[0], title2=titles[1]))
    scene.finish(*(Call("create_task", {"title": title}) for title in titles))
    return scene.row()


def _complete_and_create(rng: Random, setting: Setting) -> JsonObject:
    scene = Scene(rng, setting)
    ref, title = scene.ref(), scene.title()
    scene.ask(scene.phrase(wording.COMPLETE_AND_CREATE, ref=ref.words, title=title))
    scene.finish(_complete(ref.task), Call("create_task", {"title": title}))
    return scene.row()


def _look_up_and_change(rng: Random, setting: Setting) -> JsonObject:
    scene = Scene(rng, setting, listed=False)
    text, call = changed_task(scene, scene.ref(by_title=True))
    scene.ask(text)
    scene.call(_LOOK_UP)
    scene.finish(call)
    return scene.row()


def _look_up_and_change_two(rng: Random, setting: Setting) -> JsonObject:
    scene = Scene(rng, setting, listed=False)
    done, moved = scene.ref(by_title=True), scene.ref(by_title=True)
    when = scene.when(other_than=moved.task.due_date)
    scene.ask(scene.phrase(wording.COMPLETE_AND_MOVE, ref=done.words, ref2=moved.words, when=when.words))
    scene.call(_LOOK_UP)
    move = Call("update_task", {"task_id": moved.task.task_id, "due_date": when.due_date})
    scene.finish(_complete(done.task), move)
    return scene.row()


def _complete_all(rng: Random, setting: Setting) -> JsonObject:
    wanted = {"status": "open", "priority": rng.choice(PRIORITIES)}
    scene = Scene(
        rng, setting, listed=False, suits=lambda tasks: any(wanted.items() <= task.as_json().items() for task in tasks)
    )
    scene.ask(scene.phrase(wording.COMPLETE_ALL, priority=wanted["priority"]))
    (found,) = scene.call(Call("list_tasks", wanted))
    scene.finish(*(_complete(Task(**task)) for task in found["tasks"]))
    return scene.row()


def _create_and_complete(rng: Random, setting: Setting) -> JsonObject:
    scene = Scene(rng, setting)
    title = scene.title()
    scene.ask(scene.phrase(wording.CREATE_DONE, title=title))
    (created,) = scene.call(Call("create_task", {"title": title}))
    scene.finish(_complete(Task(**created)))
    return scene.row()


def _complete(task: Task) -> Call:
    return Call("complete_task", {"task_id": task.task_id})


# Each is played in turn, so a scenario named twice is played twice as often.
SINGLE = (_create, _change, _create, _change, _list, _create, _follow_up, _change)
MULTI_STEP = (
    *(_look_up_and_change, _complete_two, _create_and_complete, _look_up_and_change_two),
    *(_look_up_and_change, _create_two, _complete_all, _complete_and_create),
)
BASIC_SINGLE = (_create, _change, _list, _create, _change, _list, _create, _change)
BASIC_MULTI_STEP = (_complete_two, _create_and_complete, _create_two)
