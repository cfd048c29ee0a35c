"""Entries made by hand, and those of the real data sets."""

import json
from pathlib import Path
from typing import Any

from data.preparation.entries import Dropped, Entry, entry_of
from data.reading import NumberedRow, read_rows
from data.row import JsonObject, Row
from data.settings import DataSection
from tests.data.rows import raw, result, says, user

WORDS = (
    *("alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel"),
    *("india", "juliet", "kilo", "lima", "mike", "november", "oscar", "papa"),
)
"""No two of them alike, so that rows which differ in one are no near copies."""
REAL = ("seal_tools", "home_assistant", "taskmaster_coffee")


def entries(*rows: JsonObject, source: str = "data.train") -> list[Entry]:
    """Lines 1, 2, ... of f.jsonl."""
    return [
        entry_of(source, NumberedRow(Path("f.jsonl"), line, Row.model_validate(row)))
        for line, row in enumerate(rows, start=1)
    ]


def lines(found: list[Entry]) -> list[int]:
    return [entry.numbered.line for entry in found]


def told(dropped: list[Dropped]) -> list[str]:
    return [f"{item.where} {item.cause}: {item.detail}" for item in dropped]


def tool(name: str, about: str = "", **properties: JsonObject) -> JsonObject:
    function = {"name": name, "parameters": {"type": "object", "properties": properties}}
    return {"type": "function", "function": function | ({"description": about} if about else {})}


def call(name: str, number: int = 1, **arguments: Any) -> JsonObject:
    return {"id": f"c{number}", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}


def calling(text: str, *names: str, listed: tuple[str, ...] = (), system: str = "", **arguments: Any) -> JsonObject:
    """A row that asks `text`, calls `names` and lists `listed` beside them; every tool has its own description."""
    tools = [tool(name, f"About {name}.", x={"type": "string"}) for name in (*names, *listed)]
    calls = [call(name, number, **arguments) for number, name in enumerate(names, start=1)]
    results = [result("ok", call["id"]) for call in calls]
    start = [{"role": "system", "content": system}] if system else []
    turns = [says(None, *calls), *results] if calls else []
    return raw(*start, user(text), *turns, says("Done."), tools=tools)


def real_entries(shared_data: Path, name: str, limit: int = 300) -> list[Entry]:
    rows = [row for file in ("train", "test") for row in read_rows(shared_data / name / f"{file}.jsonl")]
    return [entry_of("data.train", row) for row in rows[:limit]]


def settings(**data: Any) -> DataSection:
    return DataSection.model_validate(data)
