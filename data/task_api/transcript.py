"""A conversation being written: every call is executed as it is added, so no result is ever made up."""

import json
from typing import NamedTuple

from data.row import JsonObject
from data.task_api.service import TASK_TOOLS, TaskService


class Call(NamedTuple):
    name: str
    arguments: JsonObject


class Transcript:
    """Messages in the OpenAI layout beside the service that answers their calls.

    The service is rebuilt from the system text, as evaluation will do: a row that could not be replayed cannot be made.
    """

    def __init__(self, system_text: str) -> None:
        self.service = TaskService.from_system_text(system_text)
        self._messages: list[JsonObject] = [{"role": "system", "content": system_text}]
        self._num_calls = 0

    def ask(self, text: str) -> None:
        self._messages.append({"role": "user", "content": text})

    def say(self, text: str) -> None:
        self._messages.append({"role": "assistant", "content": text})

    def call(self, *calls: Call) -> list[JsonObject]:
        """One assistant message with these calls, then their results; each must succeed."""
        results = self._execute(calls, {})
        assert not any("error" in result for result in results), (calls, results)
        return results

    def drop_last_results(self) -> None:
        """The row ends with its last calls."""
        while self._messages[-1]["role"] == "tool":
            self._messages.pop()

    def fail(self, call: Call) -> str:
        """A call that is context, not to be learned (`weight` 0); it must fail, and its error message is returned."""
        (result,) = self._execute((call,), {"weight": 0})
        assert "error" in result, (call, result)
        return str(result["error"]["message"])

    def not_found(self, task_id: str) -> str:
        """What the service says to a call with this id, without making the call part of the conversation."""
        # nothing_to_change keeps an id that does exist from being changed by the question.
        result = self.service.call("update_task", {"task_id": task_id})
        return str(result["error"]["message"])

    def row(self) -> JsonObject:
        return {"messages": self._messages, "tools": TASK_TOOLS}

    def _execute(self, calls: tuple[Call, ...], extra: JsonObject) -> list[JsonObject]:
        ids = [f"call_{self._num_calls + position + 1}" for position in range(len(calls))]
        self._num_calls += len(calls)
        tool_calls = [_tool_call(call_id, call) for call_id, call in zip(ids, calls, strict=True)]
        self._messages.append({"role": "assistant", "content": None, "tool_calls": tool_calls, **extra})
        results = [self.service.call(call.name, call.arguments) for call in calls]
        for call_id, result in zip(ids, results, strict=True):
            self._messages.append({"role": "tool", "tool_call_id": call_id, "content": json.dumps(result)})
        return results


def describe_result(call: Call, result: JsonObject) -> str:
    """The part of the final answer that one successful call earns, fixed by its result.

    >>> describe_result(Call("complete_task", {"task_id": "T-204"}), {"task_id": "T-204", "title": "Call the plumber"})
    'T-204 "Call the plumber" is done'
    """
    if call.name == "list_tasks":
        names = ", ".join(f'{task["task_id"]} "{task["title"]}"' for task in result["tasks"])
        return names or "no such task"
    name = f'{result["task_id"]} "{result["title"]}"'
    if call.name == "complete_task":
        return f"{name} is done"
    due = f", due {result['due_date']}" if result["due_date"] else ""
    return f"{name} {'is on the list' if call.name == 'create_task' else 'is updated'}{due}"


def _tool_call(call_id: str, call: Call) -> JsonObject:
    function = {"name": call.name, "arguments": json.dumps(call.arguments)}
    return {"id": call_id, "type": "function", "function": function}
