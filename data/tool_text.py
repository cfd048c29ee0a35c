"""The tool list that every template of ours begins with, tool by tool: most of the text of a row.

What a tool's line is, `templates/tools.jinja` says. The macros take 0.1 ms a tool, so the lines are written here in
Python, and only where the macros were seen to write the same: nothing but the shape of a tool steers them (keys, kinds
of values, which texts are empty), all else they write as JSON. So the first tool of each shape is written by both, and
where they differ its shape is left to the macros. 2,337 real tools have 32 shapes.
"""

from functools import lru_cache
from typing import Any

from jinja2 import Environment

from data.row import JsonObject
from data.strict_json import to_json
from data.template import TOOL_MACROS

_MAPS = {"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"}
"""Keywords whose object has schemas under names of the user's."""
_LISTS = {"anyOf", "oneOf", "allOf", "prefixItems"}
_VALUES = {"enum", "const", "default", "examples", "required", "dependentRequired"}
_FIRST = [
    "type", "description", "enum", "const", "format", "default", "items", "properties", "required",
    "additionalProperties",
]  # fmt: skip
MAX_SHAPES = 4096

_is_proven: dict[Any, bool] = {}
"""By shape: whether the macros write the line that is written here."""


def tool_line(tool: JsonObject) -> str:
    """The line of one tool. Raises whatever the macros raise for a tool that they cannot write."""
    shape = _shape(tool)
    if shape not in _is_proven:
        if len(_is_proven) >= MAX_SHAPES:
            _is_proven.clear()
        _is_proven[shape] = _written(tool) == macro_line(tool)
    return _written(tool) if _is_proven[shape] else macro_line(tool)


def tool_list_text(lines: list[str]) -> str:
    """The tool list of these lines: the macro writes each tool by itself."""
    head, tail = _tool_list_frame()
    return head + "".join(lines) + tail


def macro_line(tool: JsonObject) -> str:
    """The line as the template writes it."""
    head, tail = _tool_list_frame()
    return _tool_list([tool])[len(head) : -len(tail)]


def _shape(value: Any) -> Any:
    """All of a tool that can steer the macros: equal shapes are written alike."""
    if isinstance(value, dict):
        return tuple(
            (key, tuple(map(_shape, held.values())) if key in _MAPS and isinstance(held, dict) else _shape(held))
            for key, held in value.items()
        )
    if isinstance(value, list):
        return list, *map(_shape, value)
    return type(value), value == ""


def _written(tool: JsonObject) -> str:
    function = tool["function"]
    name, description = to_json(function["name"]), function.get("description")
    described = f', "description": {to_json(description)}' if description else ""
    parameters = _canonical(function.get("parameters") or {"type": "object", "properties": {}})
    return f'{{"type": "function", "function": {{"name": {name}{described}, "parameters": {parameters}}}}}\n'


def _canonical(schema: Any) -> str:
    if not isinstance(schema, dict):
        return to_json(schema)
    others = sorted((key for key in schema if key not in _FIRST), key=str.lower)
    keys = [*(key for key in _FIRST if key in schema), *others]
    fields = [f"{to_json(key)}: {_keyword(key, schema[key])}" for key in keys if _is_kept(key, schema[key])]
    return f"{{{', '.join(fields)}}}"


def _is_kept(key: str, value: Any) -> bool:
    if value is None:
        return key == "const"
    return not (key == "title" and isinstance(value, str)) and not (key == "description" and value == "")


def _keyword(key: str, value: Any) -> str:
    if key in _MAPS and isinstance(value, dict):
        return f"{{{', '.join(f'{to_json(name)}: {_canonical(schema)}' for name, schema in value.items())}}}"
    if key in _LISTS and isinstance(value, list):
        return f"[{', '.join(map(_canonical, value))}]"
    return to_json(value) if key in _VALUES else _canonical(value)


@lru_cache(maxsize=1)
def _tool_list_frame() -> tuple[str, str]:
    """What stands before and after the tools: where the list of none and the list of one part."""
    none, one = _tool_list([]), _tool_list([{"type": "function", "function": {"name": "one"}}])
    end_of_head = next(place for place, letter in enumerate(none) if letter != one[place])
    return none[:end_of_head], none[end_of_head:]


def _tool_list(tools: list[JsonObject]) -> str:
    return str(_tool_macros().tool_list(tools))


@lru_cache(maxsize=1)
def _tool_macros() -> Any:
    """Compiled as transformers compiles templates, but without its sandbox: the file is ours, and twice as fast."""
    environment = Environment(trim_blocks=True, lstrip_blocks=True)
    environment.filters["tojson"] = to_json
    return environment.from_string(TOOL_MACROS).module
