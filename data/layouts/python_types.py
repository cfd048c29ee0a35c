"""Python type names, which some data sets write where JSON Schema has types, by one table.

str -> string, int -> integer, float -> number, bool -> boolean, dict -> object, list, tuple and set -> array,
None -> null, Any -> no type; List[X], Dict[str, X], Tuple[X, X], Optional[X], Union[X, Y], X | Y and
Literal["a"] are read too; ", optional" behind a type says that the parameter may be left out.
"""

import ast
import re
from typing import NamedTuple

from data.row import JsonObject

JSON_TYPES = {"string", "integer", "number", "boolean", "object", "array", "null"}
_NAMES = {
    "str": "string", "int": "integer", "float": "number", "double": "number", "bool": "boolean", "dict": "object",
    "mapping": "object", "list": "array", "tuple": "array", "set": "array", "sequence": "array", "iterable": "array",
    "none": "null", "nonetype": "null",
} | {name: name for name in JSON_TYPES}  # fmt: skip


class TypeName(NamedTuple):
    schema: JsonObject | None
    """None: not in the table."""
    is_optional: bool


def read_type(text: str) -> TypeName:
    """`"List[int], optional"` as its JSON Schema and whether the parameter may be left out."""
    bare = re.sub(r"\s*,\s*optional\s*$", "", text.strip(), flags=re.IGNORECASE)
    try:
        node = ast.parse(bare.strip(), mode="eval").body
        schema = _schema(node)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return TypeName(None, bare != text.strip())
    named_optional = isinstance(node, ast.Subscript) and _name(node.value) == "optional"
    return TypeName(schema, bare != text.strip() or named_optional)


def _schema(node: ast.expr) -> JsonObject:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return {"anyOf": [_schema(node.left), _schema(node.right)]}
    if isinstance(node, ast.Constant) and node.value is None:
        return {"type": "null"}
    if isinstance(node, ast.Subscript):
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        return _generic(_name(node.value), parts)
    name = _name(node)
    return {} if name == "any" else {"type": _known(name)}


def _generic(name: str, parts: list[ast.expr]) -> JsonObject:
    if name == "literal":
        return {"enum": [ast.literal_eval(part) for part in parts]}
    if name == "tuple" and len(parts) == 2 and isinstance(parts[1], ast.Constant) and parts[1].value is Ellipsis:
        return {"type": "array", "items": _schema(parts[0])}
    schemas = [_schema(part) for part in parts]
    if name == "union":
        return {"anyOf": schemas}
    if name == "optional" and len(schemas) == 1:
        return {"anyOf": [*schemas, {"type": "null"}]}
    if name == "tuple" and all(schema == schemas[0] for schema in schemas):
        return {"type": "array", "items": schemas[0], "minItems": len(schemas), "maxItems": len(schemas)}
    if name in ("dict", "mapping") and len(schemas) == 2:
        return {"type": "object", "additionalProperties": schemas[1]}
    if name != "tuple" and _known(name) == "array" and len(schemas) == 1:
        return {"type": "array", "items": schemas[0]}
    raise ValueError(name)


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):  # typing.List
        return node.attr.lower()
    if not isinstance(node, ast.Name):
        raise ValueError("no name")
    return node.id.lower()


def _known(name: str) -> str:
    if name not in _NAMES:
        raise ValueError(name)
    return _NAMES[name]
