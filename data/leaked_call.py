"""Call text that a server left in the content: its parser does not fit the model, or the model misspelt the call."""

import re
from functools import lru_cache

# Tags and tokens that open a call in the formats of Hermes, Qwen, Llama 3.1, Mistral, DeepSeek and Functionary.
_CALL_MARKS = re.compile(r"</?tool_calls?>|<function[=\s]|<\|python_tag\|>|\[TOOL_CALLS\]|<\|?tool▁calls?▁begin")
# A bare JSON call, whole or cut off: {"name": "...", "arguments" or {"type": "function", ...
_CALL_JSON = re.compile(r'\{\s*"(?:name"\s*:\s*"[^"]*"\s*,\s*"(?:arguments|parameters)"|type"\s*:\s*"function")\s*[:,]')


def find_leak(content: str, tool_names: set[str]) -> str:
    """The first words of a call that the server left in the content; "" when there is none."""
    if not content:
        return ""
    found = _CALL_MARKS.search(content) or _CALL_JSON.search(content)
    if found is None and tool_names:
        found = _python_call(frozenset(tool_names)).match(content)
    return content[found.start() : found.start() + 40] if found else ""


@lru_cache
def _python_call(tool_names: frozenset[str]) -> re.Pattern[str]:
    """Python style, [create_task(title="x")], whatever brackets surround it."""
    return re.compile(rf"[\s\[`]*(?:python\s+)?(?:{'|'.join(map(re.escape, sorted(tool_names)))})\(")
