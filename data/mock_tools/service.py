"""Mock tools for any tool list: arguments are checked by the schema, results follow from the call alone.

>>> tools = [{"type": "function", "function": {"name": "ping", "parameters": {
...     "type": "object", "properties": {"host": {"type": "string"}}, "required": ["host"]}}}]
>>> MockService(tools).call("ping", {"host": "a"})
{'status': 'success', 'host': 'a'}
>>> MockService(tools).call("ping", {})
{'error': {'code': 'invalid_arguments', 'message': "arguments: 'host' is a required property"}}
"""

import json
from contextlib import suppress
from random import Random
from typing import Literal

from data.mock_tools.links import gives
from data.mock_tools.names import label
from data.mock_tools.pattern_text import UnmadeError
from data.mock_tools.schema_values import draw_arguments
from data.row import JsonObject
from data.rules.arguments import argument_faults

Failure = Literal["rate_limit", "timeout"]
_MESSAGES: dict[Failure, str] = {
    "rate_limit": "too many requests; nothing was done, try again in 2 seconds",
    "timeout": "no answer from the backend within 10 seconds; nothing was done, try again",
}


class MockService:
    """A result repeats the plain arguments and names the ids that other tools take (`data.mock_tools.links`).

    It knows nothing of the world: what a tool would find out is not in it. The same call gives the same result.
    """

    def __init__(self, tools: list[JsonObject]) -> None:
        self._tools = {tool["function"]["name"]: tool for tool in tools}

    def call(self, name: str, arguments: JsonObject) -> JsonObject:
        """The result, or `{"error": {"code", "message"}}`; whatever a model made up, it never raises."""
        if name not in self._tools:
            return error("unknown_tool", f"no tool {name}; tools: {', '.join(self._tools)}")
        schema = json.dumps(self._tools[name]["function"].get("parameters") or {"type": "object", "properties": {}})
        if faults := argument_faults(name, schema, arguments):
            key, reason = faults[0].key.lstrip(".") or "arguments", faults[0].reason
            return error("invalid_arguments", f"{key}: {reason.removeprefix(f'breaks the schema of {name!r}: ')}")
        return {"status": "success", **self._given_ids(name, arguments), **_plain(arguments)}

    def state(self) -> JsonObject:
        return {}

    def _given_ids(self, name: str, arguments: JsonObject) -> JsonObject:
        seed = json.dumps([name, arguments], sort_keys=True)
        ids: JsonObject = {}
        for taker in self._tools.values():
            parameters = taker["function"].get("parameters") or {}
            for key in parameters.get("required") or []:
                schema = parameters.get("properties", {}).get(key)
                if key not in ids and gives(self._tools[name], key, schema):
                    one = {"type": "object", "properties": {key: schema}, "required": [key]}
                    tool = {"function": {"name": name, "parameters": one}}
                    with suppress(UnmadeError):
                        ids |= draw_arguments(tool, Random(f"{seed}/{key}"))
        return ids


def error(code: str, message: str) -> JsonObject:
    return {"error": {"code": code, "message": message}}


def failure(kind: Failure) -> JsonObject:
    """A fault that is not the caller's: the same call succeeds the next time."""
    return error(kind, _MESSAGES[kind])


def not_found(key: str, given: str, right: str) -> JsonObject:
    return error("not_found", f"no {label(key)} {given}; did you mean {right}?")


def _plain(arguments: JsonObject) -> JsonObject:
    # A key `error` would read as a failure.
    return {key: value for key, value in arguments.items() if key != "error" and not isinstance(value, dict | list)}
