"""Templates of graders: `{{ item.x }}` and `{{ sample.output_tools[0].function.name }}` as plain look-ups.

Only keys of objects and places of lists are followed: there is no expression, no filter, no attribute and no call, so
a template from anywhere can be filled. OpenAI's guide gives the two namespaces and examples; the grammar is ours.
"""

import json
import re
from typing import Any

from data.row import JsonObject
from data.user_error import UserError

_TEMPLATE = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_STEP = re.compile(r"\.?(?P<key>[A-Za-z_][\w-]*)|\[(?P<place>\d+)\]|\[(?P<quote>['\"])(?P<quoted>.*?)(?P=quote)\]")
_NAMESPACES = ("item", "sample")


def fill(template: str, namespaces: JsonObject) -> str:
    """Every `{{ path }}` replaced, by text as it is or by JSON. Raises UserError for a path that leads nowhere."""
    return _TEMPLATE.sub(lambda found: _text(look_up(found.group(1).strip(), namespaces)), template)


def look_up(path: str, namespaces: JsonObject) -> Any:
    value: Any = namespaces
    for step in _steps(path):
        is_there = step in value if isinstance(value, dict) else isinstance(value, list) and step in range(len(value))
        if not is_there:
            raise UserError(f"nothing at {step!r} of {path!r}", where="template")
        value = value[step]
    return value


def check_template(template: str, where: str) -> None:
    """Raise UserError for what is no path at all, before anything is graded."""
    for found in _TEMPLATE.finditer(template):
        try:
            _steps(found.group(1).strip())
        except UserError as error:
            raise UserError(error.what, where=where, fix=error.fix) from error


def _steps(path: str) -> list[str | int]:
    steps: list[str | int] = []
    position = 0
    while position < len(path):
        found = _STEP.match(path, position)
        if not found or (position == 0 and path[0] in ".["):
            break
        place = found.group("place")
        steps.append(int(place) if place else found.group("key") or found.group("quoted"))
        position = found.end()
    if position < len(path) or not steps or steps[0] not in _NAMESPACES:
        fix = "write item.KEY or sample.KEY, with .KEY and [PLACE] for what lies deeper"
        raise UserError(f"{path!r} is no path of a template", where="template", fix=fix)
    return steps


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
