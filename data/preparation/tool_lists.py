"""Tool lists changed so that the right calls stay the right ones: another order, tools to ignore, shorter texts."""

import random
import re
from collections import defaultdict
from collections.abc import Iterable
from itertools import islice

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


class OtherTools:
    """The tools of all training rows, of which a row is given those that are of no use to it.

    A tool is of no use to a row when no row lists it beside one of the row's own tools, and when it shares no topic
    word (`data.preparation.relatedness`) with a tool of the row or with what the user says.
    """

    def __init__(self, entries: list[Entry], held_out: Iterable[Entry] = ()) -> None:
        """Tools of `held_out` rows are given to none, and no tool may be renamed to one of their names."""
        self.all_names = {name for entry in (*entries, *held_out) for name in entry.row.tool_names()}
        self._tools: dict[str, Tool] = {}
        self._beside: dict[str, set[str]] = defaultdict(set)
        for entry in entries:
            names = entry.row.tool_names()
            for tool in entry.row.tools or []:
                self._tools.setdefault(tool.function.name, tool)
                self._beside[tool.function.name] |= names
        self._names = sorted(self._tools)

    def useless(self, row: Row, count: int, rng: random.Random) -> list[Tool]:
        """At most `count` of them, as many as `MAX_TRIES` random tools hold."""
        own = row.tools or []
        known = set(called_names(row)).union(*(self._beside[tool.function.name] for tool in own))
        topics = request_topics(row).union(*(tool_topics(tool) for tool in own))
        drawn = (self._tools[name] for name in rng.sample(self._names, min(MAX_TRIES, len(self._names))))
        found = (tool for tool in drawn if tool.function.name not in known and not tool_topics(tool) & topics)
        return list(islice(found, count))


def add_distractors(others: OtherTools, row: Row, rng: random.Random) -> Row | None:
    """One to three useless tools at random places; None where none is found, or where the row calls nothing.

    Beside a row without a call even a far-fetched tool could make its answer wrong.
    """
    tools = list(row.tools or [])
    if not tools or not called_names(row):
        return None
    added = others.useless(row, min(rng.randint(1, 3), MAX_TOOLS - len(tools)), rng)
    for tool in added:
        tools.insert(rng.randint(0, len(tools)), tool)
    return row.model_copy(update={"tools": tools}) if added else None
