"""Training against vLLM's own front end, both templates with the real tokenizers, and the program on planted faults."""

import asyncio
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from data.reading import NumberedRow, read_rows
from data.row import Row
from data.task_api.scenarios import synthesize
from data.template import load_template
from eval.front_end import FrontEnd
from eval.parity_check import Renderer, Tally, check_row
from tests.conftest import ROOT
from tests.eval.tricky_rows import DIALECTS, TRICKY_ROWS, asks
from tests.models import MAX_MODEL_LEN, write_rows

pytestmark = pytest.mark.slow
SAMPLE = 40


@pytest.fixture(scope="module", params=["smollm2", "llama3"])
def front_end(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FrontEnd]:
    folder: Path = request.getfixturevalue(request.param)
    with FrontEnd(folder, tmp_path_factory.mktemp("front_end") / "log") as running:
        yield running


@pytest.fixture(scope="module")
def renderer(front_end: FrontEnd) -> Renderer:
    folder = front_end.command[front_end.command.index("--model") + 1]
    template = load_template(front_end.manifest.template)
    return Renderer(AutoTokenizer.from_pretrained(folder), template, MAX_MODEL_LEN)


def compare(rows: list[NumberedRow], renderer: Renderer, front_end: FrontEnd) -> Tally:
    async def run() -> Tally:
        tally = Tally()
        async with front_end.client() as client:
            for row in rows:
                await check_row(row, renderer, client, tally)
        return tally

    return asyncio.run(run())


@pytest.mark.contract(9)
@pytest.mark.parametrize("name", TRICKY_ROWS)
def test_tricky_rows_are_trained_as_they_are_served(name: str, renderer: Renderer, front_end: FrontEnd) -> None:
    row = Row.model_validate(TRICKY_ROWS[name])
    tally = compare([NumberedRow(Path(name), 1, row)], renderer, front_end)
    assert (tally.refused, tally.differences) == ([], [])
    assert tally.turns == sum(message.role == "assistant" for message in row.messages)
    assert tally.turns_parsed == sum(message.is_trained for message in row.messages)


@pytest.mark.contract(9)
@pytest.mark.parametrize("name", ["taskmaster_coffee", "seal_tools", "home_assistant"])
def test_real_rows_are_trained_as_they_are_served(
    name: str, shared_data: Path, renderer: Renderer, front_end: FrontEnd
) -> None:
    rows = sample(read_rows(shared_data / name / "train.jsonl"))
    tally = compare(rows, renderer, front_end)
    assert (tally.refused, tally.differences, tally.rows) == ([], [], SAMPLE)


@pytest.mark.contract(9)
def test_thirty_made_rows_with_tools_are_trained_as_they_are_served(renderer: Renderer, front_end: FrontEnd) -> None:
    made = [Row.model_validate(row) for row in synthesize(30, 1, seed=3, level="full").train]
    tally = compare([NumberedRow(Path("made"), line, row) for line, row in enumerate(made, 1)], renderer, front_end)
    assert (tally.refused, tally.differences, tally.rows) == ([], [], 30)
    assert all(row.tools for row in made) and tally.turns_parsed > 30


def sample(rows: list[NumberedRow]) -> list[NumberedRow]:
    """Up to a third each of parallel calls, context-only turns and text beyond ASCII, filled up from the whole file."""
    kinds = (
        lambda row: any(len(message.tool_calls or []) > 1 for message in row.messages),
        lambda row: any(message.weight == 0 for message in row.messages),
        lambda row: not row.model_dump_json().isascii(),
    )
    chosen = [row for is_kind in kinds for row in [row for row in rows if is_kind(row.row)][: SAMPLE // 4]]
    chosen += rows[:: len(rows) // SAMPLE]
    return list({row.line: row for row in chosen}.values())[:SAMPLE]


def test_one_function_in_four_client_dialects_is_one_prompt(front_end: FrontEnd) -> None:
    async def prompts() -> list[list[int]]:
        async with front_end.client() as client:
            return [await client.prompt_ids({"messages": [asks("Hi")], "tools": [tool]}) for tool in DIALECTS.values()]

    first, *others = asyncio.run(prompts())
    assert [other == first for other in others] == [True, True, True]


def test_a_prompt_of_a_longer_conversation_starts_with_the_shorter_one(front_end: FrontEnd) -> None:
    messages = [asks("Hi"), {"role": "assistant", "content": "Hello."}, asks("Ping")]

    async def prompts() -> tuple[list[int], list[int]]:
        async with front_end.client() as client:
            tools = list(DIALECTS.values())[:1]
            return (
                await client.prompt_ids({"messages": messages[:1], "tools": tools}),
                await client.prompt_ids({"messages": messages, "tools": tools}),
            )

    short, long = asyncio.run(prompts())
    assert long[: len(short)] == short and len(long) > len(short)


def test_one_real_bos(front_end: FrontEnd, renderer: Renderer) -> None:
    async def prompt() -> list[int]:
        async with front_end.client() as client:
            return await client.prompt_ids({"messages": [asks("Hi")]})

    assert asyncio.run(prompt()).count(renderer.tokenizer.bos_token_id) == (
        1 if front_end.manifest.template == "llama3" else 2
    )


def parity(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "eval.parity", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture
def rows_file(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "rows.jsonl", list(TRICKY_ROWS.values()))


def test_the_program_exits_0_and_counts_when_all_is_equal(smollm2: Path, rows_file: Path, tmp_path: Path) -> None:
    done = parity(rows_file, "--model", smollm2, "--json", tmp_path / "out.json")
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "out.json").read_text())
    turns = sum(message["role"] == "assistant" for row in TRICKY_ROWS.values() for message in row["messages"])
    assert report == {
        "rows": len(TRICKY_ROWS), "turns": turns, "prompts_equal": turns, "turns_parsed": turns - 1,
        "parses_equal": turns - 1, "streamed_parses_equal": turns - 1, "is_equal": True,
        "refused": [], "differences": [],
    }  # fmt: skip


def altered(folder: Path, copy: Path, old: str, new: str) -> Path:
    """A folder that serves another template than the one trained with, and whose manifest vouches for it."""
    shutil.copytree(folder, copy)
    template = copy / "chat_template.jinja"
    assert old in template.read_text()
    template.write_text(template.read_text().replace(old, new))
    manifest: dict[str, Any] = json.loads((copy / "calltune.json").read_text())
    manifest["template_sha256"] = hashlib.sha256(template.read_bytes()).hexdigest()
    (copy / "calltune.json").write_text(json.dumps(manifest))
    return copy


def test_the_program_shows_where_another_template_differs(smollm2: Path, rows_file: Path, tmp_path: Path) -> None:
    model = altered(smollm2, tmp_path / "merged", "</tool_response>", " </tool_response>")
    done = parity(rows_file, "--model", model)
    assert done.returncode == 1
    assert f"{rows_file}:6: message 5: prompt: token " in done.stdout
    assert "pong" in done.stdout and "</tool_response>" in done.stdout


def test_a_template_beside_another_manifest_is_a_user_error(smollm2: Path, rows_file: Path, tmp_path: Path) -> None:
    shutil.copytree(smollm2, tmp_path / "merged")
    with (tmp_path / "merged" / "chat_template.jinja").open("a") as template:
        template.write("{# changed #}")
    done = parity(rows_file, "--model", tmp_path / "merged")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "is not the one of the manifest" in done.stderr


def test_a_call_that_the_parser_would_cut_is_refused(smollm2: Path, tmp_path: Path) -> None:
    row = json.loads(json.dumps(TRICKY_ROWS["numbers_and_nesting"]).replace("1e3", "a </tool_call> b"))
    done = parity(write_rows(tmp_path / "rows.jsonl", [row]), "--model", smollm2)
    assert done.returncode == 2
    assert f"{tmp_path / 'rows.jsonl'}:1: message 2" in done.stderr and "tool_call" in done.stderr


def test_the_parsers_limits_are_seen_where_no_rule_forbids_the_row(renderer: Renderer, front_end: FrontEnd) -> None:
    row = Row.model_validate(json.loads(
        json.dumps(TRICKY_ROWS["numbers_and_nesting"]).replace("1e3", "a </tool_call> b")
    ))  # fmt: skip
    tally = compare([NumberedRow(Path("planted"), 1, row)], renderer, front_end)
    assert sorted(difference.check for difference in tally.differences) == ["parse", "streamed parse"]


def test_a_row_longer_than_the_context_is_refused_by_name(renderer: Renderer, front_end: FrontEnd) -> None:
    row = {"messages": [asks("word " * MAX_MODEL_LEN), {"role": "assistant", "content": "Yes."}]}
    tally = compare([NumberedRow(Path("long.jsonl"), 7, Row.model_validate(row))], renderer, front_end)
    assert "long.jsonl:7: " in tally.refused[0] and "tokens, more than the model's 8192" in tally.refused[0]
    assert (tally.turns, tally.is_equal) == (0, False)
