"""Tools as strict clients send them: every argument required, null where nothing is meant; and calls that write it.

The Agents SDK's `function_tool`, the OpenAI SDK's `pydantic_function_tool` and the strict modes of LangChain and
Pydantic AI make such schemas (OpenAI's guide to structured outputs, "all fields must be required"), and vLLM's grammar
then has the model write every argument. One that has never seen a null there makes values up.
"""

import json
import random
from functools import partial
from typing import Any, Literal

from data.preparation.call_arguments import with_arguments
from data.row import JsonObject, Row, Tool
from data.rules.arguments import broken_schema

Style = Literal["schema", "signature"]
"""`schema`: as it is, null as one of the types. `signature`: as libraries make it from a function's signature, null by
`anyOf`, and of each argument no more than its type and choices."""
_OF_SIGNATURE = {"type", "enum", "const", "items", "properties", "required", "additionalProperties", "anyOf"}
_OTHERWISE = {
    "$ref", "$defs", "definitions", "allOf", "oneOf", "not", "if", "then", "else", "prefixItems", "patternProperties",
    "propertyNames", "minProperties", "maxProperties", "dependentRequired", "dependentSchemas",
    "unevaluatedProperties", "default",
}  # fmt: skip
"""Keywords that strict mode does not take, or that a null in an argument's place may break."""


class _NotStrictError(Exception):
    pass


def make_strict(row: Row, rng: random.Random) -> Row | None:
    """Every listed tool with a strict schema, every call with all of its tool's arguments, in the schema's order.

    None without tools, where a schema says what strict mode cannot, and where a call does not keep to its schema.
    """
    style: Style = rng.choice(("schema", "signature"))
    schemas = {tool.function.name: tool.function.parameters or {} for tool in row.tools or []}
    try:
        tools = [_strict_tool(tool, style) for tool in row.tools or []]
        messages = [with_arguments(message, partial(_filled_call, schemas)) for message in row.messages]
    except _NotStrictError:
        return None
    return row.model_copy(update={"tools": tools, "messages": messages}) if tools else None


def strict_parameters(parameters: JsonObject | None, style: Style) -> JsonObject | None:
    """A tool's schema as strict mode wants it; None where that cannot say the same, and for no schema."""
    if broken_schema(json.dumps(parameters or {})):
        return None
    try:
        return _strict(parameters or {"type": "object", "properties": {}}, style)
    except _NotStrictError:
        return None


def without_fillers(value: Any, schema: JsonObject) -> Any:
    """A strict call's arguments without the nulls of optional ones; `schema` is the one that was made strict."""
    if isinstance(value, list) and "items" in schema:
        return [without_fillers(item, schema["items"]) for item in value]
    if not isinstance(value, dict) or "properties" not in schema:
        return value
    required, properties = schema.get("required") or [], schema["properties"]
    given = {key: item for key, item in value.items() if item is not None or key in required}
    return {key: without_fillers(item, properties.get(key, {})) for key, item in given.items()}


def _strict_tool(tool: Tool, style: Style) -> Tool:
    parameters = strict_parameters(tool.function.parameters, style)
    if parameters is None:
        raise _NotStrictError
    function = tool.function.model_copy(update={"parameters": parameters, "strict": True})
    return tool.model_copy(update={"function": function})


def _strict(schema: Any, style: Style) -> JsonObject:
    if not isinstance(schema, dict) or set(schema) & _OTHERWISE or schema.get("additionalProperties"):
        raise _NotStrictError
    strict = {key: value for key, value in schema.items() if style == "schema" or key in _OF_SIGNATURE}
    if "properties" in schema:
        required = set(schema.get("required") or [])
        strict["properties"] = {
            name: _strict(sub, style) if name in required else _nullable(_strict(sub, style), style)
            for name, sub in schema["properties"].items()
        }
        strict |= {"required": list(schema["properties"]), "additionalProperties": False}
    elif "object" in _types(schema):
        raise _NotStrictError  # one of any keys
    if "items" in schema:
        strict["items"] = _strict(schema["items"], style)
    if "anyOf" in schema:
        strict["anyOf"] = [_strict(choice, style) for choice in schema["anyOf"]]
    return strict


def _nullable(schema: JsonObject, style: Style) -> JsonObject:
    if "null" in _types(schema) or any("null" in _types(choice) for choice in schema.get("anyOf", [])):
        return schema
    if style == "schema" and "type" in schema and "const" not in schema:
        enum = {"enum": [*schema["enum"], None]} if "enum" in schema else {}
        return schema | {"type": [*_types(schema), "null"]} | enum
    told = {key: schema[key] for key in ("title", "description") if key in schema}
    meant = {key: value for key, value in schema.items() if key not in told}
    choices = meant["anyOf"] if set(meant) == {"anyOf"} else [meant]
    return told | {"anyOf": [*choices, {"type": "null"}]}


def _types(schema: JsonObject) -> list[str]:
    types = schema.get("type", [])
    return types if isinstance(types, list) else [types]


def _filled_call(schemas: dict[str, JsonObject], name: str, arguments: JsonObject) -> Any:
    if name not in schemas:
        raise _NotStrictError
    return _filled(arguments, {"properties": {}} | schemas[name])


def _filled(value: Any, schema: JsonObject) -> Any:
    """With a null for every argument that was left out; of `anyOf` what is given is as it was."""
    if isinstance(value, list) and "items" in schema:
        return [_filled(item, schema["items"]) for item in value]
    if not isinstance(value, dict) or "properties" not in schema:
        return value
    properties = schema["properties"]
    if set(value) - set(properties) or set(schema.get("required") or []) - set(value):
        raise _NotStrictError
    return {name: _filled(value[name], sub) if name in value else None for name, sub in properties.items()}
