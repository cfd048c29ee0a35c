"""Compares one given call with one expected call, argument by argument, as the suite and the schemas declare it."""

from typing import Any, Literal, NamedTuple

from rapidfuzz import fuzz

from data.conversation import Call
from data.row import JsonObject
from eval.allowed_values import Plain, first_value, nearest_value, similarity
from eval.expected import Allowed, ExpectedCall
from eval.json_values import canonical_text, same_json
from eval.normalisers import normalised
from eval.settings import Comparison, Normaliser, Record

SCHEMA_KEY = "x-normalise"
"""In an argument's schema: a list of normalisers. It is part of the schema, so the model is shown it."""
Outcome = Literal["equal", "different", "missing", "extra"]


class ArgumentScore(Record):
    outcome: Outcome
    similarity: float = 1.0
    """Of the text, 0 to 1, to the nearest allowed value (rapidfuzz ratio)."""
    is_free_text: bool = False
    """Declared so, and text on both sides: `different` then does not make the call wrong."""

    @property
    def is_right(self) -> bool:
        return self.outcome == "equal" or self.is_free_text


class CallScore(Record):
    """An expected call beside the given call that it was paired with, or either alone."""

    expected: str | None
    """Tool name."""
    given: str | None
    arguments: dict[str, ArgumentScore] = {}
    """Only where both are calls of one tool; an optional argument that is left out is not listed."""

    @property
    def is_right(self) -> bool:
        same_tool = self.expected is not None and self.expected == self.given
        return same_tool and all(argument.is_right for argument in self.arguments.values())

    @property
    def similarity(self) -> float:
        """Mean over its arguments, 0 to 1; those missing or too many count 0."""
        if self.expected is None or self.expected != self.given:
            return 0.0
        shares = [argument.similarity for argument in self.arguments.values()]
        return sum(shares) / len(shares) if shares else 1.0


class Comparer(NamedTuple):
    """The rules of one item."""

    tools: dict[str, JsonObject]
    """Name -> function, as offered."""
    comparison: Comparison

    def compare(self, expected: ExpectedCall, given: Call) -> CallScore:
        if expected.name != given.name:
            return CallScore(expected=expected.name, given=given.name)
        allowed, arguments = self._with_defaults(expected, given)
        scores: dict[str, ArgumentScore] = {}
        for key in [*allowed, *(key for key in arguments if key not in allowed)]:
            if key in arguments and (key not in allowed or allowed[key].must_be_absent):
                scores[key] = ArgumentScore(outcome="extra", similarity=0)
            elif key in arguments:
                scores[key] = self._argument(given.name, key, allowed[key], arguments[key])
            elif not allowed[key].is_optional:
                scores[key] = ArgumentScore(outcome="missing", similarity=0)
        return CallScore(expected=expected.name, given=given.name, arguments=scores)

    def text_similarity(self, expected: ExpectedCall, given: Call) -> float:
        """0 to 1, of the arguments as one JSON text, against the nearest allowed values."""
        allowed, arguments = self._with_defaults(expected, given)
        wanted = {}
        for key, choice in allowed.items():
            if key in arguments and not choice.must_be_absent:
                wanted[key] = nearest_value(choice, arguments[key], self._plain(given.name, key))
            elif not choice.is_optional:
                wanted[key] = first_value(choice)
        plain = {key: self._plain(given.name, key)(value) for key, value in arguments.items()}
        return fuzz.ratio(canonical_text(wanted), canonical_text(plain)) / 100

    def normalisers(self, tool: str, argument: str) -> list[Normaliser]:
        declared = self.comparison.normalise
        for pattern in patterns(tool, argument):
            if pattern in declared:
                return declared[pattern]
        return list(properties(self.tools.get(tool)).get(argument, {}).get(SCHEMA_KEY, []))

    def is_free_text(self, tool: str, argument: str) -> bool:
        return any(pattern in self.comparison.free_text for pattern in patterns(tool, argument))

    def _argument(self, tool: str, key: str, allowed: Allowed, value: Any) -> ArgumentScore:
        plain = self._plain(tool, key)
        nearest, given = nearest_value(allowed, value, plain), plain(value)
        is_free = isinstance(nearest, str) and isinstance(given, str) and self.is_free_text(tool, key)
        outcome: Outcome = "equal" if same_json(nearest, given) else "different"
        return ArgumentScore(outcome=outcome, similarity=similarity(nearest, given), is_free_text=is_free)

    def _plain(self, tool: str, key: str) -> Plain:
        names, region = self.normalisers(tool, key), self.comparison.phone_region
        return lambda value: normalised(value, names, region)

    def _with_defaults(self, expected: ExpectedCall, given: Call) -> tuple[dict[str, Allowed], JsonObject]:
        allowed, arguments = expected.allowed_arguments(), given.arguments
        if self.comparison.defaults:
            schemas = properties(self.tools.get(given.name))
            defaults = {key: schema["default"] for key, schema in schemas.items() if "default" in schema}
            known = {key: value for key, value in defaults.items() if key in allowed or key in arguments}
            allowed = {**{key: Allowed(values=[value]) for key, value in known.items()}, **allowed}
            arguments = {**known, **arguments}
        return allowed, arguments


def patterns(tool: str, argument: str) -> tuple[str, ...]:
    """What may stand in a suite for this argument, the closest first."""
    return f"{tool}.{argument}", f"*.{argument}", f"{tool}.*", "*.*"


def properties(tool: JsonObject | None) -> JsonObject:
    properties = ((tool or {}).get("parameters") or {}).get("properties") or {}
    return {key: schema for key, schema in properties.items() if isinstance(schema, dict)}
