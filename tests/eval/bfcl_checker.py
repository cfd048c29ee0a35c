"""bfcl-eval's own checker, asked about calls as JSON. Its table of models is left out, as it imports vendors' SDKs."""

import json
import sys
from functools import cache
from importlib import import_module
from types import ModuleType, SimpleNamespace
from typing import Any

from data.conversation import Call
from data.row import JsonObject

_MODEL = "asked-through-tools"
_LANGUAGES = {"simple_java": "JAVA", "simple_javascript": "JAVASCRIPT"}


class Checker:
    """Its verdicts on answers to one item."""

    def __init__(self, category: str, row: JsonObject, truth: list[JsonObject]) -> None:
        self._row, self._truth, self._category = row, truth, category

    @property
    def takes_code(self) -> bool:
        return self._category in ("simple_java", "simple_javascript")

    def is_valid(self, calls: list[Call]) -> bool:
        """Arguments are JSON; for Java and JavaScript they are written as source text first."""
        output = [{call.name: self._arguments(call)} for call in calls]
        language = _LANGUAGES.get(self._category, "PYTHON")
        found = _ast_checker()(self._row["function"], output, self._truth, _language(language), self._category, _MODEL)
        return bool(found["valid"])

    def _arguments(self, call: Call) -> JsonObject:
        if not self.takes_code:
            return call.arguments
        properties = self._row["function"][0]["parameters"]["properties"]
        write = _java if self._category == "simple_java" else _javascript
        return {key: write(value, properties.get(key, {})) for key, value in call.arguments.items()}


@cache
def _ast_checker() -> Any:
    """`ast_checker` of the installed package."""
    table = ModuleType("bfcl_eval.constants.model_config")
    # Dots in names become underscores, as for OpenAI's models.
    table.MODEL_CONFIG_MAPPING = {_MODEL: SimpleNamespace(underscore_to_dot=True)}  # type: ignore[attr-defined]
    sys.modules[table.__name__] = table
    return import_module("bfcl_eval.eval_checker.ast_eval.ast_checker").ast_checker


def _language(name: str) -> Any:
    return import_module("bfcl_eval.constants.enums").Language[name]


def _java(value: Any, schema: JsonObject) -> str:
    """Source text: what BFCL asks a model for in place of JSON."""
    kind, nested = schema.get("type", "any"), schema.get("items", {}).get("type", "any")
    if isinstance(value, list):
        inner = ", ".join(_java_literal(one, nested) for one in value)
        return (
            f"new ArrayList<{nested}>(Arrays.asList({inner}))" if kind == "ArrayList" else f"new {nested}[]{{{inner}}}"
        )
    if isinstance(value, dict):
        puts = " ".join(f'put("{key}", {_java_literal(one, "any")});' for key, one in value.items())
        return f"new HashMap<String, Object>() {{{{ {puts} }}}}"
    if kind == "long" and isinstance(value, int) and not isinstance(value, bool):
        return f"{value}L"
    return value if isinstance(value, str) else json.dumps(value)


def _java_literal(value: Any, kind: str) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    return _java(value, {"type": kind})


def _javascript(value: Any, schema: JsonObject) -> str:
    return value if isinstance(value, str) else json.dumps(value)
