"""Strict functions in OpenAI's Responses API, which vLLM's server speaks too."""

from typing import Any

from data.optional_arguments import with_nulls, without_nulls
from data.row import JsonObject
from serve.strict_calls.events import EventStream
from serve.strict_calls.schemas import Change, Schemas, change_arguments, changed, objects, relax

_ARGUMENTS = "response.function_call_arguments"


def relax_request(request: JsonObject) -> Schemas:
    schemas: Schemas = {}
    for tool in objects(request, "tools"):
        if tool.get("type") == "function":
            relax(tool, schemas)
    _change_calls(request, "input", schemas, without_nulls)
    return schemas


def fill_answer(answer: Any, schemas: Schemas) -> None:
    """Its calls, and the tools that it repeats."""
    _change_calls(answer, "output", schemas, with_nulls)
    for tool in objects(answer, "tools"):
        tool["parameters"] = schemas.get(str(tool.get("name")), tool.get("parameters"))


def _change_calls(holder: Any, key: str, schemas: Schemas, change: Change) -> None:
    for item in objects(holder, key):
        if item.get("type") == "function_call":
            change_arguments(item, schemas, change)


class ResponsesStream(EventStream):
    def __init__(self, schemas: Schemas) -> None:
        super().__init__(schemas)
        self._held: dict[str, JsonObject] = {}
        """Item -> the last event with a piece of its arguments, which waits."""
        self._called: dict[str, JsonObject] = {}
        """Item -> the schema of the function that it calls."""

    def passed(self, data: JsonObject) -> list[JsonObject] | None:
        kind, item = data.get("type"), data.get("item")
        if schema := self._called.get(str(data.get("item_id"))):
            number = str(data["item_id"])
            if kind == f"{_ARGUMENTS}.delta":
                self._held[number] = data
                return []
            if kind == f"{_ARGUMENTS}.done":
                data["arguments"] = changed(data.get("arguments"), schema, with_nulls)
                held = self._held.pop(number, None)
                return [held | {"delta": data["arguments"]}, data] if held else [data]
        if isinstance(item, dict) and item.get("type") == "function_call" and item.get("name") in self.schemas:
            self._called[str(item.get("id"))] = self.schemas[item["name"]]
            if kind == "response.output_item.done":
                change_arguments(item, self.schemas, with_nulls)
            return [data]
        if isinstance(data.get("response"), dict):
            fill_answer(data["response"], self.schemas)
            return [data]
        return None

    def written(self, data: JsonObject) -> bytes:
        return f"event: {data.get('type')}\n".encode() + super().written(data)
