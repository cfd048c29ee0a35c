"""All layouts, and which of them a file is in, told from its content."""

from collections.abc import Iterable
from itertools import islice

from data.layouts.api_bank import API_BANK
from data.layouts.content_parts import CONTENT_PARTS
from data.layouts.glaive import GLAIVE
from data.layouts.hammer_bench import HAMMER_BENCH
from data.layouts.hermes import HERMES
from data.layouts.layout import Layout, roles
from data.layouts.openai_chat import OPENAI_CHAT
from data.layouts.otel_spans import OTEL_SPANS
from data.layouts.react import REACT
from data.layouts.seal_tools import SEAL_TOOLS
from data.layouts.sharegpt import SHAREGPT
from data.layouts.stored_completion import STORED_COMPLETION
from data.layouts.tool_alpaca import TOOL_ALPACA
from data.layouts.trajectory import TRAJECTORY
from data.layouts.xlam import XLAM
from data.row import JsonObject
from data.source_records import Record, Source
from data.user_error import UserError

_GENERAL = (OPENAI_CHAT, SHAREGPT)
"""What other layouts write their own text or keys into: they count where none of those fits."""
LAYOUTS = (
    *_GENERAL, TRAJECTORY, STORED_COMPLETION, HERMES, CONTENT_PARTS, XLAM, GLAIVE, SEAL_TOOLS, TOOL_ALPACA, REACT,
    API_BANK, HAMMER_BENCH, OTEL_SPANS,
)  # fmt: skip
SAMPLED_RECORDS = 1000


def detect(source: Source, records: Iterable[Record]) -> Layout:
    """The one layout that the first records are in. Raises UserError where none or two fit."""
    first_of: dict[str, int] = {}
    plain: Layout | None = None
    fault = ""
    for record in islice(records, SAMPLED_RECORDS):
        fault = fault or record.fault
        for part in parts_of(record):
            found = fitting(part)
            if _is_plain_chat(part, found):  # says nothing: the layouts of its family read it alike
                plain = plain or found[0]
                continue
            for layout in found:
                first_of.setdefault(layout.name, record.number)
    if len(first_of) > 1:
        (one, first), (two, second) = list(first_of.items())[:2]
        what = f"two layouts fit: {one} (row {first}) and {two} (row {second})"
        raise UserError(what, where=str(source), fix="split the file, or name one with --from")
    if first_of:
        return layout_named(next(iter(first_of)))
    if plain:
        return plain
    names = ", ".join(layout.name for layout in LAYOUTS)
    raise UserError(f"no layout fits{fault and f' ({fault})'}", where=str(source), fix=f"bring it to one of {names}")


def layout_named(name: str) -> Layout:
    return next(layout for layout in LAYOUTS if layout.name == name)


def parts_of(record: Record) -> Iterable[JsonObject]:
    """The records inside of a record, whichever layout splits it."""
    if record.value is None:
        return []
    for layout in LAYOUTS:
        parts = list(layout.split(record.value))
        if parts != [record.value]:
            return parts
    return [record.value]


def fitting(part: JsonObject) -> list[Layout]:
    found = [layout for layout in LAYOUTS if layout.fits(part)]
    return [layout for layout in found if layout not in _GENERAL] or found


def is_readable(layout: Layout, part: JsonObject) -> bool:
    """Is a part in the layout, or a chat without calls that the layout's family reads alike?"""
    found = fitting(part)
    return layout in found or (layout is HERMES and _is_plain_chat(part, found))


def _is_plain_chat(part: JsonObject, found: list[Layout]) -> bool:
    if found == [SHAREGPT]:
        return roles(part, "conversations", "from") <= {"system", "human", "user", "gpt", "assistant"}
    if found != [OPENAI_CHAT] or not roles(part, "messages", "role") <= {"system", "user", "assistant"}:
        return False
    return not any(m.get("tool_calls") or m.get("function_call") for m in part["messages"] if isinstance(m, dict))
