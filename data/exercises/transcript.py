"""An exercise being written: calls go to a mock service as they are added."""

import json

from data.conversation import Call
from data.mock_tools.service import MockService
from data.row import JsonObject


class Transcript:
    def __init__(self, persona: str, service: MockService) -> None:
        self._service = service
        self.messages: list[JsonObject] = [{"role": "system", "content": persona}] if persona else []
        self._num_calls = 0

    def ask(self, text: str) -> None:
        self.messages.append({"role": "user", "content": text})

    def say(self, text: str) -> None:
        self.messages.append({"role": "assistant", "content": text})

    def call(self, *calls: Call) -> list[JsonObject]:
        """One assistant message with these calls, then their results; each must succeed."""
        results = [self._service.call(call.name, call.arguments) for call in calls]
        assert not any("error" in result for result in results), (calls, results)
        self._write(calls, results, {})
        return results

    def fail(self, call: Call, error: JsonObject) -> None:
        """A failed call is context (`weight` 0): a model must learn to mend such a call, not to make it."""
        assert "error" in error, error
        self._write((call,), [error], {"weight": 0})

    def _write(self, calls: tuple[Call, ...], results: list[JsonObject], extra: JsonObject) -> None:
        ids = [f"call_{self._num_calls + position + 1}" for position in range(len(calls))]
        self._num_calls += len(calls)
        tool_calls = [
            {"id": call_id, "type": "function", "function": {"name": call.name, "arguments": _json(call.arguments)}}
            for call_id, call in zip(ids, calls, strict=True)
        ]
        self.messages.append({"role": "assistant", "content": None, "tool_calls": tool_calls, **extra})
        for call_id, result in zip(ids, results, strict=True):
            self.messages.append({"role": "tool", "tool_call_id": call_id, "content": _json(result)})


def _json(value: JsonObject) -> str:
    return json.dumps(value, ensure_ascii=False)
