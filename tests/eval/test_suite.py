from pathlib import Path

import pytest

from data.user_error import UserError
from eval.settings import EvalSection
from eval.suite import read_suite
from tests.eval.rows import CREATE, SMALL_TALK, TOOLS, calls_message, result, row, said, suite_of, user, write_rows


def test_every_trained_assistant_turn_becomes_an_item_with_the_true_history_before_it(tmp_path: Path) -> None:
    failed = calls_message(("complete_task", {"task_id": "T-9"}), weight=0)
    mended = calls_message(("complete_task", {"task_id": "T-204"}), first_id=2)
    suite = suite_of(tmp_path, row(user("Plumber done"), failed, result(1), mended, result(2), said("Done.")))

    assert [(item.kind, len(item.messages)) for item in suite.items] == [("call", 4), ("answer", 6)]
    sent = suite.items[0].messages[2]
    assert sent == {key: value for key, value in failed.items() if key != "weight"}
    assert suite.items[0].request["tools"] == TOOLS
    assert suite.items[0].expected_calls[0].arguments == {"task_id": "T-204"}
    assert suite.items[0].id == f"{tmp_path}/rows.jsonl:1#5"


def test_a_row_without_calls_counts_as_should_not_call_only_if_tools_stand_ready(tmp_path: Path) -> None:
    without_tools = {"messages": [user("Hi"), said("Hello")]}
    suite = suite_of(tmp_path, CREATE, SMALL_TALK, without_tools)
    assert [item.kind for item in suite.items] == ["call", "answer", "no_call", "answer"]


def test_the_hash_follows_what_is_asked_not_where_the_file_lies(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    one, moved = suite_of(tmp_path, CREATE, SMALL_TALK), suite_of(tmp_path / "other", CREATE, SMALL_TALK)
    shorter = suite_of(tmp_path, CREATE, SMALL_TALK, settings=EvalSection(limit=1))
    assert one.sha256 == moved.sha256 != shorter.sha256


def test_a_yaml_suite_names_rows_relative_to_itself_with_options_of_its_own(tmp_path: Path) -> None:
    write_rows(tmp_path / "a.jsonl", CREATE, SMALL_TALK)
    (tmp_path / "suite.yaml").write_text("rows: [a.jsonl]\nenvironment: task_service\nlimit: 1\n")
    suite = read_suite([tmp_path / "suite.yaml"], EvalSection())
    assert [item.environment for item in suite.items] == ["task_service", "task_service"]
    assert suite.num_rows == 1


def test_a_suite_that_cannot_be_asked_is_a_user_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no assistant turn"):
        read_suite([], EvalSection())
    with pytest.raises(UserError, match="no assistant turn"):
        suite_of(tmp_path, {"messages": [said("Nobody has asked yet.")]})
    no_start = {"messages": [user("Hi"), said("Hello")]}
    with pytest.raises(UserError, match=r"rows.jsonl:1: environment 'task_service'"):
        suite_of(tmp_path, no_start, settings=EvalSection(environment="task_service"))
