"""The wording of a request without the values that it fills in."""

import re
from collections.abc import Iterator
from typing import Any

from data.conversation import calls_of, content_text
from data.row import Row


def request_template(row: Row) -> str:
    """What the user says, with every value of the calls' arguments taken out: "ping <> three times".

    A value is found as it stands in the arguments, whatever its case; one that the user words otherwise ("tomorrow"
    for a date) is not, so that two such requests count as two templates.
    """
    said = (content_text(message.content) for message in row.messages if message.role == "user")
    text = " ".join("\n".join(said).lower().split())
    calls = (call for message in row.messages for call in calls_of(message))
    values = {value for call in calls for value in _leaves(call.arguments) if value}
    if not values:
        return text
    longest_first = sorted(values, key=lambda value: (-len(value), value))
    return re.sub(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)", "<>", text)


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for item in value.values():
            yield from _leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    elif value is not None and not isinstance(value, bool):
        yield " ".join(str(value).lower().split())
