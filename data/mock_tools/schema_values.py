"""Random arguments that a tool's JSON Schema takes, worded as a user would say them.

Made by a small generator and then checked as rows are checked (`data.rules.arguments`): a schema that asks for more
than the generator knows gives no arguments, never wrong ones.
"""

import json
import math
from random import Random
from typing import Any

from data.mock_tools.names import subject_of, words_of
from data.mock_tools.pattern_text import UnmadeError, pattern_text
from data.mock_tools.value_words import examples_in, format_for, formatted, id_text, plain_words
from data.row import JsonObject
from data.rules.arguments import argument_faults

_ATTEMPTS = 20
_MAX_DEPTH = 5
_OPTIONAL_SHARE = 0.35
_MAX_ITEMS = 2


def draw_arguments(tool: JsonObject, rng: Random) -> JsonObject:
    """All required arguments and some of the others. Raises UnmadeError when no draw satisfies the schema."""
    function = tool["function"]
    schema = function.get("parameters") or {"type": "object", "properties": {}}
    text, why = json.dumps(schema), ""
    for attempt in range(_ATTEMPTS):
        # The last draws are bare: optional arguments and examples may be what the schema forbids.
        share = _OPTIONAL_SHARE if attempt < _ATTEMPTS // 2 else 0.0
        arguments = _Draw(schema, rng, share).value(schema, "", 0)
        if not isinstance(arguments, dict):
            raise UnmadeError(f"{function['name']}: its parameters are no object")
        faults = argument_faults(function["name"], text, arguments)
        if not faults:
            return arguments
        why = f"{faults[0].key} {faults[0].reason}"
    raise UnmadeError(f"{function['name']}: {why}")


class _Draw:
    def __init__(self, root: JsonObject, rng: Random, optional_share: float) -> None:
        self._root, self._rng, self._optional_share = root, rng, optional_share

    def value(self, schema: Any, name: str, depth: int) -> Any:
        """A value for the argument `name`, which its words fit where the schema leaves a choice."""
        if depth > _MAX_DEPTH:
            raise UnmadeError(f"{name}: nested too deeply")
        schema = self._plain(schema)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return self._rng.choice([item for item in schema["enum"] if item is not None] or schema["enum"])
        match _type_of(schema):
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, name, depth)
            case "boolean":
                return self._rng.random() < 0.5
            case "integer" | "number" as kind:
                return self._number(schema, kind, name)
            case "null":
                return None
            case _:
                return self._text(schema, name)

    def _plain(self, schema: Any) -> JsonObject:
        """Without references and choices: local $ref followed, allOf merged, one branch taken that is not null."""
        for _ in range(_MAX_DEPTH):
            if not isinstance(schema, dict):
                return {}  # true: anything
            if "$ref" in schema:
                schema = self._referenced(str(schema["$ref"])) | {k: v for k, v in schema.items() if k != "$ref"}
            elif "allOf" in schema:
                parts = [self._plain(part) for part in schema["allOf"]]
                schema = _merged([*parts, {k: v for k, v in schema.items() if k != "allOf"}])
            elif branches := schema.get("anyOf") or schema.get("oneOf"):
                real = [branch for branch in branches if branch != {"type": "null"}]
                rest = {k: v for k, v in schema.items() if k not in ("anyOf", "oneOf")}
                schema = _merged([rest, self._plain(self._rng.choice(real or branches))])
            else:
                return schema
        raise UnmadeError("references in a circle")

    def _referenced(self, pointer: str) -> JsonObject:
        found: Any = self._root
        if not pointer.startswith("#"):
            raise UnmadeError(f"$ref {pointer!r} leads out of the schema")
        for part in pointer.lstrip("#/").split("/"):
            found = found.get(part) if isinstance(found, dict) and part else found
        if not isinstance(found, dict):
            raise UnmadeError(f"$ref {pointer!r} leads nowhere")
        return found

    def _object(self, schema: JsonObject, depth: int) -> JsonObject:
        required = schema.get("required") or []
        out = {}
        for name, sub in (schema.get("properties") or {}).items():
            if name in required or self._rng.random() < (self._optional_share if depth == 0 else 0):
                out[name] = self.value(sub, name, depth + 1)
        return out

    def _array(self, schema: JsonObject, name: str, depth: int) -> list[Any]:
        least = schema.get("minItems", 1)
        length = self._rng.randint(least, max(least, min(schema.get("maxItems", _MAX_ITEMS), _MAX_ITEMS)))
        items: list[Any] = []
        for _ in range(length * _ATTEMPTS):
            if len(items) == length:
                break
            item = self.value(schema.get("items", {}), name, depth + 1)
            if item not in items:  # twice the same is rarely meant
                items.append(item)
        return items

    def _number(self, schema: JsonObject, kind: str, name: str) -> int | float:
        if (example := self._example(schema, kind)) is not None:
            return float(example) if kind == "number" and not float(example).is_integer() else int(float(example))
        low = schema.get("minimum", schema.get("exclusiveMinimum"))
        high = schema.get("maximum", schema.get("exclusiveMaximum"))
        if low is None:
            low = 1 if high is None or high > 1 else high - 100
        if high is None:
            high = low + (100 if "year" not in words_of(name) else 0)
            low, high = (2001, 2025) if "year" in words_of(name) and low <= 2001 else (low, high)
        step = schema.get("multipleOf") or (1 if kind == "integer" or high - low > 10 else 0.1)
        first, last = math.ceil(low / step), math.floor(high / step)
        drawn = self._rng.randint(first, max(first, last)) * step
        return int(drawn) if kind == "integer" or float(drawn).is_integer() else round(drawn, 6)

    def _text(self, schema: JsonObject, name: str) -> str:
        if pattern := schema.get("pattern"):
            return pattern_text(pattern, self._rng)
        words = words_of(name)
        if (text := formatted(schema.get("format", ""), self._rng)) is not None:
            return text
        if (example := self._example(schema, "string")) is not None:
            return str(example)
        if words[-1] == "id" or subject_of(name):
            text = id_text(subject_of(name) or ["id"], self._rng)
        else:
            text = formatted(format_for(words), self._rng) or plain_words(words, self._rng)
        least, most = schema.get("minLength", 0), schema.get("maxLength", 200)
        while len(text) < least:
            text += f" {plain_words([], self._rng)}"
        return text[: max(most, 0)].rstrip() if len(text) > most else text

    def _example(self, schema: JsonObject, kind: str) -> Any:
        """One that the schema or its description gives, of this type; None where there is none, or in a bare draw."""
        if not self._optional_share:
            return None
        given = schema.get("examples") if isinstance(schema.get("examples"), list) else []
        given = [*(given or []), *examples_in(str(schema.get("description") or ""))]
        fitting = [example for example in given if _fits(example, kind)]
        return self._rng.choice(fitting) if fitting else None


def _fits(example: Any, kind: str) -> bool:
    if kind == "string":
        return isinstance(example, str)
    try:
        number = float(example)
    except (TypeError, ValueError):
        return False
    return math.isfinite(number) and (kind == "number" or number.is_integer()) and not isinstance(example, bool)


def _type_of(schema: JsonObject) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((name for name in kind if name != "null"), "null")
    if kind is None:
        return "object" if "properties" in schema else "array" if "items" in schema else "string"
    return str(kind)


def _merged(parts: list[JsonObject]) -> JsonObject:
    out: JsonObject = {}
    for part in parts:
        for key, value in part.items():
            if key == "properties":
                value = {**out.get(key, {}), **value}
            elif key == "required":
                value = list(dict.fromkeys([*out.get(key, []), *value]))
            out[key] = value
    return out
