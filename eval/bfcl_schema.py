"""BFCL's function descriptions, typed after Python, Java and JavaScript, as tools with JSON Schema."""

from data.row import JsonObject

_JSON_TYPE = {
    "string": "string", "String": "string", "char": "string",
    "integer": "integer", "long": "integer", "Bigint": "integer",
    "float": "number", "double": "number",
    "boolean": "boolean", "Boolean": "boolean",
    "array": "array", "tuple": "array", "Array": "array", "ArrayList": "array",
    "dict": "object", "HashMap": "object",
}  # fmt: skip
# `any` and "" are not among these: any JSON fits.


def tool_name(name: str) -> str:
    """A name as the API takes it: BFCL itself replaces the dots for models that are asked through tools."""
    return name.replace(".", "_")


def read_tool(function: JsonObject, *, takes_code: bool) -> JsonObject:
    """`takes_code`: a Java or JavaScript function, whose arguments may be the name of a variable."""
    schema = _schema(function["parameters"])
    if takes_code:
        schema["properties"] = {key: _or_variable(inner) for key, inner in schema["properties"].items()}
    described = {"name": tool_name(function["name"]), "description": function["description"], "parameters": schema}
    return {"type": "function", "function": described}


def _schema(schema: JsonObject) -> JsonObject:
    out = {key: value for key, value in schema.items() if key not in ("type", "optional")}
    if json_type := _JSON_TYPE.get(schema["type"]):
        out = {"type": json_type, **out}
    if "properties" in schema:
        out["properties"] = {key: _schema(inner) for key, inner in schema["properties"].items()}
    if "items" in schema:
        out["items"] = _schema(schema["items"])
    return out


def _or_variable(schema: JsonObject) -> JsonObject:
    if schema.get("type", "string") == "string":
        return schema
    return {**schema, "type": [schema["type"], "string"]}
