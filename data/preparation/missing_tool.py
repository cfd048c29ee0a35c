"""Rows in which the tool that a request needs is not there: the right answer is to say so, and to call nothing.

The irrelevance rows of Hammer (arXiv:2410.04587) and ToolACE (arXiv:2409.00920), made from rows that call.
"""

import random
import re

from data.conversation import content_text
from data.preparation.relatedness import tool_topics, topic_words
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


def drop_called_tool(row: Row, rng: random.Random) -> Row | None:
    """The row up to its first calling turn, with an answer in its place and without the tools that could serve it.

    Those are the tools that the turn calls and every tool that shares a topic word with one of them or with the request
    (`data.preparation.relatedness`). None where no tool stays, the turn is not trained, or the request is not English.
    """
    at = next((number for number, message in enumerate(row.messages) if message.tool_calls), None)
    if at is None or not row.messages[at].is_trained:
        return None
    request = next((m for m in reversed(row.messages[:at]) if m.role == "user"), None)
    if request is None or not _is_english(content_text(request.content)):
        return None
    called = {call.function.name for call in row.messages[at].tool_calls or []}
    topics = topic_words(content_text(request.content)).union(
        *(tool_topics(tool) for tool in row.tools or [] if tool.function.name in called)
    )
    left = [tool for tool in row.tools or [] if tool.function.name not in called and not tool_topics(tool) & topics]
    if not left:
        return None
    answer = Message(role="assistant", content=rng.choice(ANSWERS))
    return row.model_copy(update={"tools": left, "messages": [*row.messages[:at], answer]})


def _is_english(text: str) -> bool:
    return bool(_ENGLISH & set(re.findall(r"\w+", text.lower())))
