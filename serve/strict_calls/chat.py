"""Strict functions in OpenAI's chat completions."""

from typing import Any

from data.optional_arguments import with_nulls, without_nulls
from data.row import JsonObject
from serve.strict_calls.events import EventStream
from serve.strict_calls.schemas import Change, Schemas, change_arguments, changed, objects, relax


def relax_request(request: JsonObject) -> Schemas:
    schemas: Schemas = {}
    for function in _functions(request, "tools"):
        relax(function, schemas)
    for message in objects(request, "messages"):
        _change_calls(message, schemas, without_nulls)
    return schemas


def fill_answer(answer: Any, schemas: Schemas) -> None:
    for choice in objects(answer, "choices"):
        _change_calls(choice.get("message"), schemas, with_nulls)


def _change_calls(message: Any, schemas: Schemas, change: Change) -> None:
    for function in _functions(message, "tool_calls"):
        change_arguments(function, schemas, change)


def _functions(holder: Any, key: str) -> list[JsonObject]:
    return [entry["function"] for entry in objects(holder, key) if isinstance(entry.get("function"), dict)]


class ChatStream(EventStream):
    """Chunks of a completion."""

    def __init__(self, schemas: Schemas) -> None:
        super().__init__(schemas)
        self._held: dict[int, tuple[JsonObject, JsonObject]] = {}
        """Choice -> the part of a call that waits, with its arguments so far, and its schema."""

    def passed(self, data: JsonObject) -> list[JsonObject] | None:
        ended: list[JsonObject] = []
        has_calls = False
        for choice in objects(data, "choices"):
            if parts := list(objects(choice.get("delta"), "tool_calls")):
                has_calls = True
                choice["delta"]["tool_calls"] = [part for part in parts if self._passes(part, choice, ended)]
            if choice.get("finish_reason"):
                ended += self._ended(choice)
        head = {key: value for key, value in data.items() if key != "usage"}
        before = [head | {"choices": [choice]} for choice in ended]
        if not has_calls and not before:
            return None
        is_kept = data.get("usage") or any(map(_says, objects(data, "choices")))
        return [*before, data] if is_kept else before

    def _passes(self, part: JsonObject, choice: JsonObject, ended: list[JsonObject]) -> bool:
        """Is this part of a call sent on now? One that has nothing but arguments that wait is not."""
        number, function = choice.get("index", 0), part.get("function") or {}
        held = self._held.get(number)
        if held and held[0]["index"] != part.get("index"):
            ended += self._ended(choice)
            held = None
        if schema := self.schemas.get(str(function.get("name"))):
            waiting = {"index": part.get("index"), "function": {"arguments": function.get("arguments") or ""}}
            self._held[number] = waiting, schema
            function["arguments"] = ""
            return True
        if held:
            held[0]["function"]["arguments"] += function.get("arguments") or ""
        return not held

    def _ended(self, choice: JsonObject) -> list[JsonObject]:
        """What waited in this choice, as a choice of its own."""
        number = choice.get("index", 0)
        if number not in self._held:
            return []
        part, schema = self._held.pop(number)
        function = part["function"]
        function["arguments"] = changed(function["arguments"], schema, with_nulls)
        return [{"index": number, "delta": {"tool_calls": [part]}, "finish_reason": None}]


def _says(choice: JsonObject) -> bool:
    """Is there more in a choice of a chunk than the number it has?"""
    delta = choice.get("delta") or {}
    rest = [value for key, value in choice.items() if key not in ("index", "delta")]
    return any(value not in (None, []) for value in [*delta.values(), *rest])
