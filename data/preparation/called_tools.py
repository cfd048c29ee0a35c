"""Which tools a row calls and lists, known by name and by what they say of themselves."""

import json

from data.preparation.entries import Entry
from data.row import Row, Tool


def called_names(row: Row) -> list[str]:
    """Each tool that the row calls, once, in order; failed calls count."""
    names = (call.function.name for message in row.messages for call in message.tool_calls or [])
    return list(dict.fromkeys(names))


def identities(tool: Tool) -> set[str]:
    """Its name, and its description with its schema: a tool under another name is the same tool."""
    function = tool.function
    if not function.description:
        return {function.name}
    return {function.name, json.dumps([function.description, function.parameters], sort_keys=True)}


def called_identities(row: Row) -> set[str]:
    names = set(called_names(row))
    listed = (identities(tool) for tool in row.tools or [] if tool.function.name in names)
    return names.union(*listed)


def without_tools(entry: Entry, held_out: set[str]) -> Entry:
    """The entry without the listed tools that have one of these identities."""
    tools = entry.row.tools or []
    left = [tool for tool in tools if not identities(tool) & held_out]
    return entry if len(left) == len(tools) else entry.with_row(entry.row.model_copy(update={"tools": left or None}))
