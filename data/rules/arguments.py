"""The arguments of a call against its tool's JSON Schema, and more strictly where table libraries spoil rows."""

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from pydantic_core import to_json
from referencing import Registry

from data.row import JsonObject
from data.rules.findings import Fault
from data.rules.formats import FORMATS

NULL_FIX = "leave the key out; table libraries fill nulls in"
# Beside one of these, keys that `properties` does not list may be meant.
OPENING = {
    "patternProperties", "unevaluatedProperties", "dependentSchemas", "if", "allOf", "anyOf",
    "oneOf", "$ref", "$dynamicRef",
}  # fmt: skip


def schema_text(schema: JsonObject) -> str:
    """JSON text by which the functions below know a schema again; every tool of every row is written, hence in Rust."""
    return to_json(schema).decode()


def argument_faults(name: str, schema: str, arguments: JsonObject) -> list[Fault]:
    """Every fault of the arguments, with keys as in `.host`; `schema` is JSON text, so that it is compiled once."""
    faults = {fault.key: fault for fault in _undeclared(name, json.loads(schema), arguments, "")}
    undeclared = set(faults)
    try:
        for error in validator(schema).iter_errors(arguments):
            fault = _schema_fault(name, error)
            # Undeclared keys have been told by their own names; two faults of one value are told once.
            if error.validator == "additionalProperties" and any(key.startswith(f"{fault.key}.") for key in undeclared):
                continue
            faults.setdefault(fault.key, fault)
    except Exception as error:  # an unresolvable $ref or a broken pattern raises whatever its library raises
        return [Fault("tool_schema", f"the schema of {name!r} cannot be used: {error}", fix="mend the schema")]
    return list(faults.values())


@lru_cache(maxsize=4096)  # rows share their tools: checking each row's anew took 20 s for 2,700 rows
def broken_schema(schema: str) -> str:
    """Why this JSON text is no JSON Schema of an object, or ""."""
    parsed = json.loads(schema)
    try:
        Draft202012Validator.check_schema(parsed)
    except SchemaError as error:
        return error.message
    except RecursionError:
        return "it is nested too deeply"
    kind = parsed.get("type", "object")
    return "" if kind == "object" or kind == ["object"] else f"its type is {kind!r}"


@lru_cache(maxsize=4096)
def validator(schema: str) -> Draft202012Validator:
    # An empty registry: jsonschema would fetch a $ref that is an address, and rows must not open connections.
    return Draft202012Validator(json.loads(schema), registry=Registry(), format_checker=FORMATS)


@lru_cache(maxsize=4096)
def loose_object(schema: str) -> str:
    """The first object of the schema that `strict: true` does not allow, as a path and why, or ""."""
    return next(_loose(json.loads(schema), "parameters"), "")


def _loose(schema: Any, path: str) -> Iterator[str]:
    if isinstance(schema, list):
        for index, item in enumerate(schema):
            yield from _loose(item, f"{path}[{index}]")
    if not isinstance(schema, dict):
        return
    properties = schema.get("properties")
    if isinstance(properties, dict) or schema.get("type") == "object":
        if schema.get("additionalProperties") is not False:
            yield f"{path} needs additionalProperties false"
        optional = sorted(set(properties or {}) - set(schema.get("required") or []))
        if optional:
            yield f"{path} must require {', '.join(optional)}"
    for key in ("properties", "$defs", "definitions"):
        maps = schema.get(key)
        for name, sub in maps.items() if isinstance(maps, dict) else ():
            yield from _loose(sub, f"{path}.{key}.{name}")
    for key in ("items", "anyOf"):
        yield from _loose(schema.get(key), f"{path}.{key}")


def _schema_fault(name: str, error: ValidationError) -> Fault:
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path)
    if error.instance is None:
        return Fault("null_argument", f"is null, which the schema of {name!r} does not allow", key=key, fix=NULL_FIX)
    rule = "argument_format" if error.validator == "format" else "argument_schema"
    return Fault(rule, f"breaks the schema of {name!r}: {error.message}", key=key, fix="correct the call or the schema")


def _undeclared(name: str, schema: Any, value: Any, path: str) -> Iterator[Fault]:
    """Keys that no schema lists; JSON Schema lets them pass, and a model would learn to make them up."""
    if not isinstance(schema, dict):
        return
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _undeclared(name, schema.get("items"), item, f"{path}[{index}]")
        return
    properties = schema.get("properties")
    if not isinstance(value, dict) or not isinstance(properties, dict):
        return
    is_closed = not OPENING & set(schema) and schema.get("additionalProperties", False) is False
    for key, item in value.items():
        if key in properties:
            yield from _undeclared(name, properties[key], item, f"{path}.{key}")
        elif is_closed and item is None:
            yield Fault(
                "null_argument", f"is null and not in the schema of {name!r}", key=f"{path}.{key}", fix=NULL_FIX
            )
        elif is_closed:
            reason = f"is not in the schema of {name!r}"
            yield Fault(
                "unknown_argument", reason, key=f"{path}.{key}", fix="correct the key, or list it in the schema"
            )
