"""Rows in which the tool that a request needs is not there: the right answer is to say so, and to call nothing.

The irrelevance rows of Hammer (arXiv:2410.04587) and ToolACE (arXiv:2409.00920), made from rows that call.
"""

import random
import re

from data.conversation import content_text
from data.preparation.tool_lists import OtherTools
from data.row import Message, Row

ANSWERS = (
    "I'm sorry, but I don't have a tool that can do that.",
    "None of the tools I have can do this, so I can't help with it here.",
    "I can't do that: the tool it would take isn't available to me.",
    "That isn't something I can do with the tools I have. Is there anything else I can help with?",
    "Unfortunately, I have no tool for that request.",
    "I'm not able to do this, because none of my tools covers it.",
    "Sorry, I can't complete this with the tools at hand.",
    "I don't have access to a tool for this, so I can't carry it out.",
)
# Of English alone among the languages that rows come in: the answers are English, and so must the request be.
_ENGLISH_TEXT = "the and please what with you this that from how would like your need could are should"
_ENGLISH = frozenset(_ENGLISH_TEXT.split())


def drop_called_tool(others: OtherTools, row: Row, rng: random.Random) -> Row | None:
    """The row up to its first calling turn, with an answer in its place and tools that are of no use to it.

    The tools beside the called one go too: lists are often made of tools that are alike, and whether one of them could
    do as well ("getFilmInfo" for an animation) no list of words can tell. None where there are no useless tools, the
    turn is not trained, or the request is not English.
    """
    at = next((number for number, message in enumerate(row.messages) if message.tool_calls), None)
    if at is None or not row.messages[at].is_trained:
        return None
    request = next((m for m in reversed(row.messages[:at]) if m.role == "user"), None)
    if request is None or not _is_english(content_text(request.content)):
        return None
    tools = others.useless(row, len(row.tools or []), rng)
    if not tools:
        return None
    answer = Message(role="assistant", content=rng.choice(ANSWERS))
    return row.model_copy(update={"tools": tools, "messages": [*row.messages[:at], answer]})


def _is_english(text: str) -> bool:
    return bool(_ENGLISH & set(re.findall(r"\w+", text.lower())))
