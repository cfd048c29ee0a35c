"""Arguments compared as a suite and its schemas declare it, and what stays of it in the score."""

import json

import pytest

from data.conversation import Call
from data.row import JsonObject
from eval.comparison import Comparer
from eval.expected import Allowed, ExpectedCall
from eval.item import Item
from eval.matching import Score, match_calls, score
from eval.settings import Comparison
from tests.eval.rows import tool, user
from tests.eval.test_matching import reply

SCHEMA = {
    "title": {"type": "string"},
    "due": {"type": "string", "x-normalise": ["date"]},
    "priority": {"type": "string", "default": "medium"},
    "note": {"type": "string"},
}
TOOLS = [tool("create_task", SCHEMA, ["title"]), tool("find", {"title": {"type": "string"}}, [])]


def item(*expected: ExpectedCall, comparison: Comparison | None = None) -> Item:
    return Item(
        id="x:1#2", kind="call", request={"messages": [user("Go")], "tools": TOOLS}, expected_calls=list(expected),
        expected_text="", environment=None, comparison=comparison or Comparison(),
    )  # fmt: skip


def create(**arguments: object) -> ExpectedCall:
    return ExpectedCall(name="create_task", arguments=arguments)


def scored(comparison: Comparison, expected: JsonObject, given: JsonObject) -> Score:
    return score(item(create(**expected), comparison=comparison), reply(("create_task", given)), 0.8)


def outcomes(comparison: Comparison, expected: JsonObject, given: JsonObject) -> dict[str, str]:
    (call,) = scored(comparison, expected, given).calls
    return {key: argument.outcome for key, argument in call.arguments.items()}


def test_every_argument_has_an_outcome_of_its_own() -> None:
    expected, given = {"title": "Milk", "priority": "low", "note": "x"}, {"title": "Eggs", "priority": "low", "due": 1}
    found = {"title": "different", "priority": "equal", "note": "missing", "due": "extra"}
    assert outcomes(Comparison(), expected, given) == found


@pytest.mark.parametrize("pattern", ["create_task.title", "*.title", "create_task.*", "*.*"])
def test_a_suite_declares_what_is_alike(pattern: str) -> None:
    loose = Comparison(normalise={pattern: ["case"]})
    assert outcomes(loose, {"title": "Milk"}, {"title": "MILK"}) == {"title": "equal"}
    assert outcomes(Comparison(), {"title": "Milk"}, {"title": "MILK"}) == {"title": "different"}


def test_the_closest_pattern_counts_alone() -> None:
    declared = Comparison(normalise={"*.*": ["case"], "create_task.title": ["whitespace"]})
    assert outcomes(declared, {"title": "Milk"}, {"title": "MILK"}) == {"title": "different"}


def test_a_schema_declares_what_is_alike() -> None:
    assert outcomes(Comparison(), {"due": "2026-03-14"}, {"due": "March 14, 2026"}) == {"due": "equal"}


def test_a_default_stands_for_an_argument_left_out_only_when_declared() -> None:
    declared = Comparison(defaults=True)
    for expected, given in (({}, {"priority": "medium"}), ({"priority": "medium"}, {})):
        assert outcomes(declared, expected, given) == {"priority": "equal"}
        assert scored(declared, expected, given).metrics["fuzzy"]
        assert outcomes(Comparison(), expected, given) != {"priority": "equal"}
    assert outcomes(declared, {"priority": "high"}, {}) == {"priority": "different"}
    assert outcomes(declared, {}, {"due": "x"}) == {"due": "extra"}


def test_free_text_is_scored_apart_from_exact() -> None:
    free = Comparison(free_text=["create_task.note"])

    def exact_and_free(expected: object, given: JsonObject) -> tuple[bool, bool | None]:
        metrics = scored(free, {"title": "Milk", "note": expected}, {"title": "Milk", **given}).metrics
        return metrics["exact"], metrics.get("free_text")

    assert exact_and_free("Two bottles, please", {"note": "Two bottles please"}) == (True, True)
    assert exact_and_free("Two bottles, please", {"note": "Full fat"}) == (True, False)
    assert exact_and_free("Two bottles, please", {"note": 2}) == (False, None)
    assert exact_and_free("Two bottles, please", {}) == (False, None)
    assert "free_text" not in scored(Comparison(), {"note": "a"}, {"note": "b"}).metrics


ANY_OF = Allowed(
    values=["none"],
    objects=[{"size": Allowed(values=["large", "L"]), "milk": Allowed(values=["oat"], is_optional=True)}],
    lists=[[Allowed(values=[1]), Allowed(values=[2, 3])]],
)


@pytest.mark.parametrize(
    ("given", "allowed"),
    [
        ("none", True), ({"size": "L"}, True), ({"size": "large", "milk": "oat"}, True), ([1, 3], True),
        ({"milk": "oat"}, False), ({"size": "large", "milk": "soy"}, False), ({"size": "L", "x": 1}, False),
        ([1, 4], False), ([1], False), ([2, 1], False), (None, False), ({}, False), ([], False),
    ],
)  # fmt: skip
def test_allowed_values_reach_into_objects_and_lists(given: object, allowed: bool) -> None:
    expected = ExpectedCall(name="f", arguments={}, allowed={"x": ANY_OF, "y": Allowed(values=[1], is_optional=True)})
    (call,) = match_calls(Comparer({}, Comparison()), [expected], [reply_call("f", x=given)])
    assert call.is_right is allowed
    assert not match_calls(Comparer({}, Comparison()), [expected], [reply_call("f", x=given, y=2)])[0].is_right


def reply_call(name: str, **arguments: object) -> Call:
    return Call(name, arguments)


def test_parallel_calls_are_paired_so_that_most_are_equal() -> None:
    wide = ExpectedCall(name="find", arguments={}, allowed={"title": Allowed(values=["a", "b"])})
    narrow = ExpectedCall(name="find", arguments={}, allowed={"title": Allowed(values=["a"])})
    # First come, first served would give "a" to the wide one and leave the narrow one without.
    given = [reply_call("find", title="a"), reply_call("find", title="b")]
    assert all(call.is_right for call in match_calls(Comparer({}, Comparison()), [wide, narrow], given))


def test_calls_of_the_same_tool_are_paired_before_others_and_the_rest_stand_alone() -> None:
    expected = [create(title="Milk"), ExpectedCall(name="find", arguments={"title": "x"})]
    answer = reply(("find", {"title": "y"}), ("create_task", {"title": "Milk"}), ("find", {}))
    calls = score(item(*expected), answer, 0.8).calls
    assert [(call.expected, call.given, call.is_right) for call in calls] == [
        ("create_task", "create_task", True), ("find", "find", False), (None, "find", False),
    ]  # fmt: skip


def test_a_score_with_its_arguments_survives_eval_json() -> None:
    kept = scored(Comparison(free_text=["*.note"]), {"title": "Milk", "note": "a b"}, {"title": "Eggs", "note": "a c"})
    assert Score.model_validate(json.loads(json.dumps(kept.as_json()))) == kept
