"""Tools under other names: a model that has learnt names by heart must read the list instead.

Function masking as in Hammer (arXiv:2410.04587), in place; there the new names are random, here some only change their
style.
"""

import random
import re
from collections.abc import Callable, Iterable
from typing import Any

from data.preparation.mentions import texts_of
from data.preparation.relatedness import name_words
from data.row import TOOL_NAME, JsonObject, Message, Row, Tool


def rename_tools(used: set[str], row: Row, rng: random.Random) -> Row | None:
    """Every listed tool, its calls and what tool texts say of it under a new name, none of the `used` ones.

    None where the old name would still be mentioned: in a message, in an argument, or as a plain word ("search") that
    may not mean the tool. A tool without a description keeps the words of its name, in another style.
    """
    new = _new_names(used, row, rng)
    if not new:
        return None
    tools = [_renamed_tool(tool, new) for tool in row.tools or []]
    messages = [_renamed(message, new) for message in row.messages]
    renamed = row.model_copy(update={"tools": tools, "messages": messages})
    return None if _mentions(renamed, list(new)) else renamed


def _new_names(used: set[str], row: Row, rng: random.Random) -> dict[str, str]:
    """Old name -> new one; empty where a tool can be given none."""
    taken = (
        used | row.tool_names() | {call.function.name for message in row.messages for call in message.tool_calls or []}
    )
    style = rng.randrange(len(_STYLES) + 1)
    new: dict[str, str] = {}
    for tool in row.tools or []:
        candidates = _candidates(tool, style, rng)
        name = next((name for name in candidates if name not in taken and re.match(TOOL_NAME, name)), None)
        if name is None:
            return {}
        taken.add(name)
        new[tool.function.name] = name
    return new


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


def _renamed_tool(tool: Tool, new: dict[str, str]) -> Tool:
    # A plain word is left standing: "search the web" speaks of no tool.
    written = [name for name in new if not name.isalpha() or not name.islower()]
    pattern = re.compile(_as_words(written)) if written else None
    old = tool.function
    update: JsonObject = {"name": new[old.name]}
    if pattern and old.description:
        update["description"] = pattern.sub(lambda found: new[found[0]], old.description)
    if pattern and old.parameters:
        update["parameters"] = _redescribed(old.parameters, pattern, new)
    return tool.model_copy(update={"function": old.model_copy(update=update)})


def _redescribed(schema: Any, pattern: re.Pattern[str], new: dict[str, str]) -> Any:
    if isinstance(schema, list):
        return [_redescribed(item, pattern, new) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: pattern.sub(lambda found: new[found[0]], value)
        if key == "description" and isinstance(value, str)
        else _redescribed(value, pattern, new)
        for key, value in schema.items()
    }


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
    pattern = re.compile(_as_words(names))
    return any(pattern.search(text) for text in texts_of(row))


def _as_words(names: list[str]) -> str:
    return rf"(?<![\w-])(?:{'|'.join(map(re.escape, names))})(?![\w-])"
