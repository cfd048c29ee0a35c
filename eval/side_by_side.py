"""Expected and given, laid out for a reader: call beside call, with the arguments that differ marked."""

from typing import NamedTuple

from data.conversation import Call
from data.row import JsonObject
from eval.json_values import canonical_text, same_json
from eval.matching import Failure, pair_calls
from eval.reply import Reply, parse_arguments
from eval.scores import Result


class Argument(NamedTuple):
    key: str
    text: str
    is_different: bool


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
    arguments = [
        Argument(key, canonical_text(value), key not in other_arguments or not same_json(value, other_arguments[key]))
        for key, value in call.arguments.items()
    ]
    return CallView(call.name, other is None or other.name != call.name, arguments)
