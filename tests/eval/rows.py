"""Row files for the tests of this room."""

import json
from pathlib import Path

from data.row import JsonObject
from eval.settings import EvalSection
from eval.suite import Suite, read_suite

SYSTEM = """You keep a task list.
Today is 2026-03-14 (Saturday), tomorrow is 2026-03-15 (Sunday).
Tasks:
T-204 | Call the plumber | low | no due date | open
T-207 | Renew the passport | medium | due 2026-03-20 | open"""


def tool(name: str, properties: JsonObject, required: list[str]) -> JsonObject:
    parameters = {"type": "object", "properties": properties, "required": required}
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


TOOLS = [
    tool("create_task", {"title": {"type": "string"}, "size": {"type": "integer"}}, ["title"]),
    tool("complete_task", {"task_id": {"type": "string"}}, ["task_id"]),
    tool("list_tasks", {"status": {"type": "string"}, "priority": {"type": "string"}}, []),
]


def calls_message(*calls: tuple[str, JsonObject], first_id: int = 1, **extra: object) -> JsonObject:
    tool_calls = [
        {"id": f"c{number}", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
        for number, (name, arguments) in enumerate(calls, start=first_id)
    ]
    return {"role": "assistant", "content": None, "tool_calls": tool_calls, **extra}


def row(*messages: JsonObject) -> JsonObject:
    return {"messages": [{"role": "system", "content": SYSTEM}, *messages], "tools": TOOLS}


def user(text: str) -> JsonObject:
    return {"role": "user", "content": text}


def result(number: int, content: str = "{}") -> JsonObject:
    return {"role": "tool", "tool_call_id": f"c{number}", "content": content}


def said(text: str) -> JsonObject:
    return {"role": "assistant", "content": text}


MILK = ("create_task", {"title": "Milk", "size": 2})
CREATE = row(user("Add <b>milk</b>"), calls_message(MILK), result(1), said("Done"))
SMALL_TALK = row(user("Thanks!"), said("You are welcome."))


def suite_of(folder: Path, *rows: JsonObject, settings: EvalSection | None = None) -> Suite:
    return read_suite([write_rows(folder / "rows.jsonl", *rows)], settings or EvalSection())


def write_rows(path: Path, *rows: JsonObject) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path
