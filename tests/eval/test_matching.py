"""What counts as the same call, and which word a failure gets."""

import json
from pathlib import Path

import pytest

from data.conversation import Call
from data.leaked_call import find_leak
from eval.comparison import ArgumentScore, CallScore
from eval.json_values import same_json, same_multiset
from eval.matching import Score, pair_calls, score
from eval.reply import NotRun, RawCall, Reply
from eval.settings import EvalSection
from eval.suite import Item
from tests.eval.rows import CREATE, SMALL_TALK, calls_message, result, row, said, suite_of, user


def reply(*calls: tuple[str, object], content: str = "", finish_reason: str = "stop") -> Reply:
    raw = [RawCall(name=name, arguments=text if isinstance(text, str) else json.dumps(text)) for name, text in calls]
    return Reply(content=content, calls=raw, finish_reason=finish_reason, latency_s=0.1)


@pytest.fixture
def create(tmp_path: Path) -> Item:
    return suite_of(tmp_path, CREATE).items[0]


@pytest.fixture
def parallel(tmp_path: Path) -> Item:
    calls = calls_message(("complete_task", {"task_id": "T-204"}), ("complete_task", {"task_id": "T-207"}))
    settings = EvalSection(environment="task_service")
    both = row(user("Both done"), calls, result(1), result(2), said("Done"))
    return suite_of(tmp_path, both, settings=settings).items[0]


@pytest.fixture
def listing(tmp_path: Path) -> Item:
    asked = row(user("What is open?"), calls_message(("list_tasks", {"status": "open"})), result(1), said("Two."))
    return suite_of(tmp_path, asked, settings=EvalSection(environment="task_service")).items[0]


def word(item: Item, answer: Reply | NotRun) -> tuple[str, str | None]:
    scored = score(item, answer, 0.8)
    return scored.verdict, scored.failure


@pytest.mark.parametrize(
    ("first", "second", "is_same"),
    [
        (1, 1.0, True), (1, True, False), (0, False, False), ("1", 1, False), (None, False, False), (None, None, True),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True), ({"a": 1}, {"a": 1, "b": None}, False), ([1, 2], [2, 1], False),
        ([[True]], [[1]], False), ({"a": [{"b": 1}]}, {"a": [{"b": 1.0}]}, True), ("\u00e9", "e\u0301", False),
    ],
)  # fmt: skip
def test_json_values_are_equal_type_by_type(first: object, second: object, is_same: bool) -> None:
    assert same_json(first, second) is same_json(second, first) is is_same


def test_calls_match_in_any_order_but_as_often() -> None:
    a, b = Call("f", {"x": 1}), Call("f", {"x": True})
    assert same_multiset([a, b], [b, a])
    assert not same_multiset([a, a], [a, b])
    assert pair_calls([b, a], [a, b]) == [(b, b), (a, a)]
    assert pair_calls([a], [b, a]) == [(a, a), (None, b)]


def test_parallel_calls_in_another_order_are_exactly_right(parallel: Item) -> None:
    swapped = [("complete_task", {"task_id": task_id}) for task_id in ("T-207", "T-204")]
    scored = score(parallel, reply(*swapped), 0.8)
    equal = CallScore(
        expected="complete_task", given="complete_task", arguments={"task_id": ArgumentScore(outcome="equal")}
    )
    assert scored == Score(
        verdict="right",
        metrics=dict.fromkeys(("valid_json", "schema_valid", "tool_name", "exact", "fuzzy", "functional"), True),
        calls=[equal, equal],
    )


def test_fuzzy_takes_a_near_miss_and_needs_a_partner_for_each_call(create: Item, parallel: Item) -> None:
    near = score(create, reply(("create_task", {"title": "Milk.", "size": 2})), 0.8)
    assert (near.metrics["exact"], near.metrics["fuzzy"]) == (False, True)
    far = score(create, reply(("create_task", {"title": "Renew the passport", "size": 2})), 0.8)
    assert far.metrics["fuzzy"] is False
    both_same = score(parallel, reply(*[("complete_task", {"task_id": "T-204"})] * 3), 0.8)
    assert both_same.metrics["fuzzy"] is False


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (reply(("create_task", {"size": 2.0, "title": "Milk"})), ("right", None)),
        (reply(("create_task", {"title": "Eggs", "size": 2})), ("wrong", "wrong_value")),
        (reply(("create_task", {"title": "Milk", "size": "2"})), ("wrong", "schema_violation")),
        (reply(("create_task", {"title": "Milk", "size": True})), ("wrong", "schema_violation")),
        (reply(("create_task", {"title": "Milk"})), ("wrong", "missing_argument")),
        (reply(("create_task", {"title": "Milk", "size": 2, "x": 1})), ("wrong", "extra_argument")),
        (reply(("list_tasks", {})), ("wrong", "wrong_tool")),
        (reply(("nope", {})), ("wrong", "unknown_tool")),
        (reply(("create_task", {}), ("create_task", {})), ("wrong", "wrong_count")),
        (reply(("create_task", '{"title": "Mil')), ("unreadable", "invalid_json")),
        (reply(("create_task", "[1]")), ("unreadable", "invalid_json")),
        (reply(("create_task", '{"size": NaN}')), ("unreadable", "invalid_json")),
        (reply(("create_task", '{"title": "\\ud800"}')), ("unreadable", "invalid_json")),
        (reply(("create_task", "[" * 100_000)), ("unreadable", "invalid_json")),
        (reply(("create_task", '{"title": "Mil'), finish_reason="length"), ("unreadable", "truncated")),
        (reply(content='<tool_call>\n{"name": "create_task"'), ("unreadable", "leaked_call")),
        (reply(content='<tool_call>\n{"name": "cre', finish_reason="length"), ("unreadable", "truncated")),
        (reply(content="So, let me think", finish_reason="length"), ("wrong", "truncated")),
        (reply(content="Sure!"), ("wrong", "no_call")),
        (reply(content=" \n"), ("wrong", "empty_answer")),
        (NotRun(reason="HTTP 500"), ("not_run", "transport")),
    ],
)  # fmt: skip
def test_each_failure_gets_its_own_word(create: Item, given: Reply, expected: tuple[str, str | None]) -> None:
    assert word(create, given) == expected


def test_a_call_that_cannot_be_read_counts_against_valid_json_and_text_alone_does_not(create: Item) -> None:
    leaked = score(create, reply(content='{"name": "create_task", "arguments": {}}'), 0.8)
    assert leaked.metrics == dict.fromkeys(("valid_json", "schema_valid", "tool_name", "exact", "fuzzy"), False)
    assert "valid_json" not in score(create, reply(content="Sure!"), 0.8).metrics
    assert score(create, NotRun(reason="down"), 0.8).metrics == {}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (reply(content="Welcome."), ("right", None)),
        (reply(), ("wrong", "empty_answer")),
        (reply(("list_tasks", {})), ("wrong", "unneeded_call")),
        (reply(content="Bye <tool_call>"), ("unreadable", "leaked_call")),
    ],
)
def test_garbage_and_silence_are_no_abstention(tmp_path: Path, given: Reply, expected: tuple[str, str | None]) -> None:
    item = suite_of(tmp_path, SMALL_TALK).items[0]
    assert word(item, given) == expected
    assert score(item, given, 0.8).metrics["should_not_call"] is (expected[0] == "right")


def test_easy_answers_after_tools_do_not_lift_should_not_call(tmp_path: Path) -> None:
    item = suite_of(tmp_path, CREATE).items[1]
    assert score(item, reply(content="Done"), 0.8).metrics == {"answer": True}


def test_functional_compares_effects_and_what_was_read(parallel: Item, listing: Item) -> None:
    def functional(item: Item, *calls: tuple[str, object]) -> bool:
        return score(item, reply(*calls), 0.8).metrics["functional"]

    done = [("complete_task", {"task_id": task_id}) for task_id in ("T-204", "T-207")]
    assert functional(parallel, *done)
    assert not functional(parallel, done[0])
    assert not functional(parallel, *done, ("list_tasks", {}))
    # Nothing is done yet, so both filters list the same tasks: other words, same effect.
    assert functional(listing, ("list_tasks", {}))
    assert not functional(listing, ("list_tasks", {"status": "open", "priority": "low"}))
    assert not functional(listing)


def test_functional_starts_from_the_state_that_the_history_left(tmp_path: Path) -> None:
    first = calls_message(("create_task", {"title": "Milk"}))
    again = calls_message(("create_task", {"title": "Eggs"}), first_id=2)
    made = row(user("Milk, then eggs"), first, result(1), again, result(2), said("Done"))
    item = suite_of(tmp_path, made, settings=EvalSection(environment="task_service")).items[1]
    default = score(item, reply(("create_task", {"title": "Eggs", "priority": "medium"})), 0.8)
    assert (default.metrics["exact"], default.metrics["functional"]) == (False, True)


def test_without_an_environment_functional_is_not_scored(create: Item) -> None:
    assert "functional" not in score(create, reply(("create_task", {})), 0.8).metrics


@pytest.mark.parametrize(
    ("content", "leaks"),
    [
        ('```json\n{"name": "f", "parameters": {"a": 1}}\n```', True), ("[f(a=1)]", True), ("<|python_tag|>f", True),
        ('{"type": "function", "name": "f"', True), ("I called f (it worked).", False), ('{"answer": 42}', False),
        ('{"name": "Ann", "age": 3}', False), ("Use f(x) = 2x.", False),
    ],
)  # fmt: skip
def test_call_text_is_told_from_other_text(content: str, leaks: bool) -> None:
    assert bool(find_leak(content, {"f"})) is leaks
