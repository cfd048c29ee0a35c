"""From the records of a file in any layout to rows: each is kept as a row without an error, or refused with a reason.

A kept row holds the calls, arguments, results and tools of its record, in their order. What else a record holds and
the row does not is counted under a note.
"""

import re
from collections import Counter
from collections.abc import Iterator
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

from pydantic_core import PydanticSerializationError

from data.layouts.detection import fitting, is_readable, layout_named, parts_of
from data.layouts.draft import Draft
from data.layouts.layout import Layout
from data.layouts.literal import json_text
from data.layouts.record_error import RecordError
from data.parallel_rows import on_all_cores
from data.reading import parse_row
from data.row import TOOL_NAME, JsonObject
from data.source_records import Record, Source, read_records

BATCH = 100
ALONE = 50
"""Batches before other processes are worth their start."""


class Refusal(NamedTuple):
    where: str
    cause: str
    """One word for counting."""
    what: str
    fix: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what} (fix: {self.fix})"


class Kept(NamedTuple):
    line: str
    """The row as one line of JSON."""
    notes: Counter[str]


def convert_file(source: Source, layout: Layout, given_tools: list[JsonObject] | None) -> Iterator[Kept | Refusal]:
    """Every row of a file or split, in its order. `given_tools` are for rows whose record has no tool list.

    The first records are converted in this process, what comes after them on all cores.
    """
    records = read_records(source)
    batches = iter(lambda: list(islice(records, BATCH)), [])
    work = partial(_outcomes, str(source), layout.name, given_tools)
    yield from chain.from_iterable(map(work, islice(batches, ALONE)))
    if more := next(batches, None):
        yield from chain.from_iterable(on_all_cores(work, chain([more], batches)))


def _outcomes(
    source: str, layout: str, given_tools: list[JsonObject] | None, records: list[Record]
) -> list[Kept | Refusal]:
    return [outcome for record in records for outcome in _of_record(source, layout_named(layout), given_tools, record)]


def _of_record(
    source: str, layout: Layout, given_tools: list[JsonObject] | None, record: Record
) -> Iterator[Kept | Refusal]:
    where = f"{source}:{record.number}"
    if record.value is None:
        yield Refusal(where, "json", record.fault, "write one whole JSON object")
        return
    parts = list(parts_of(record))
    if not parts:
        yield Refusal(where, "empty", "the record holds no rows", "leave it out")
    for number, part in enumerate(parts, start=1):
        place = where if parts == [record.value] else f"{where}: part {number}"
        yield _converted(record, part, layout, given_tools, place)


def _converted(
    record: Record, part: JsonObject, layout: Layout, given_tools: list[JsonObject] | None, where: str
) -> Kept | Refusal:
    try:
        if not is_readable(layout, part):
            others = " or ".join(other.name for other in fitting(part))
            what = f"is not in the layout {layout.name}" + (f" but in {others}" if others else "")
            raise RecordError("layout", what, "mend the record, or convert it on its own")
        draft = layout.draft(part)
        row = _row(draft, given_tools)
        _refuse_names(row)
        line = json_text(row)
        errors = [finding for finding in parse_row(Path(where), record.number, line)[1] if finding.is_error]
    except RecordError as error:
        return Refusal(where, error.cause, _one_line(error.what), error.fix)
    except (RecursionError, PydanticSerializationError):
        return Refusal(where, "json", "the record is nested too deeply", "flatten it")
    if errors:
        fault = errors[0].fault
        place = errors[0].where.removeprefix(f"{where}:{record.number}").removeprefix(": ")
        what = f"the row it makes breaks a rule: {place and place + ': '}{fault.reason}"
        fix = "give the list with --tools FILE" if fault.rule == "missing_tools" else fault.fix
        return Refusal(where, fault.rule, _one_line(what), fix or "mend the record")
    left_out = {key for key, value in part.items() if value not in (None, "", [], {})} - layout.keys
    return Kept(line, draft.notes + Counter(f"key {key!r} left out" for key in left_out))


def _row(draft: Draft, given_tools: list[JsonObject] | None) -> JsonObject:
    row: JsonObject = {"messages": draft.messages}
    if tools := (given_tools if draft.tools is None else draft.tools):
        row["tools"] = tools
    if draft.parallel_tool_calls is not None:
        row["parallel_tool_calls"] = draft.parallel_tool_calls
    return row


def _refuse_names(row: JsonObject) -> None:
    """The form of a row would be refused too, but by the pattern alone."""
    functions = [tool["function"] for tool in row.get("tools", [])]
    functions += [call.get("function") for m in row["messages"] for call in m.get("tool_calls") or []]
    for function in functions:
        name = function.get("name") if isinstance(function, dict) else None
        if isinstance(name, str) and not re.fullmatch(TOOL_NAME, name):
            what = f"the tool name {name!r} is not 1 to 64 letters, digits, _ and -"
            raise RecordError("tool_name", what, "rename the tool, here and where it is served")


def _one_line(text: str) -> str:
    return " ".join(text.split())
