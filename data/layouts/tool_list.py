"""Tool lists of every layout as the row has them: `{"type": "function", "function": {...}}` with a JSON Schema."""

from collections import Counter
from typing import Any

from data.layouts.literal import read_value
from data.layouts.python_types import JSON_TYPES, read_type
from data.layouts.record_error import RecordError, as_list, as_object, as_text
from data.row import JsonObject

# What a tool returns has no place in the layout that models are served with.
_RETURNS = ("response", "responses", "return", "returns", "output")
_SCHEMA_MARKS = ("properties", "$ref", "anyOf", "oneOf", "allOf")


def read_tools(value: Any, notes: Counter[str]) -> list[JsonObject]:
    """A tool list, as a list or as JSON (or Python) text, with its functions wrapped or bare."""
    if isinstance(value, str):
        value = read_value(value, "the tool list") if value.strip() else []
    return [_tool(as_object(item, "a tool"), notes) for item in as_list(value, "the tool list")]


def _tool(item: JsonObject, notes: Counter[str]) -> JsonObject:
    if item.get("type", "function") != "function":
        raise RecordError("tools", f"a tool has the type {item['type']!r}", "only function tools are served")
    wrapped = "function" in item
    function = as_object(item["function"], "a function") if wrapped else item
    if wrapped and (unknown := set(item) - {"type", "function"}):
        raise RecordError("tools", f"key {min(unknown)!r} stands beside a function", "move it into the function")
    out: JsonObject = {}
    for key, found in function.items():
        if found is None or (key == "type" and not wrapped):
            continue
        if key in _RETURNS:
            notes[f"tool {key!r} left out"] += 1
        else:
            out[key] = read_parameters(found, notes) if key == "parameters" else found
    return {"type": "function", "function": out}


def read_parameters(value: Any, notes: Counter[str]) -> JsonObject:
    """A JSON Schema, whose Python type names are mapped, or xLAM's map of parameters made into one."""
    parameters = as_object(value, "the parameters of a tool")
    if not parameters or isinstance(parameters.get("type"), str | list) or any(k in parameters for k in _SCHEMA_MARKS):
        return _with_json_types(parameters, notes)
    return parameters_from_map(parameters, None, notes)


def parameters_from_map(parameters: JsonObject, required: list[Any] | None, notes: Counter[str]) -> JsonObject:
    """`{"city": {"type": "str, optional", "description": ...}}` as a JSON Schema.

    Without a `required` list, a parameter is required that is neither called optional nor has a default.
    """
    notes["parameter map made a JSON Schema"] += 1
    properties, needed = {}, []
    for name, given in parameters.items():
        spec = dict(as_object(given, f"parameter {name!r}"))
        marked = spec.pop("required", None) if isinstance(spec.get("required"), bool) else None
        is_optional = isinstance(spec.get("type"), str) and read_type(spec["type"]).is_optional
        if marked or (marked is None and not is_optional and "default" not in spec):
            needed.append(name)
        properties[name] = _with_json_types(spec, notes)
    if required is not None:
        needed = [as_text(name, "a required parameter") for name in required]
    return {"type": "object", "properties": properties} | ({"required": needed} if needed else {})


def _with_json_types(schema: JsonObject, notes: Counter[str]) -> JsonObject:
    """The schema with Python's type names mapped, wherever a schema may hold another."""
    out: JsonObject = {}
    for key, value in schema.items():
        if key in ("properties", "$defs", "definitions", "patternProperties") and isinstance(value, dict):
            out[key] = {name: _sub_schema(sub, notes) for name, sub in value.items()}
        elif key in ("anyOf", "oneOf", "allOf", "prefixItems") and isinstance(value, list):
            out[key] = [_sub_schema(sub, notes) for sub in value]
        elif key in ("items", "additionalProperties", "not"):
            out[key] = _sub_schema(value, notes)
        elif key == "type" and isinstance(value, str) and value not in JSON_TYPES:
            out |= _mapped(value, notes)
        else:
            out[key] = value
    return out


def _sub_schema(value: Any, notes: Counter[str]) -> Any:
    """A schema inside another; true and false are schemas too."""
    return _with_json_types(value, notes) if isinstance(value, dict) else value


def _mapped(name: str, notes: Counter[str]) -> JsonObject:
    schema = read_type(name).schema
    if schema is None:
        notes[f"unknown type {name!r} left out"] += 1
        return {}
    notes["Python type name mapped"] += 1
    return schema
