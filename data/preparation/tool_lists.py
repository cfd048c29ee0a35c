"""Tool lists changed so that the right calls stay the right ones: another order, tools to ignore, shorter texts."""

import random
import re
from collections import defaultdict

from data.preparation.called_tools import called_names
from data.preparation.entries import Entry
from data.preparation.relatedness import request_topics, tool_topics
from data.row import Row, Tool

MAX_TOOLS = 128  # what a row may hold
MAX_TRIES = 60
_FIRST_SENTENCE = re.compile(r"(?s)(.{12,}?(?<!e\.g)(?<!i\.e)(?<!etc)[.!?])\s+(?=[^\Wa-z])|([^\n]{12,}?)\s*\n")


def shuffle_tools(row: Row, rng: random.Random) -> Row | None:
    """None for fewer than two tools."""
    tools = row.tools or []
    if len(tools) < 2:
        return None
    order = list(range(len(tools)))
    while order == sorted(order):
        rng.shuffle(order)
    return row.model_copy(update={"tools": [tools[position] for position in order]})


def shorten_descriptions(row: Row, _: random.Random) -> Row | None:
    """Tool descriptions up to their first sentence; those of arguments stay, since they say how values are written.

    None where every description is that short.
    """
    tools = [_shortened(tool) for tool in row.tools or []]
    return row.model_copy(update={"tools": tools}) if tools != (row.tools or []) else None


def _shortened(tool: Tool) -> Tool:
    found = _FIRST_SENTENCE.match(tool.function.description or "")
    if not found:
        return tool
    function = tool.function.model_copy(update={"description": found[1] or found[2]})
    return tool.model_copy(update={"function": function})


class Distractors:
    """Tools of the training rows, to be listed where they are of no use.

    A tool is no use to a row when no row lists it beside one of the row's own tools, and when it shares no topic word
    (`data.preparation.relatedness`) with a tool of the row or with what the user says. Rows without a call get none:
    there even a far-fetched tool could make the answer wrong.
    """

    def __init__(self, entries: list[Entry]) -> None:
        self._tools: dict[str, Tool] = {}
        self._beside: dict[str, set[str]] = defaultdict(set)
        for entry in entries:
            names = entry.row.tool_names()
            for tool in entry.row.tools or []:
                self._tools.setdefault(tool.function.name, tool)
                self._beside[tool.function.name] |= names
        self._names = sorted(self._tools)

    def add(self, row: Row, rng: random.Random) -> Row | None:
        """One to three of them at random places; None where none is found."""
        tools = list(row.tools or [])
        if not called_names(row) or not tools or len(tools) == MAX_TOOLS:
            return None
        wanted = min(rng.randint(1, 3), MAX_TOOLS - len(tools))
        known = set(called_names(row)).union(*(self._beside[tool.function.name] for tool in tools))
        topics = request_topics(row).union(*(tool_topics(tool) for tool in tools))
        found: list[Tool] = []
        for name in rng.sample(self._names, min(MAX_TRIES, len(self._names))):
            if len(found) < wanted and name not in known and not tool_topics(self._tools[name]) & topics:
                found.append(self._tools[name])
        for tool in found:
            tools.insert(rng.randint(0, len(tools)), tool)
        return row.model_copy(update={"tools": tools}) if found else None
