"""Functional match: do the given calls do what the expected calls do, when both are executed?"""

from typing import Any, NamedTuple

from data.conversation import Call, arguments_object
from data.row import JsonObject, Row
from data.user_error import UserError
from eval.environments.environment import Environment, open_environment
from eval.json_values import same_json, same_multiset
from eval.settings import EnvironmentName


class Outcome(NamedTuple):
    state: Any
    observations: list[JsonObject]
    """Results of the calls that changed nothing: reads, whose result is all they are for, and failed calls."""


def functional_match(name: EnvironmentName, request: JsonObject, expected: list[Call], given: list[Call]) -> bool:
    """Same end state, and the same results from calls that only look; the order of looks does not count."""
    wanted, got = _execute(name, request, expected), _execute(name, request, given)
    return same_json(wanted.state, got.state) and same_multiset(wanted.observations, got.observations)


def check_environment(name: EnvironmentName | None, request: JsonObject, where: str) -> None:
    """Raise UserError, before anything is asked, when the row does not say what the environment starts from."""
    if name is None:
        return
    try:
        _environment(name, request)
    except UserError as error:
        fix = f"{error.fix}; or leave `environment` out"
        raise UserError(f"environment {name!r}: {error.what}", where=where, fix=fix) from error


def _execute(name: EnvironmentName, request: JsonObject, calls: list[Call]) -> Outcome:
    environment = _environment(name, request)
    observations = []
    for call in calls:
        before = environment.state()
        result = environment.call(*call)
        if same_json(environment.state(), before):
            observations.append(result)
    return Outcome(environment.state(), observations)


def _environment(name: EnvironmentName, request: JsonObject) -> Environment:
    """In the state that the request's history leaves it in, failed calls included."""
    row = Row.model_validate({key: request[key] for key in ("messages", "tools") if key in request})
    environment = open_environment(name, row)
    for message in request["messages"]:
        for call in message.get("tool_calls") or []:
            environment.call(call["function"]["name"], arguments_object(call["function"]["arguments"]))
    return environment


def message_text(message: JsonObject) -> str:
    """The text of a message as it is sent: a string, parts or null."""
    content = message.get("content") or ""
    return content if isinstance(content, str) else "\n".join(part["text"] for part in content)
