"""All 251 raw records in the layouts people bring: what is kept tells its source's story, the rest says why not."""

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from data.conversion import Kept, Refusal, convert_file
from data.layouts.detection import detect
from data.reading import read_row_file
from data.row import JsonObject
from data.source_records import read_records
from data.user_error import UserError
from tests.data import story

NUM_FUZZED = 400
BREAKS_RULE = "the row it makes breaks a rule: "
STATE = ("running_state", "message 2 is a running state of arguments, not a call that was made: no result follows it")
NO_TOOLS = ("missing_tools", BREAKS_RULE + 'key "tools": the row has tool calls but no tools')
STRAY_KEY = ("extra_key", BREAKS_RULE + 'key "tools[0].function.required": Extra inputs are not permitted')
DOTTED = ("tool_name", "the tool name ")
TWO_ANSWERS = ("alternatives", "2 accepted answers, a row has one")
STEPS = ("steps", "2 golden calls without the results between them")
THREE_STEPS = ("steps", "3 golden calls without the results between them")
CALL, ARGUMENTS = BREAKS_RULE + "message ", ', key "tool_calls[0].function.arguments'


def breaks(message: int, key: str, reason: str) -> tuple[str, str]:
    return "argument_schema", f'{CALL}{message}{ARGUMENTS}{key}": breaks the schema of {reason}'


def made_up(message: int, argument: str, tool: str) -> tuple[str, str]:
    return "unknown_argument", f"{CALL}{message}{ARGUMENTS}.{argument}\": is not in the schema of '{tool}'"


def broken_json(char: int) -> tuple[str, str]:
    return "unreadable", f"Action_Input is not JSON: Expecting value: line 1 column {char + 1} (char {char})"


class Expected(NamedTuple):
    layout: str
    read: int
    refused: dict[str, tuple[str, str]]
    """Row (and part) to its cause and how its reason begins."""


def rows(first: int, last: int, reason: tuple[str, str]) -> dict[str, tuple[str, str]]:
    return {str(number): reason for number in range(first, last + 1)}


TABLE = {
    "sharegpt/glaive_en.json": Expected("sharegpt", 30, {}),
    "sharegpt/glaive_zh.json": Expected("sharegpt", 15, {}),
    "content_parts/reason_tool_use.jsonl": Expected(
        "content_parts", 12, {"1": STRAY_KEY, "6": STRAY_KEY, "11": STRAY_KEY}
    ),
    "glaive/glaive_layout.jsonl": Expected("glaive", 30, {}),
    "hermes/hermes_layout.json": Expected("hermes", 25, {}),
    "xlam/xlam_layout.json": Expected("xlam", 30, {
        "6": breaks(2, ".investment", "'calculateROI': '48.7' is not of type 'number'"),
        "9": breaks(2, ".restaurant_id", "'getBeverageMenu': '2' is not of type 'integer'"),
        "10": ("reference", "an argument refers to API_call_0, the result of another call of the same turn"),
    }),
    "seal_tools/dataset_for_finetune.json": Expected(
        "seal_tools", 20, {"4": breaks(2, ".robot_id", "'driveRobot': '97' is not of type 'integer'")}
    ),
    "toolalpaca/eval_simulated.json": Expected("tool_alpaca", 30, {
        "1.2": breaks(2, ".gender", "'searchAxolotlImages': '' is not one of ['male', 'female']"),
        "1.5": breaks(2, ".gender", "'searchAxolotlImages': '' is not one of ['male', 'female']"),
        "1.7": THREE_STEPS, "1.8": THREE_STEPS, "1.10": STEPS, "2.1": STEPS,
        "2.2": made_up(2, "filter", "searchAnime"),
        "2.3": STEPS, "2.4": STEPS, "2.5": STEPS, "2.6": STEPS, "2.8": STEPS, "2.9": STEPS, "3.1": STEPS,
        "3.4": broken_json(38), "3.5": broken_json(76), "3.6": broken_json(62), "3.8": broken_json(59), "3.11": STEPS,
    }),
    "react_sharegpt/rotbench_first_turn_clean.json": Expected("react", 6, {"1": TWO_ANSWERS}),
    "react_sharegpt/rotbench_third_turn_heavy.json": Expected("react", 6, {
        "1": TWO_ANSWERS,
        "3": made_up(3, "code", "exectue_pycode_REPL"),
        "4": breaks(7, ".days", "'get_daily_prices': 10 is not of type 'string'"),
        "5": breaks(3, "", "'linguistic_analysis': 'key' is a required property"),
    }),
    "api_bank/level_1_given_desc.jsonl": Expected("api_bank", 30, rows(1, 30, NO_TOOLS)),
    "hammerbench/en_HammerBench_SO_case2.json": Expected("hammer_bench", 10, rows(1, 10, STATE)),
    "hammerbench/zh_HammerBench_SO_case2.json": Expected("hammer_bench", 10, rows(1, 10, STATE)),
    "hammerbench/en_ir_ST_Perfect.json": Expected("hammer_bench", 10, rows(1, 10, DOTTED)),
    "hammerbench/zh_ir_ST_Perfect.json": Expected("hammer_bench", 10, rows(1, 10, DOTTED)),
    "openai_trajectory/tau_bench_airline_with_errors.json": Expected("trajectory", 4, rows(1, 4, NO_TOOLS)),
}  # fmt: skip


def converted(path: Path, tools: list[JsonObject] | None = None) -> tuple[str, list[Kept | Refusal]]:
    layout = detect(path, read_records(path))
    return layout.name, list(convert_file(path, layout, tools))


def number_of(refusal: Refusal, path: Path) -> str:
    return refusal.where.removeprefix(f"{path}:").replace(": part ", ".")


def sources(path: Path) -> dict[str, dict[str, Any]]:
    """Every row of a raw file by its number, read with nothing of the importers."""
    text = path.read_text()
    records = [json.loads(line) for line in text.splitlines()] if path.suffix == ".jsonl" else json.loads(text)
    if "Golden_Answers" not in records[0]:
        return {str(number): record for number, record in enumerate(records, start=1)}
    return {
        f"{number}.{part}": {"instruction": said, "answer": answer, "documentation": record["Documentation"]}
        for number, record in enumerate(records, start=1)
        for part, (said, answer) in enumerate(
            zip(record["Instructions"], record["Golden_Answers"], strict=True), start=1
        )
    }


@pytest.mark.parametrize("name", TABLE)
def test_each_raw_row_is_kept_or_refused_for_its_own_reason(shared_data: Path, name: str) -> None:
    path, expected = shared_data / "raw" / name, TABLE[name]
    layout, outcomes = converted(path)
    refused = {number_of(o, path): (o.cause, o.what) for o in outcomes if isinstance(o, Refusal)}
    assert (layout, len(outcomes)) == (expected.layout, expected.read)
    assert {number: cause for number, (cause, _) in refused.items()} == {
        number: cause for number, (cause, _) in expected.refused.items()
    }
    assert [
        refused[number][1] for number, (_, begin) in expected.refused.items() if begin not in refused[number][1]
    ] == []
    assert all(o.fix for o in outcomes if isinstance(o, Refusal))


def test_the_table_names_every_raw_file_and_all_251_records(shared_data: Path) -> None:
    files = {str(p.relative_to(shared_data / "raw")): p for p in (shared_data / "raw").glob("*/*.json*")}
    assert set(files) == set(TABLE)
    assert sum(len(list(read_records(path))) for path in files.values()) == 251


@pytest.mark.parametrize("name", [name for name in TABLE if not name.startswith("hammerbench")])
def test_a_kept_row_tells_the_story_of_its_source(shared_data: Path, name: str) -> None:
    path = shared_data / "raw" / name
    read_events, read_tools = story.READERS[name.split("/")[0]]
    every = sources(path)
    tools = open_tools(list(every.values()), read_events) if read_tools is story.no_list else None
    _, outcomes = converted(path, tools)
    assert len(outcomes) == len(every)
    num_kept = 0
    for (number, record), outcome in zip(every.items(), outcomes, strict=True):
        if isinstance(outcome, Refusal):
            assert number_of(outcome, path) == number
            continue
        num_kept += 1
        row = json.loads(outcome.line)
        events = story.of_row(row)
        if read_events is story.react:  # its system text loses sentences, which another test names
            assert events.pop(0)[0] == "system"
        assert same(events, read_events(record)), number
        if tools is None:
            assert story.tools_of_row(row) == read_tools(record), number
    assert num_kept == (len(every) if tools else TABLE[name].read - len(TABLE[name].refused))


def same(one: object, two: object) -> bool:
    """Equal with types: in Python 1, 1.0 and True are the same."""
    return repr(one) == repr(two)


def open_tools(records: list[JsonObject], read_events: Any) -> list[JsonObject]:
    """A tool list for layouts without one: every name that is called, with any arguments."""
    names = sorted({event[1] for record in records for event in read_events(record) if event[0] == "call"})
    return [{"type": "function", "function": {"name": name, "parameters": {"type": "object"}}} for name in names]


def test_the_system_text_of_react_rows_keeps_all_but_the_written_form(shared_data: Path) -> None:
    path = shared_data / "raw" / "react_sharegpt" / "rotbench_first_turn_clean.json"
    every = sources(path)
    for (_, record), outcome in zip(every.items(), converted(path)[1], strict=True):
        if isinstance(outcome, Refusal):
            continue
        kept = json.loads(outcome.line)["messages"][0]["content"].splitlines()
        lost = Counter(record["conversations"][0]["value"].splitlines()) - Counter(kept)
        assert [line for line in lost if line and not line.startswith("[{")] == [
            "Desired format:", "Thought: <The thought>", "Action: <The tool you decide to use>",
            "Action Input: <The parameters for the tool>",
            '3. The "Action Input" needs to provide a dict similar to {parameter_1: value_1, parameter_2: value_2} to '
            "call action.",
            "Task description: You should use tools to help handle the real time user queries. Specifically, you have "
            "access of the following tools:",
        ]  # fmt: skip


def test_kept_rows_pass_the_check(shared_data: Path, tmp_path: Path) -> None:
    lines = [
        outcome.line
        for name in TABLE
        for outcome in converted(shared_data / "raw" / name)[1]
        if isinstance(outcome, Kept)
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(line + "\n" for line in lines))
    file = read_row_file(path)
    assert (len(lines), len(file.rows), [f for f in file.findings if f.is_error]) == (173, 173, [])


def test_mutated_files_give_rows_refusals_or_one_line(shared_data: Path, tmp_path: Path) -> None:
    draw = random.Random(7)
    texts = [(name, (shared_data / "raw" / name).read_bytes()) for name in TABLE]
    pieces = [
        b'"',
        b"{",
        b"}",
        b"[",
        b"]",
        b"null",
        b"1e999",
        b"\\",
        b"\xff",
        b"'",
        b"<tool_call>",
        b",",
        b"\n",
        b"NaN",
    ]
    ends = Counter[str]()
    for case in range(NUM_FUZZED):
        name, whole = draw.choice(texts)
        data = bytearray(whole[: draw.choice([4000, 12000, len(whole)])] if draw.random() < 0.3 else whole)
        for _ in range(draw.randint(1, 6)):
            at = draw.randrange(len(data))
            data[at : at + draw.choice([0, 1, 1, 8, 200])] = draw.choice([*pieces, bytes([draw.randrange(256)])])
        path = tmp_path / f"{case}{Path(name).suffix}"
        path.write_bytes(bytes(data))
        try:
            ends.update(type(outcome).__name__ for outcome in converted(path)[1])
        except UserError as error:
            assert error.where.startswith(str(path)) and "\n" not in str(error)
            ends["UserError"] += 1
    assert min(ends["UserError"], ends["Kept"], ends["Refusal"]) > 50, ends
