"""eval.waterfall against an endpoint with planted faults: each kind lands in its own column, at its known rate."""

import asyncio
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random

import openai
import pytest

from data.row import JsonObject
from data.rules.arguments import loose_object
from data.task_api.scenarios import synthesize
from eval.endpoint import Endpoint
from eval.item import Item
from eval.layers.asking import Asker, Heard, Way, _body
from eval.layers.following import Followed, follow_all
from eval.layers.raw_text import read_raw
from eval.layers.waterfall_file import PairedWay, paired_ways, steps
from eval.matching import score
from eval.reply import Reply
from eval.settings import EvalSection
from eval.suite import read_suite
from tests.eval.faulty_server import PLANTS, Plant, faulty_server
from tests.eval.rows import calls_message, result, row, said, user, write_rows
from tests.eval.scripted_server import MODEL, Script, scripted_server

# Where each plant must land: layer and kind.
COLUMNS: dict[Plant, tuple[str, str]] = {
    "swapped_name": ("model text", "wrong_tool"),
    "extra_key": ("schema", "extra_argument"),
    "string_for_number": ("schema", "schema_violation"),
    "wrong_value": ("environment", "wrong_value"),
    "left_in_content": ("parser", "leaked_call"),
    "broken_arguments": ("parser", "invalid_json"),
    "broken_stream": ("streaming", "broken_stream"),
    "stream_without_end": ("streaming", "broken_stream"),
    "stream_loses_call": ("streaming", "empty_answer"),
    "slow": ("transport", "slow"),
    "error_500": ("transport", "http_500"),
}


def rows_file(folder: Path, num_rows: int) -> Path:
    """Each row asks for one call, and for no text after it."""
    made = [
        row(user(f"Add thing {number}"), calls_message(("create_task", {"title": f"Thing {number}", "size": number})))
        for number in range(num_rows)
    ]
    return write_rows(folder / "rows.jsonl", *made)


def plant_all(items: list[Item], seed: int = 5) -> dict[str, Plant]:
    """Every plant a different number of times."""
    shares = [plant for number, plant in enumerate(PLANTS) for _ in range(1 + number // 3)]
    shares += ["none"] * (len(items) - len(shares))
    Random(seed).shuffle(shares)
    return {item.id: plant for item, plant in zip(items, shares, strict=True)}


def follow(
    items: list[Item], plants: dict[str, Plant], ways: list[Way], *, tells_tokens: bool = True
) -> list[Followed]:
    """In this process, with a second model, `right`, that has no faults."""
    # Long: what is not slow must come in time beside other tests, too.
    settings = EvalSection(timeout_s=12, max_retries=0, concurrency=64)
    with faulty_server(items, plants, tells_tokens=tells_tokens) as url:
        endpoints = [Endpoint(base_url=url, model=model) for model in ("faulty", "right")]
        return asyncio.run(follow_all(endpoints, items, ways, "none", settings, lambda: None))


def waterfall(rows: Path, url: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """The program."""
    command = [
        sys.executable, "-m", "eval.waterfall", rows, "--base-url", url, "--model", "faulty", "--max-retries", "0",
        *words,
    ]  # fmt: skip
    return subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return rows_file(tmp_path_factory.mktemp("waterfall"), 48)


@pytest.fixture(scope="module")
def items(rows: Path) -> list[Item]:
    return list(read_suite([rows], EvalSection(environment="recorded")).items)


def test_each_planted_fault_lands_in_its_own_column_at_its_rate(items: list[Item]) -> None:
    plants = plant_all(items)
    followed = follow(items, plants, [])
    assert all(one.tells_model_text for one in followed if one.fate.right["auto"] is not None)
    fates = [one.fate for one in followed]
    for fate in fates:
        loss = fate.loss and (fate.loss.layer, fate.loss.kind)
        assert loss == COLUMNS.get(plants[fate.id]), (plants[fate.id], fate)
    planted, columns = Counter(plants.values()), Counter[tuple[str, str]]()
    for plant, column in COLUMNS.items():
        columns[column] += planted[plant]
    found = steps(fates)
    assert {(step.layer, kind): n for step in found for kind, n in step.lost.items()} == dict(columns)
    assert (found[-1].left.k, found[-1].left.n) == (planted["none"], len(items))
    assert_paired({way.name: way for way in paired_ways(fates)}, planted)


def assert_paired(ways: dict[str, PairedWay], planted: Counter[Plant]) -> None:
    """`right` answers without faults; streaming alone loses what only streams lose."""
    broken = planted["broken_stream"] + planted["stream_without_end"]
    right_at_once = planted["none"] + broken + planted["stream_loses_call"]
    streamed, right = ways["streamed"], ways["right"]
    assert (streamed.both, streamed.only_auto, streamed.only_this) == (planted["none"], planted["stream_loses_call"], 0)
    assert streamed.not_run == planted["slow"] + planted["error_500"] + broken
    assert (right.both, right.only_auto, right.neither) == (right_at_once, 0, 0)
    assert right.only_this == 48 - right_at_once - planted["slow"] - planted["error_500"]


def test_a_server_that_tells_no_tokens_is_read_by_what_it_left_in_the_content(items: list[Item]) -> None:
    kinds: tuple[Plant, ...] = ("left_in_content", "swapped_name", "swapped_name", "swapped_name")
    plants = {item.id: kinds[number % 4] for number, item in enumerate(items)}
    followed = follow(items, plants, [], tells_tokens=False)
    assert not any(one.tells_model_text for one in followed)
    lost = {step.layer: step.lost for step in steps([one.fate for one in followed]) if step.lost}
    assert lost == {"model text": {"wrong_tool": 36}, "parser": {"leaked_call": 12}}


def test_the_program_writes_table_and_file_but_no_key(tmp_path: Path, rows: Path, items: list[Item]) -> None:
    out = tmp_path / "waterfall.json"
    plants: dict[str, Plant] = {item.id: "left_in_content" if item is items[0] else "none" for item in items}
    with faulty_server(items, plants) as url:
        words = ("--limit", "8", "--against", "right", "--ways", "strict", "--out", out, "--api-key", "sk-secret")
        followed = waterfall(rows, url, *words)
    assert followed.returncode == 0, followed.stderr
    assert "where faulty loses an item" in followed.stdout and "leaked_call 1" in followed.stdout
    found = json.loads(out.read_text())
    assert [way["name"] for way in found["ways"]] == ["streamed", "strict", "right"]
    assert [way["only_this"] for way in found["ways"]] == [0, 0, 1]
    assert "sk-secret" not in out.read_text()


def test_an_endpoint_that_answers_nothing_is_exit_status_1(tmp_path: Path, rows: Path, items: list[Item]) -> None:
    out = tmp_path / "waterfall.json"
    with faulty_server(items, {item.id: "error_500" for item in items}) as url:
        followed = waterfall(rows, url, "--limit", "5", "--out", out)
    assert followed.returncode == 1
    assert json.loads(out.read_text())["steps"][0]["lost"] == {"http_500": 5}


def test_required_is_asked_only_where_a_call_is_expected(tmp_path: Path) -> None:
    path = write_rows(
        tmp_path / "mixed.jsonl",
        row(user("Add milk"), calls_message(("create_task", {"title": "Milk", "size": 1})), result(1), said("Added")),
        row(user("Thanks!"), said("You are welcome.")),
    )
    items = list(read_suite([path], EvalSection()).items)
    followed = follow(items, {item.id: "none" for item in items}, ["required", "strict"])
    ways = {way.name: way.rate.n for way in paired_ways([one.fate for one in followed])}
    assert ways == {"streamed": 3, "required": 1, "strict": 3, "right": 3}


@pytest.mark.parametrize(
    ("text", "content", "calls"),
    [
        ('Sure.\n<tool_call>\n{"name": "a", "arguments": {}}\n</tool_call>', "Sure.", [("a", "{}")]),
        ('<tool_call>{"name": "a", "arguments": {"x": "</tool_call>"}}', "", [("a", '{"x": "</tool_call>"}')]),
        ('<tool_call>{"name": "a", "arguments": {"x":', '<tool_call>{"name": "a", "arguments": {"x":', []),
        ("<tool_call>[1]</tool_call>", "<tool_call>[1]</tool_call>", []),
        ("Just text", "Just text", []),
    ],
)
def test_what_the_model_wrote_is_read_without_a_parser(text: str, content: str, calls: list[tuple[str, str]]) -> None:
    reading = read_raw(text)
    assert (reading.content, [(call.name, call.arguments) for call in reading.calls]) == (content, calls)


def test_strict_functions_have_every_argument_required_and_a_null_counts_as_left_out(tmp_path: Path) -> None:
    """The server writes a null for each argument that the row's call leaves out, as vLLM's grammar demands."""
    made = synthesize(20, 4, seed=3, level="basic").train
    items = list(read_suite([write_rows(tmp_path / "rows.jsonl", *made)], EvalSection()).items)
    asked: list[JsonObject] = []
    with scripted_server(Script(made)) as url:
        endpoint = Endpoint(base_url=url, model=MODEL)

        async def ask() -> list[Heard]:
            async with openai.AsyncOpenAI(base_url=url, api_key="none") as client:
                asker = Asker(client, endpoint, EvalSection())
                return [await asker.ask(item, "strict_functions") for item in items]

        heard = asyncio.run(ask())
    for item, one in zip(items, heard, strict=True):
        assert isinstance(one.answer, Reply) and score(item, one.answer, 0.8).verdict == "right"
        asked += _body(MODEL, item, "strict_functions", EvalSection())["tools"]
    assert any(item.kind == "call" for item in items) and len(asked) == 4 * len(items)
    for tool in asked:
        function = tool["function"]
        assert function["strict"] and loose_object(json.dumps(function["parameters"])) == ""
    create = next(tool["function"] for tool in asked if tool["function"]["name"] == "create_task")
    null = {"type": "null"}
    assert create["parameters"]["properties"] == {
        "title": {"type": "string"}, "due_date": {"anyOf": [{"type": "string"}, null]},
        "priority": {"anyOf": [{"type": "string", "enum": ["low", "medium", "high"]}, null]},
    }  # fmt: skip
