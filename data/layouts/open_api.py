"""Tools out of an OpenAPI 3 document: one an operation, its parameters and the fields of its body in one schema."""

from typing import Any

from data.layouts.record_error import RecordError, as_list, as_object, as_text
from data.row import JsonObject

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
MAX_REFERENCES = 32
"""References inside references; a document that goes deeper refers to itself."""


def open_api_tools(document: JsonObject) -> list[JsonObject]:
    """Raises RecordError where an operation has no `operationId` or two of its fields share a name."""
    tools = []
    for path, item in as_object(document.get("paths"), "paths").items():
        operations = as_object(item, f"path {path!r}")
        for method in _METHODS:
            if method in operations:
                shared = as_list(operations.get("parameters", []), "parameters")
                tools.append(_tool(as_object(operations[method], f"{method} {path}"), shared, document))
    return tools


def _tool(operation: JsonObject, shared: list[Any], document: JsonObject) -> JsonObject:
    name = as_text(operation.get("operationId"), "operationId")
    properties: JsonObject = {}
    required: list[str] = []
    for item in [*shared, *as_list(operation.get("parameters", []), "parameters")]:
        parameter = as_object(_resolved(item, document), "a parameter")
        field = as_text(parameter.get("name"), "the name of a parameter")
        if field in properties:
            raise RecordError("tools", f"{name} has two fields called {field!r}", "rename one")
        schema = dict(as_object(parameter.get("schema", {}), f"the schema of {field!r}"))
        if parameter.get("description"):
            schema["description"] = parameter["description"]
        properties[field] = schema
        required += [field] if parameter.get("required") else []
    body = _body(operation, document)
    if both := sorted(set(properties) & set(body.get("properties", {}))):
        raise RecordError("tools", f"{name} has two fields called {both[0]!r}", "rename one")
    properties |= body.get("properties", {})
    required += body.get("required", [])
    schema = {"type": "object", "properties": properties} | ({"required": required} if required else {})
    about = operation.get("description") or operation.get("summary")
    return {"type": "function", "function": {"name": name, "description": about, "parameters": schema}}


def _body(operation: JsonObject, document: JsonObject) -> JsonObject:
    """The schema of the JSON body, which must be an object with named fields."""
    if "requestBody" not in operation:
        return {}
    body = as_object(_resolved(operation["requestBody"], document), "requestBody")
    content = as_object(body.get("content"), "the content of requestBody")
    if list(content) != ["application/json"]:
        raise RecordError("tools", f"a body is {', '.join(content) or 'empty'}, not application/json", "leave it out")
    schema = as_object(as_object(content["application/json"], "the body").get("schema"), "the schema of a body")
    if set(schema) - {"type", "properties", "required", "description"}:
        raise RecordError("tools", "a body is no plain object with named fields", "write it as properties")
    as_object(schema.get("properties", {}), "the properties of a body")
    as_list(schema.get("required", []), "the required fields of a body")
    return schema


def _resolved(value: Any, document: JsonObject, depth: int = 0) -> Any:
    """The value with its references into the document replaced."""
    if isinstance(value, list):
        return [_resolved(item, document, depth) for item in value]
    if not isinstance(value, dict):
        return value
    if isinstance(value.get("$ref"), str):
        if depth > MAX_REFERENCES:
            raise RecordError("tools", f"{value['$ref']} refers to itself", "write the schema without references")
        return _resolved(_referred(value["$ref"], document), document, depth + 1)
    return {key: _resolved(item, document, depth) for key, item in value.items()}


def _referred(reference: str, document: JsonObject) -> Any:
    found: Any = document
    if not reference.startswith("#/"):
        raise RecordError("tools", f"the reference {reference!r} leads out of the document", "write the schema out")
    for key in reference[2:].split("/"):
        if not isinstance(found, dict) or key not in found:
            raise RecordError("tools", f"the reference {reference!r} leads nowhere", "mend the document")
        found = found[key]
    return found
