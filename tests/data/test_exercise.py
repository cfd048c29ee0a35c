"""data.exercise on the tool lists of real data sets: every row is sound, and every call follows from its context."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

import data.exercise
from data.exercises.paraphrase import stands_in
from data.exercises.rows import KINDS, Made, as_row, make_exercises
from data.exercises.scene import PERSONAS, new_stage
from data.exercises.wording import mentions, values_in, wish_of
from data.reading import read_row_file, read_rows
from data.row import JsonObject
from data.row_summary import shape_of
from data.rules.formats import FORMATS
from data.rules.severities import DEFAULTS
from data.task_api.service import TASK_TOOLS
from data.token_summary import measure
from data.tokenizer_folder import open_tokenizer_folder
from data.user_error import UserError
from tests.data.rows import with_tool
from tests.data.scripted_teacher import scripted_teacher
from tests.data.test_mock_tools import ORDER_TOOLS, tool
from tests.models import write_rows

SETS = ("home_assistant", "seal_tools", "taskmaster_coffee")


def tool_lists(shared_data: Path, name: str, number: int = 10) -> list[list[JsonObject]]:
    """The first distinct ones of a set's training and unseen-tools files."""
    lists: dict[str, list[JsonObject]] = {}
    for file in ("train.jsonl", "test_unseen_tools.jsonl"):
        for line in (shared_data / name / file).read_text().splitlines():
            tools = json.loads(line)["tools"]
            lists.setdefault(json.dumps(tools, sort_keys=True), tools)
    return list(lists.values())[:number]


def make(tools: list[JsonObject], num_rows: int = 40, seed: int = 7) -> Made:
    return make_exercises(new_stage(tools, PERSONAS), num_rows, seed)


def assert_calls_follow(row: JsonObject) -> None:
    """Trained calls satisfy their schemas; their values stand in the user's words or in a result before them."""
    schemas = {tool["function"]["name"]: tool["function"].get("parameters") or {} for tool in row["tools"]}
    known = ""
    for message in row["messages"]:
        for call in message.get("tool_calls", ()):
            arguments = json.loads(call["function"]["arguments"])
            validator = Draft202012Validator(schemas[call["function"]["name"]], format_checker=FORMATS)
            if message.get("weight") != 0:
                validator.validate(arguments)
                assert [value for value in values_in(arguments) if value not in known] == [], row
        if message["role"] in ("user", "tool"):
            known += message["content"]


@pytest.mark.parametrize("name", SETS)
def test_rows_for_the_tool_lists_of_real_sets_have_no_error(tmp_path: Path, shared_data: Path, name: str) -> None:
    rows, kinds = [], Counter[str]()
    for tools in tool_lists(shared_data, name):
        made = make(tools)
        assert len(made.exercises) >= 36, made.skipped
        kinds += made.kinds
        rows += [as_row(exercise, tools) for exercise in made.exercises]
    file = read_row_file(write_rows(tmp_path / "rows.jsonl", rows))
    assert [str(finding) for finding in file.findings if finding.is_error] == []
    assert Counter(shape_of(numbered.row) for numbered in file.rows) == kinds
    assert {kind for kind in KINDS if not kinds[kind]} <= {"multi_step"}
    for row in rows:
        assert_calls_follow(row)


def test_rows_are_rendered_without_loss(tmp_path: Path, smollm2: Path) -> None:
    rows = [as_row(exercise, ORDER_TOOLS) for exercise in make(ORDER_TOOLS, 60).exercises]
    folder = open_tokenizer_folder(smollm2, None)
    numbered = read_rows(write_rows(tmp_path / "rows.jsonl", rows))
    measured = measure(numbered, folder.tokenizer, folder.template, None, DEFAULTS)
    assert (measured.summary.rendered, measured.findings) == (60, [])


def test_kinds_come_in_their_shares() -> None:
    made = make(TASK_TOOLS, 100)
    assert made.kinds == {"single": 30, "multi_step": 20, "recovery": 20, "no_call": 20, "parallel": 10}
    assert not made.skipped


def test_a_list_without_a_chain_has_the_other_kinds() -> None:
    made = make([ORDER_TOOLS[3]], 40)
    assert "multi_step" not in made.kinds and len(made.exercises) + sum(made.skipped.values()) == 40


def test_a_chain_takes_its_id_from_the_first_result() -> None:
    made = make(ORDER_TOOLS, 100)
    chains = [exercise.messages for exercise in made.exercises if len(_calls(exercise.messages)) == 2 and
              sum("tool_calls" in message for message in exercise.messages) == 2 and
              not any("weight" in message for message in exercise.messages)]  # fmt: skip
    assert len(chains) == made.kinds["multi_step"] > 10
    for messages in chains:
        result = json.loads(next(message["content"] for message in messages if message["role"] == "tool"))
        (_, first), (name, second) = _calls(messages)
        assert name == "updateOrder" and second["order_id"] == result["order_id"] and "order_id" not in first
        assert result["order_id"] not in next(m["content"] for m in messages if m["role"] == "user")


def _calls(messages: list[JsonObject]) -> list[tuple[str, JsonObject]]:
    functions = [call["function"] for message in messages for call in message.get("tool_calls", ())]
    return [(function["name"], json.loads(function["arguments"])) for function in functions]


def test_a_failed_call_has_weight_0_and_its_error_is_every_kind() -> None:
    codes = Counter[str]()
    for exercise in make(ORDER_TOOLS, 200).exercises:
        for index, message in enumerate(exercise.messages):
            if message.get("weight") == 0:
                codes[json.loads(exercise.messages[index + 1]["content"])["error"]["code"]] += 1
    assert set(codes) == {"invalid_arguments", "not_found", "rate_limit", "timeout"}


def test_a_mistyped_id_is_mended_from_the_error() -> None:
    num_found = 0
    for exercise in make(ORDER_TOOLS, 200).exercises:
        error = next((m["content"] for m in exercise.messages if "did you mean" in (m["content"] or "")), None)
        if error:
            wrong, right = (arguments["order_id"] for _, arguments in _calls(exercise.messages))
            assert f"no order id {wrong}; did you mean {right}?" in error
            asked = next(m["content"] for m in exercise.messages if m["role"] == "user")
            assert wrong in asked and right not in asked
            num_found += 1
    assert num_found > 2


def test_no_request_comes_twice_and_personas_change() -> None:
    exercises = make(TASK_TOOLS, 100).exercises
    texts = [next(m["content"] for m in exercise.messages if m["role"] == "user") for exercise in exercises]
    assert len(set(texts)) == 100
    personas = {e.messages[0]["content"] if e.messages[0]["role"] == "system" else "" for e in exercises}
    assert personas == set(PERSONAS)


def test_the_same_seed_gives_the_same_rows_and_another_does_not() -> None:
    assert make(TASK_TOOLS).exercises == make(TASK_TOOLS).exercises
    assert make(TASK_TOOLS).exercises != make(TASK_TOOLS, seed=8).exercises


def test_a_tool_whose_arguments_cannot_be_made_is_not_called() -> None:
    hard = tool("hard", {"value": {"type": "string", "pattern": "^(?=x)"}})
    stage = new_stage([hard, *ORDER_TOOLS], PERSONAS)
    assert list(stage.unusable) == ["hard"]
    called = {name for e in make_exercises(stage, 60, 1).exercises for name, _ in _calls(e.messages)}
    assert called == {"create_order", "updateOrder", "delete_orders", "get_weather"}


def test_a_list_of_nothing_that_can_be_called_gives_rows_without_calls() -> None:
    hard = tool("hard", {"value": {"type": "string", "pattern": "^(?=x)"}})
    assert set(make([hard], 10).kinds) == {"no_call"}


@pytest.mark.parametrize(
    ("description", "wish"),
    [
        ("Add a task.", "add a task"),
        ("Retrieve information about a drug. Slow.", "retrieve information about a drug"),
        ("Returns the weather", "ping host"),
        ("This function adds", "ping host"),
        ("GET a page", "GET a page"),
        ("Process an order (if any)", "process an order"),
        ("", "ping host"),
        (f"Add {'very ' * 30}much", "ping host"),
    ],
)
def test_a_wish_is_an_imperative(description: str, wish: str) -> None:
    tools = with_tool(name="pingHost", description=description)
    assert wish_of(tools[0], tools) == wish


def test_tools_described_alike_are_told_apart() -> None:
    tools = with_tool(name="a_b", description="Get it all.") + with_tool(name="c", description="Get it all.")
    assert [wish_of(one, tools) for one in tools] == ["get it all (a b)", "get it all (c)"]


def test_every_value_is_mentioned() -> None:
    arguments = {"cityName": "Rome", "n": 2, "ok": True, "tags": ["a", "b"], "at": [{"x_y": 1.5}, {"x_y": 2}], "no": []}
    assert mentions(arguments) == [
        'city name "Rome"', "n 2", "ok true", 'tags "a" and "b"', "x y 1.5", "x y 2", "no no",
    ]  # fmt: skip
    assert values_in(arguments) == ["Rome", "2", "true", "a", "b", "1.5", "2"]


def run(*words: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "data.exercise", *map(str, words)], capture_output=True, text=True, timeout=300
    )


def tools_file(folder: Path, tools: object = ORDER_TOOLS) -> Path:
    path = folder / "tools.json"
    path.write_text(json.dumps(tools))
    return path


def test_the_program_writes_rows_and_says_what_is_in_them(tmp_path: Path) -> None:
    personas = tmp_path / "personas.json"
    personas.write_text('["You are a robot."]')
    out = tmp_path / "rows.jsonl"
    done = run(tools_file(tmp_path), "--out", out, "--train", "20", "--seed", "3", "--personas", personas)
    assert (done.returncode, done.stderr) == (0, "")
    assert "20 rows\n  kinds: single 6, parallel 2, recovery 4, multi_step 4, no_call 4\n" in done.stdout
    assert {numbered.row.messages[0].content for numbered in read_rows(out)} == {"You are a robot."}


def test_a_teacher_rewords_and_a_wording_that_loses_a_value_is_not_taken(tmp_path: Path) -> None:
    tools, out = tools_file(tmp_path), tmp_path / "rows.jsonl"
    with scripted_teacher() as teacher:
        words = ["--out", out, "--train", "20", "--base-url", teacher.base_url, "--max-retries", "0"]
        done = run(tools, *words, "--model", "rewords")
        assert done.returncode == 0 and "reworded: 16 of 16 requests with calls" in done.stdout
        again, num_asked = out.read_bytes(), sum(teacher.asked.values())
        assert run(tools, *words, "--model", "rewords").returncode == 0
        assert (out.read_bytes(), sum(teacher.asked.values())) == (again, num_asked)
        lost = run(tools, *words, "--model", "rewords_away")
        assert "plain wording kept, value_lost: 16" in lost.stdout
        failed = run(tools, *words, "--model", "error_500")
        assert (failed.returncode, "plain wording kept, unanswered: 16" in failed.stdout) == (0, True)
    for row in map(json.loads, again.splitlines()):
        asked = next(message["content"] for message in row["messages"] if message["role"] == "user")
        assert asked.startswith("Hey, ") == any("tool_calls" in message for message in row["messages"])
        assert_calls_follow(row)


@pytest.mark.parametrize(
    ("value", "text", "stands"),
    [
        ("2", "Order 2, please.", True),
        ("2", "Order 25.", False),
        ("2", "Order 2.5 litres.", False),
        ("5", "Order 2.5 litres.", False),
        ("2", "Look at T-204.", False),
        ("-3", "It is -3 outside.", True),
        ("Rome", "Weather in Rome?", True),
        ("Rome", "Weather in Romeo", False),
        ("a+b (c)", "Find a+b (c)!", True),
    ],
)
def test_a_value_stands_in_a_text_as_a_word_of_its_own(value: str, text: str, stands: bool) -> None:
    assert stands_in(value, text) is stands


@pytest.mark.parametrize(
    ("tools", "words", "message"),
    [
        ([], [], "tools.json: the tool list is empty"),
        ({"a": 1}, [], "tools.json: "),
        (ORDER_TOOLS[:1] * 2, [], "tool 'create_order' is listed twice"),
        (ORDER_TOOLS, ["--train", "0"], "--train: 0 rows asked for"),
        (ORDER_TOOLS, ["--model", "x"], "--base-url and --model go together"),
        (ORDER_TOOLS, ["--model", "x", "--base-url", "http://127.0.0.1:1/v1"], "cannot be reached"),
        (ORDER_TOOLS, ["--personas", "absent.json"], "absent.json: cannot be read"),
    ],
)
def test_a_users_fault_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tools: object, words: list[str], message: str
) -> None:
    out = tmp_path / "rows.jsonl"
    monkeypatch.setattr(sys, "argv", ["data.exercise", str(tools_file(tmp_path, tools)), "--out", str(out), *words])
    with pytest.raises(UserError) as error:
        data.exercise.main()
    assert message in str(error.value) and "\n" not in str(error.value)
    assert not out.exists()


def test_a_users_fault_ends_with_status_2(tmp_path: Path) -> None:
    failed = run(tools_file(tmp_path, []), "--out", tmp_path / "rows.jsonl")
    assert (failed.returncode, failed.stderr.count("\n")) == (2, 1), failed.stderr


def test_the_tool_list_is_never_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = tools_file(tmp_path, ORDER_TOOLS).rename(tmp_path / "tools.jsonl")
    (tmp_path / "link.jsonl").symlink_to("tools.jsonl")
    before = tools.read_bytes()
    monkeypatch.setattr(sys, "argv", ["data.exercise", str(tools), "--out", str(tmp_path / "link.jsonl")])
    with pytest.raises(UserError, match=r"link\.jsonl: would be overwritten, as it is also an input"):
        data.exercise.main()
    assert tools.read_bytes() == before
