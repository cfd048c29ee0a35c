"""From the records of a file in any layout to rows: each is kept as a row without an error, or refused with a reason.

A kept row holds the calls, arguments, results and tools of its record, in their order. What else a record holds and
the row does not is counted under a note.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from data.layouts.detection import fitting, is_readable, parts_of
from data.layouts.layout import Layout
from data.layouts.literal import json_text
from data.layouts.record_error import RecordError
from data.reading import parse_row
from data.row import JsonObject
from data.source_records import Record, read_records


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


def convert_file(path: Path, layout: Layout, given_tools: list[JsonObject] | None) -> Iterator[Kept | Refusal]:
    """Every row of a file, in its order. `given_tools` are for rows whose record has no tool list."""
    for record in read_records(path):
        where = f"{path}:{record.number}"
        if record.value is None:
            yield Refusal(where, "json", record.fault, "write one whole JSON object")
            continue
        parts = list(parts_of(record))
        for number, part in enumerate(parts, start=1):
            place = where if parts == [record.value] else f"{where}: part {number}"
            yield _converted(record, part, layout, given_tools, place, path)


def _converted(
    record: Record, part: JsonObject, layout: Layout, given_tools: list[JsonObject] | None, where: str, path: Path
) -> Kept | Refusal:
    try:
        if not is_readable(layout, part):
            others = " or ".join(other.name for other in fitting(part))
            what = f"is not in the layout {layout.name}" + (f" but in {others}" if others else "")
            raise RecordError("layout", what, "mend the record, or convert it on its own")
        draft = layout.draft(part)
    except RecordError as error:
        return Refusal(where, error.cause, _one_line(error.what), error.fix)
    row: JsonObject = {"messages": draft.messages}
    tools = given_tools if draft.tools is None else draft.tools
    row |= {"tools": tools} if tools else {}
    row |= {} if draft.parallel_tool_calls is None else {"parallel_tool_calls": draft.parallel_tool_calls}
    line = json_text(row)
    errors = [finding for finding in parse_row(path, record.number, line)[1] if finding.is_error]
    if errors:
        place = errors[0].where.removeprefix(f"{path}:{record.number}").removeprefix(": ")
        what = f"the row it makes breaks a rule: {place and place + ': '}{errors[0].reason}"
        fix = "give the list with --tools FILE" if errors[0].rule == "missing_tools" else errors[0].fix
        return Refusal(where, errors[0].rule, _one_line(what), fix or "mend the record")
    left_out = {key for key, value in part.items() if value not in (None, "", [], {})} - layout.keys
    return Kept(line, draft.notes + Counter(f"key {key!r} left out" for key in left_out))


def _one_line(text: str) -> str:
    return " ".join(text.split())
