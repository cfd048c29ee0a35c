"""Tools under other names: a model that has learnt names by heart must read the list instead.

Function masking as in Hammer (arXiv:2410.04587), in place; there the new names are random, here some only change their
style.
"""

import json
import random
import re
from collections.abc import Callable, Iterable

from data.conversation import content_text
from data.preparation.relatedness import name_words
from data.row import TOOL_NAME, Message, Row, Tool


def rename_tools(row: Row, rng: random.Random) -> Row | None:
    """Every listed tool and its calls under a new name; None where a text speaks of a tool by its name.

    A tool without a description keeps the words of its name, in another style.
    """
    names = [tool.function.name for tool in row.tools or []]
    if not names or _mentions(row, names):
        return None
    taken = {call.function.name for message in row.messages for call in message.tool_calls or []} | set(names)
    style = rng.randrange(len(_STYLES) + 1)
    new: dict[str, str] = {}
    for tool in row.tools or []:
        candidates = _candidates(tool, style, rng)
        name = next((name for name in candidates if name not in taken and re.match(TOOL_NAME, name)), None)
        if name is None:
            return None
        taken.add(name)
        new[tool.function.name] = name
    tools = [
        tool.model_copy(update={"function": tool.function.model_copy(update={"name": new[tool.function.name]})})
        for tool in row.tools or []
    ]
    return row.model_copy(update={"tools": tools, "messages": [_renamed(message, new) for message in row.messages]})


_STYLES: tuple[Callable[[list[str]], str], ...] = (
    lambda words: "_".join(words),
    lambda words: "-".join(words),
    lambda words: words[0] + "".join(word.capitalize() for word in words[1:]),
    lambda words: "".join(word.capitalize() for word in words),
)


def _candidates(tool: Tool, style: int, rng: random.Random) -> Iterable[str]:
    """Names in the order of their choice; `style` may be one beyond the styles of writing: a name that says nothing."""
    words = name_words(tool.function.name)
    written = [write(words) for write in (*_STYLES[style:], *_STYLES[:style])] if words else []
    if not tool.function.description:
        return written
    opaque = [f"fn_{rng.randrange(16**6):06x}" for _ in range(3)]
    return opaque if style == len(_STYLES) else [*written[:1], *opaque]


def _renamed(message: Message, new: dict[str, str]) -> Message:
    if message.role == "tool" and message.name in new:
        return message.model_copy(update={"name": new[message.name]})
    if not message.tool_calls:
        return message
    calls = []
    for call in message.tool_calls:
        name = new.get(call.function.name, call.function.name)
        calls.append(call.model_copy(update={"function": call.function.model_copy(update={"name": name})}))
    return message.model_copy(update={"tool_calls": calls})


def _mentions(row: Row, names: list[str]) -> bool:
    texts = [content_text(message.content) + (message.refusal or "") for message in row.messages]
    for message in row.messages:
        texts += [json.dumps(call.function.arguments, ensure_ascii=False) for call in message.tool_calls or []]
    for tool in row.tools or []:
        texts += [tool.function.description or "", json.dumps(tool.function.parameters, ensure_ascii=False)]
    pattern = re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, names))})(?![\w-])")
    return any(pattern.search(text) for text in texts)
