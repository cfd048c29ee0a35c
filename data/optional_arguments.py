"""What strict schemas say of optional arguments, said as schemas without strict mode say it, and back.

Strict mode has every argument required, and null stands where one is not meant (OpenAI's guide to structured outputs,
"all fields must be required"). A model whose training rows leave such arguments out makes values up when a grammar
asks it for each of them.
"""

from collections.abc import Callable
from typing import Any

from data.row import JsonObject

Change = Callable[[JsonObject, JsonObject], JsonObject]
"""An object and its schema -> the object changed."""
_DEFINITIONS = ("$defs", "definitions")


def relaxed(schema: Any) -> Any:
    """A JSON Schema whose required arguments that may be null are optional instead, and not null; else as it is."""
    if not isinstance(schema, dict):
        return schema
    changed: JsonObject = {}
    if isinstance(properties := schema.get("properties"), dict):
        optional = _null_if_not_meant(schema)
        changed["properties"] = {
            name: relaxed(_without_null(sub) if name in optional else sub) for name, sub in properties.items()
        }
        if optional:
            changed["required"] = [
                name for name in schema["required"] if not isinstance(name, str) or name not in optional
            ]
    if "items" in schema:
        changed["items"] = relaxed(schema["items"])
    if isinstance(choices := schema.get("anyOf"), list):
        changed["anyOf"] = [relaxed(choice) for choice in choices]
    for key in _DEFINITIONS:
        if isinstance(definitions := schema.get(key), dict):
            changed[key] = {name: relaxed(sub) for name, sub in definitions.items()}
    return schema | changed


def with_nulls(value: Any, schema: JsonObject) -> Any:
    """Arguments for the relaxed schema as `schema` wants them: with a null for each that was left out."""
    return _through(value, schema, schema, _filled)


def without_nulls(value: Any, schema: JsonObject) -> Any:
    """The way back: arguments for `schema` as its relaxed form has them."""
    return _through(value, schema, schema, _left_out)


def _filled(value: JsonObject, schema: JsonObject) -> JsonObject:
    missing = _null_if_not_meant(schema) - set(value)
    in_order = {name: value.get(name) for name in schema["properties"] if name in value or name in missing}
    return in_order | value


def _left_out(value: JsonObject, schema: JsonObject) -> JsonObject:
    optional = _null_if_not_meant(schema)
    return {name: item for name, item in value.items() if item is not None or name not in optional}


def _through(value: Any, schema: Any, root: JsonObject, change: Change) -> Any:
    """`change` made to every object of `value` that the schema has properties for."""
    schema = _meant(value, schema, root, set())
    if isinstance(value, list):
        return [_through(item, schema.get("items"), root, change) for item in value]
    properties = schema.get("properties")
    if not isinstance(value, dict) or not isinstance(properties, dict):
        return value
    return {name: _through(item, properties.get(name), root, change) for name, item in change(value, schema).items()}


def _meant(value: Any, schema: Any, root: JsonObject, seen: set[int]) -> JsonObject:
    """The schema behind a `$ref`, and of several that `anyOf` has the first that knows all keys of an object.

    `seen`: schemas that were looked at for this value. References may go in circles, and meet again and again.
    """
    if not isinstance(schema, dict) or id(schema) in seen:
        return {}
    seen.add(id(schema))
    if isinstance(reference := schema.get("$ref"), str):
        return _meant(value, _behind(reference, root), root, seen)
    choices = schema.get("anyOf")
    for choice in choices if isinstance(choices, list) else []:
        fitting = _meant(value, choice, root, seen)
        properties = fitting.get("properties")
        knows_keys = isinstance(value, dict) and isinstance(properties, dict) and set(value) <= set(properties)
        if knows_keys or (isinstance(value, list) and "items" in fitting):
            return fitting
    return schema


def _behind(reference: str, root: JsonObject) -> Any:
    """What a reference within the document leads to (RFC 6901), None where that is nothing."""
    found: Any = root
    for part in reference.removeprefix("#/").split("/"):
        found = found.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
    return found


def _null_if_not_meant(schema: JsonObject) -> set[str]:
    """Properties that must be there and may be null, or something else."""
    properties, required = schema.get("properties"), schema.get("required")
    if not isinstance(properties, dict) or not isinstance(required, list):
        return set()
    return {name for name in required if isinstance(name, str) and _is_nullable(properties.get(name))}


def _is_nullable(schema: Any) -> bool:
    if not isinstance(schema, dict):
        return False
    types = schema.get("type")
    if isinstance(types, list) and "null" in types and len(types) > 1:
        return True
    choices = schema.get("anyOf")
    return isinstance(choices, list) and any(map(_is_null, choices)) and not all(map(_is_null, choices))


def _is_null(schema: Any) -> bool:
    return isinstance(schema, dict) and schema.get("type") in ("null", ["null"])


def _without_null(schema: JsonObject) -> JsonObject:
    meant = {key: value for key, value in schema.items() if not (key == "default" and value is None)}
    if isinstance(types := meant.get("type"), list):
        rest = [each for each in types if each != "null"]
        meant["type"] = rest[0] if len(rest) == 1 else rest
    if isinstance(meant.get("enum"), list):
        meant["enum"] = [each for each in meant["enum"] if each is not None]
    if isinstance(choices := meant.get("anyOf"), list):
        rest = [each for each in choices if not _is_null(each)]
        told = {key: value for key, value in meant.items() if key != "anyOf"}
        meant = told | (rest[0] if len(rest) == 1 and isinstance(rest[0], dict) else {"anyOf": rest})
    return meant
