"""Whether two tools could serve one request, judged by the words they use of themselves.

Two tools are related when their names or descriptions share a word that says what they are about: any word but the
common ones of English and of interfaces ("get", "list", "the"). That calls too many tools related and few too many
unrelated, which is the safe side where an unrelated tool is wanted.
"""

import re
from functools import lru_cache

from data.conversation import content_text
from data.row import Row, Tool

_COMMON_TEXT = """
    a about above after all also an and any api are as at available based be before between both by call calls can check
    create data date delete describe detail do does each entry fetch field file find first for format from function
    generate get given give has have if in info information input into is it its item kind last list make manage may
    more must name new no not number object of off on one only or other output param parameter perform provide query
    read related remove request resource result retrieve return run search see send set should show some specific
    specified specify start status stop string such system text than that the their them then these they this those time
    to tool turn two type up update use used user using value via view want was what when where which who will with
    within write you your
"""
_COMMON = frozenset(_COMMON_TEXT.split())
_WORDS = re.compile(r"[^\W\d_]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def name_words(name: str) -> list[str]:
    """`getHTTPStatus_now` -> get, http, status, now."""
    return [word.lower() for word in re.split(r"[_\W]+", _CAMEL.sub("_", name)) if word]


def topic_words(text: str) -> set[str]:
    """The words of a text that say what it is about, in lower case and without a plural s."""
    words = (word.lower() for word in _WORDS.findall(_CAMEL.sub(" ", text).replace("_", " ")))
    stems = (word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word for word in words)
    return {stem for stem in stems if len(stem) > 1 and stem not in _COMMON}


@lru_cache(maxsize=65536)
def _topics(name: str, description: str) -> frozenset[str]:
    return frozenset(topic_words(name) | topic_words(description))


def tool_topics(tool: Tool) -> frozenset[str]:
    return _topics(tool.function.name, tool.function.description or "")


def request_topics(row: Row) -> set[str]:
    """Of all that the user says."""
    return topic_words(" ".join(content_text(message.content) for message in row.messages if message.role == "user"))
