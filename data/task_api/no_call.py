"""Scenarios that end without a call: nothing to do, nothing the tools can do, too little said, or known already."""

from random import Random

from data.row import JsonObject
from data.task_api.calling import new_task
from data.task_api.scene import Scene, Setting
from data.task_api.small_talk import (
    ASK_BACK_TOPICS,
    ASK_DUE,
    ASK_NEW_ID,
    ASK_PRIORITY,
    ASK_STATUS,
    CANNOT_HELP,
    GOOD_NEWS,
    NO_CALL_TOPICS,
    Topic,
)
from data.task_api.wording import lower_first
from data.task_api.workspace import Task


def _off_topic(rng: Random, setting: Setting) -> JsonObject:
    return _talk(Scene(rng, setting), rng.choice(NO_CALL_TOPICS))


def _beyond_the_tools(rng: Random, setting: Setting) -> JsonObject:
    return _talk(Scene(rng, setting), CANNOT_HELP)


def _good_news(rng: Random, setting: Setting) -> JsonObject:
    """ "I completed my first marathon" beside "I finished T-204": the verb alone must not decide."""
    return _talk(Scene(rng, setting), GOOD_NEWS)


def _ask_back(rng: Random, setting: Setting) -> JsonObject:
    return _talk(Scene(rng, setting), rng.choice(ASK_BACK_TOPICS))


def _talk(scene: Scene, topic: Topic) -> JsonObject:
    title = scene.title()
    slots = {"title": title, "lower": lower_first(title), "ref": scene.ref().words}
    scene.ask(scene.phrase(topic.questions, **slots))
    scene.say(topic.answer)
    return scene.row()


def _from_the_list(rng: Random, setting: Setting) -> JsonObject:
    scene = Scene(rng, setting, listed=True)
    ref = scene.ref(any_status=True)
    bank, answer = rng.choice([(ASK_DUE, _due), (ASK_PRIORITY, _priority), (ASK_STATUS, _status)])
    scene.ask(scene.phrase(bank, ref=ref.words))
    scene.say(f'{ref.task.task_id} "{ref.task.title}" {answer(ref.task)}.')
    return scene.row()


def _from_the_talk(rng: Random, setting: Setting) -> JsonObject:
    scene = Scene(rng, setting)
    text, call = new_task(scene)
    scene.ask(text)
    (created,) = scene.finish(call)
    scene.ask(scene.phrase(ASK_NEW_ID))
    scene.say(f"It is {created['task_id']}.")
    return scene.row()


def _due(task: Task) -> str:
    return f"is due {task.due_date}" if task.due_date else "has no due date"


def _priority(task: Task) -> str:
    return f"has {task.priority} priority"


def _status(task: Task) -> str:
    return f"is {task.status}"


NO_CALL = (_off_topic, _ask_back, _from_the_list, _off_topic, _ask_back, _from_the_list, _off_topic, _from_the_talk)
BASIC_NO_CALL = (_beyond_the_tools, _good_news)
