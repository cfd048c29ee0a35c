"""Expected and given, laid out for a reader: call beside call, with what differs in each argument marked."""

from typing import Any, NamedTuple

from rapidfuzz.distance import Indel

from data.conversation import Call
from data.row import JsonObject
from eval.json_values import canonical_text, same_json
from eval.matching import Failure, pair_calls
from eval.reply import Reply, parse_arguments
from eval.scores import Result

_MARK_LETTERS_FROM = 0.5
"""Less alike, and the marks are confetti."""


class Part(NamedTuple):
    text: str
    is_different: bool


class Argument(NamedTuple):
    key: str
    parts: list[Part]
    """The value as JSON; of a text that is mostly alike only the letters that differ are marked."""


class CallView(NamedTuple):
    name: str
    is_different: bool
    """The name, or the call as a whole."""
    arguments: list[Argument]


class SideBySide(NamedTuple):
    id: str
    failure: Failure | None
    why: str
    request: str
    expected: list[CallView]
    expected_text: str
    given: list[CallView]
    given_text: str


def side_by_side(result: Result) -> SideBySide:
    expected = [Call(call.name, call.arguments) for call in result.expected_calls]
    raw = [(call.name, call.arguments) for call in result.answer.calls] if isinstance(result.answer, Reply) else []
    pairs = pair_calls(expected, [Call(name, _object(arguments)) for name, arguments in raw])
    return SideBySide(
        result.id,
        result.score.failure,
        result.score.why,
        result.request,
        [_view(want, got) for want, got in pairs if want],
        result.expected_text,
        [_view(got, want) for want, got in pairs if got],
        result.answer.content if isinstance(result.answer, Reply) else result.answer.reason,
    )


def _object(arguments: str) -> JsonObject:
    """For showing only: text that is no JSON object is shown as it came."""
    try:
        return parse_arguments(arguments)
    except (ValueError, RecursionError):
        return {"(unreadable)": arguments}


def _view(call: Call, other: Call | None) -> CallView:
    other_arguments = other.arguments if other else {}
    arguments = []
    for key, value in call.arguments.items():
        is_same = key in other_arguments and same_json(value, other_arguments[key])
        parts = [Part(canonical_text(value), False)] if is_same else _parts(value, other_arguments.get(key))
        arguments.append(Argument(key, parts))
    return CallView(call.name, other is None or other.name != call.name, arguments)


def _parts(value: Any, other: Any) -> list[Part]:
    text, other_text = canonical_text(value), canonical_text(other)
    is_alike = isinstance(value, str) and isinstance(other, str)
    if not is_alike or Indel.normalized_similarity(text, other_text) < _MARK_LETTERS_FROM:
        return [Part(text, True)]
    opcodes = Indel.opcodes(text, other_text)
    parts = [Part(text[op.src_start : op.src_end], op.tag != "equal") for op in opcodes if op.src_end > op.src_start]
    # What the other side has and this one lacks leaves nothing to mark here.
    return parts if any(part.is_different for part in parts) else [Part(text, True)]
