"""/openapi.json: FastAPI's document with our errors in it, which are not FastAPI's, and the key that requests carry."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from serve.transport.shapes import Error

REF = "#/components/schemas/{model}"
NOT_OURS = ("HTTPValidationError", "ValidationError")
WITHOUT_KEY = ("/health", "/metrics")
ERRORS = {
    "description": "What went wrong, in the words that OpenAI's clients read",
    "content": {"application/json": {"schema": {"$ref": REF.format(model="Error")}}},
}
_bodies: list[type[BaseModel]] = [Error]


def body_schema(model: type[BaseModel]) -> dict[str, Any]:
    """For a route that reads its body itself: the model becomes part of the document."""
    _bodies.append(model)
    return {"$ref": REF.format(model=model.__name__)}


def describe(app: FastAPI) -> None:
    made: dict[str, Any] = {}

    def document() -> dict[str, Any]:
        if not made:
            made.update(_document(app))
        return made

    app.openapi = document  # type: ignore[method-assign]


def _document(app: FastAPI) -> dict[str, Any]:
    whole = get_openapi(title=app.title, version="1", routes=app.routes)
    parts = whole["components"]
    _, extra = models_json_schema([(model, "validation") for model in _bodies], ref_template=REF)
    parts["schemas"] |= extra["$defs"]
    for name in NOT_OURS:
        parts["schemas"].pop(name, None)
    parts["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    for path, operations in whole["paths"].items():
        for operation in operations.values():
            operation["responses"].pop("422", None)
            operation["responses"]["default"] = ERRORS
            # Nobody needs a key while the server has none.
            operation["security"] = [] if path in WITHOUT_KEY else [{"key": []}, {}]
    return whole
