"""Functional match: do the given calls do what the expected calls do, when both are executed?"""

from typing import NamedTuple

from data.conversation import Call, arguments_object
from data.row import JsonObject
from data.task_api.service import TaskService
from data.user_error import UserError
from eval.json_values import same_json, same_multiset
from eval.settings import EnvironmentName


class Outcome(NamedTuple):
    state: JsonObject
    observations: list[JsonObject]
    """Results of the calls that changed nothing: reads, whose result is all they are for, and failed calls."""


def functional_match(history: list[JsonObject], expected: list[Call], given: list[Call]) -> bool:
    """Same end state, and the same results from calls that only look; the order of looks does not count."""
    wanted, got = _execute(history, expected), _execute(history, given)
    return same_json(wanted.state, got.state) and same_multiset(wanted.observations, got.observations)


def check_environment(environment: EnvironmentName | None, history: list[JsonObject], where: str) -> None:
    """Raise UserError, before anything is asked, when the row does not say what the environment starts from."""
    if environment is None:
        return
    try:
        _environment(history)
    except UserError as error:
        fix = f"{error.fix}; or leave `environment` out"
        raise UserError(f"environment {environment!r}: {error.what}", where=where, fix=fix) from error


def _execute(history: list[JsonObject], calls: list[Call]) -> Outcome:
    service = _environment(history)
    observations = []
    for name, arguments in calls:
        before = service.state()
        result = service.call(name, arguments)
        if same_json(service.state(), before):
            observations.append(result)
    return Outcome(service.state(), observations)


def _environment(history: list[JsonObject]) -> TaskService:
    """The service in the state that the history leaves it in, failed calls included."""
    service = TaskService.from_system_text(_system_text(history))
    for message in history:
        for call in message.get("tool_calls") or []:
            service.call(call["function"]["name"], arguments_object(call["function"]["arguments"]))
    return service


def _system_text(history: list[JsonObject]) -> str:
    return "\n".join(message_text(message) for message in history if message["role"] in ("system", "developer"))


def message_text(message: JsonObject) -> str:
    """The text of a message as it is sent: a string, parts or null."""
    content = message.get("content") or ""
    return content if isinstance(content, str) else "\n".join(part["text"] for part in content)
