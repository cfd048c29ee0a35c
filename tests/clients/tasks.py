"""What every client is put to: held-out rows of the task API, their tools as a user of each library writes them.

Run by the clients' own Python, which has pydantic and jsonschema but none of this project's other dependencies.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Literal, Protocol

from data.preparation.strict_schemas import strict_parameters
from data.row import JsonObject, Row
from eval.environments.environment import open_environment
from eval.environments.faults import Fault, FaultyEnvironment
from eval.environments.outcome import Ending, Made, Run, cause, is_right, make, recovery, reference

Priority = Literal["low", "medium", "high"]
Status = Literal["open", "done"]
MAX_TURNS = 10


class ToolError(Exception):
    """What a tool of an agent raises when the service behind it fails."""


class Task:
    """One row: its system text, its requests, and the environment in which the client's calls are executed."""

    def __init__(self, row: JsonObject, fault: Fault | None = None) -> None:
        self.row = Row.model_validate(row)
        self.environment = FaultyEnvironment(open_environment("task_service", self.row), fault)
        self.made: list[Made] = []
        texts = {role: [m["content"] for m in row["messages"] if m["role"] == role] for role in ("system", "user")}
        self.system, self.requests = "\n".join(texts["system"]), texts["user"]

    def call(self, name: str, arguments: JsonObject) -> JsonObject:
        """A null stands for an argument that a strict schema makes the model write."""
        given = {key: value for key, value in arguments.items() if value is not None}
        self.made.append(make(self.environment, name, given))
        return self.made[-1].result

    def text(self, name: str, arguments: JsonObject) -> str:
        return json.dumps(self.call(name, arguments))

    def verdict(self, ending: Ending, final_text: str, why: str = "") -> JsonObject:
        wanted = reference(open_environment("task_service", self.row), self.row)
        given = Run(ending, self.made, self.environment.state(), final_text)
        right = is_right(wanted, given)
        return {
            "right": right,
            "cause": None if right else cause(wanted, given),
            "fault": self.environment.fault.kind if self.environment.fault and self.environment.has_failed else None,
            "recovery": recovery(given, right=right) if self.environment.has_failed else None,
            "num_calls": len(self.made),
            "num_own_errors": sum(made.has_failed for made in self.made) - self.environment.has_failed,
            "request": " / ".join(self.requests),
            "made": [[*made.call, made.result] for made in self.made],
            "final_text": final_text,
            "why": why,
        }


def task_functions(task: Task) -> list[Callable[..., str]]:
    """The task API as Python functions with type hints, from which each library makes a schema of its own."""

    def create_task(title: str, due_date: str | None = None, priority: Priority | None = None) -> str:
        """Add a task."""
        return task.text("create_task", {"title": title, "due_date": due_date, "priority": priority})

    def update_task(
        task_id: str, title: str | None = None, due_date: str | None = None, priority: Priority | None = None
    ) -> str:
        """Change an open task."""
        changes = {"title": title, "due_date": due_date, "priority": priority}
        return task.text("update_task", {"task_id": task_id, **changes})

    def complete_task(task_id: str) -> str:
        """Mark a task as done."""
        return task.text("complete_task", {"task_id": task_id})

    def list_tasks(status: Status | None = None, priority: Priority | None = None) -> str:
        """List tasks, filtered."""
        return task.text("list_tasks", {"status": status, "priority": priority})

    return [create_task, update_task, complete_task, list_tasks]


def strict_tools(task: Task) -> list[JsonObject]:
    """The task API's schemas as strict mode wants them: every property required, a null where nothing is meant."""

    tools = []
    for offered in task.environment.tools:
        function = offered["function"]
        parameters = strict_parameters(function["parameters"], "schema")
        tools.append({"type": "function", "function": function | {"parameters": parameters, "strict": True}})
    return tools


class ChatMessage(Protocol):
    """What a chat completion's message has in common in the libraries that hand it out as it came."""

    content: str | None
    tool_calls: Any


async def converse(task: Task, ask: Callable[[list[Any]], Awaitable[ChatMessage]]) -> str:
    """The row's conversation, with the library giving one message at a time; its final text."""
    messages: list[Any] = [{"role": "system", "content": task.system}]
    said = ""
    for request in task.requests:
        messages.append({"role": "user", "content": request})
        for _ in range(MAX_TURNS):
            message = await ask(messages)
            messages.append(message)
            if not message.tool_calls:
                break
            for call in message.tool_calls:
                result = task.text(call.function.name, json.loads(call.function.arguments or "{}"))
                messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
        else:
            raise RuntimeError(f"still calling after {MAX_TURNS} requests")
        said = str(message.content)
    return said


def first_request(task: Task) -> list[JsonObject]:
    return [{"role": "system", "content": task.system}, {"role": "user", "content": task.requests[0]}]


def read_tasks(path: Path, limit: int) -> list[JsonObject]:
    lines = path.read_text().splitlines()
    return [json.loads(line) for line in lines[: limit or None]]


class Job:
    """What the matrix asks of a client's script, by its command line: BASE_URL MODEL ROWS LIMIT."""

    def __init__(self) -> None:
        self.base_url, self.model, rows, limit = sys.argv[1:5]
        self.rows = read_tasks(Path(rows), int(limit))


async def tally(way: str, rows: list[JsonObject], play: Callable[[Task], Awaitable[str]]) -> None:
    """How many rows end in the right state when `play` holds the conversation and returns its final text."""
    slots = asyncio.Semaphore(16)

    async def one(row: JsonObject) -> JsonObject:
        task = Task(row)
        async with slots:
            try:
                return task.verdict("answered", await play(task))
            except Exception as error:  # whatever a client's library raises is this cell's result
                return task.verdict("not_run", "", f"{type(error).__name__}: {error}"[:300])

    verdicts = await asyncio.gather(*map(one, rows))
    misses = [verdict for verdict in verdicts if not verdict["right"]]
    tell({"way": way, "right": len(rows) - len(misses), "of": len(rows), "misses": misses})


async def feature(name: str, check: Awaitable[Any]) -> None:
    """Whether a feature works: `check` raises when it does not, and returns what there is to say."""
    try:
        said = str(await check or "")
    except Exception as error:  # as above
        tell({"feature": name, "works": False, "why": f"{type(error).__name__}: {error}"[:300]})
    else:
        tell({"feature": name, "works": True, "why": said[:300]})


def tell(line: JsonObject) -> None:
    """At once: a client that is cut off has told what it had."""
    print(json.dumps(line), flush=True)
