from pathlib import Path

import pytest

from data.user_error import UserError
from eval.client import request
from eval.settings import Comparison, EvalSection
from eval.suite import read_suite
from eval.suite_file import files_of
from tests.eval.rows import (
    CREATE,
    SMALL_TALK,
    TOOLS,
    calls_message,
    result,
    row,
    said,
    suite_of,
    tool,
    user,
    write_rows,
)


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


def suite_file(folder: Path, *lines: str) -> Path:
    write_rows(folder / "a.jsonl", CREATE, SMALL_TALK)
    (folder / "suite.yaml").write_text("rows: [a.jsonl]\n" + "".join(f"{line}\n" for line in lines))
    return folder / "suite.yaml"


def test_a_suites_own_options_come_before_the_recipes(tmp_path: Path) -> None:
    path = suite_file(tmp_path, "tool_choice: required", "max_tokens: 9", "free_text: ['*.title']")
    settings = EvalSection(temperature=0.5, max_tokens=7)
    (item, *_) = read_suite([path], settings).items
    asked = request("m", item, settings)
    assert (asked["tool_choice"], asked["temperature"], asked["max_tokens"]) == ("required", 0.5, 9)
    assert item.comparison == Comparison(free_text=["*.title"])
    (plain, *_) = read_suite([tmp_path / "a.jsonl"], settings).items
    assert request("m", plain, settings)["tool_choice"] == "auto"
    assert request("m", plain, settings)["max_tokens"] == 7


def test_each_sample_is_an_item_with_a_seed_of_its_own(tmp_path: Path) -> None:
    path = suite_file(tmp_path, "samples: 3", "temperature: 0.7", "limit: 1")
    settings = EvalSection(seed=10)
    suite = read_suite([path], settings)
    assert [item.id.rpartition("#")[2] for item in suite.items] == ["3~1", "3~2", "3~3", "5~1", "5~2", "5~3"]
    assert [request("m", item, settings)["seed"] for item in suite.items[:3]] == [10, 11, 12]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["samples: 2"], "at temperature 0 are all the same"),
        (["free_text: [create_task.titel]"], r"'create_task.titel' \(fix: did you mean create_task.title\?\)"),
        (["normalise: {title: [case]}"], "normalise.title"),
        (["normalise: {'*.title': [upper]}"], "upper|normalise"),
        (["temprature: 1"], "temprature"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(tmp_path: Path, lines: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_suite([suite_file(tmp_path, *lines)], EvalSection())


def test_a_schema_that_names_no_normaliser_is_refused(tmp_path: Path) -> None:
    schemas = {"title": {"type": "string", "x-normalise": ["upper"]}, "size": {"type": "integer"}}
    tools = [tool("create_task", schemas, [])]
    with pytest.raises(UserError, match=r"create_task.title: x-normalise \['upper'\]"):
        suite_of(tmp_path, {**CREATE, "tools": tools})


def test_every_file_of_a_suite_is_known(tmp_path: Path) -> None:
    path = suite_file(tmp_path)
    assert files_of([path, tmp_path / "b.jsonl", Path("bfcl:multiple")]) == [
        path, tmp_path / "a.jsonl", tmp_path / "b.jsonl",
    ]  # fmt: skip
