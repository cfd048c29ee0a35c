"""Random damage, seeded: whatever a file holds, it is told by line or read, never a traceback and never a hang.

The whole run of 100,000 files takes minutes: CALLTUNE_FUZZ_FILES=100000 python -m pytest tests/data/test_fuzz.py
"""

# ruff: noqa: E501  # tables of damage
import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from random import Random
from typing import Any

import pytest

from data.conversation import conversation
from data.reading import RowFile, read_row_file
from data.row import Row
from data.row_summary import summarise
from data.rules.findings import Finding
from data.rules.sets import set_findings
from data.rules.severities import DEFAULTS, RuleSeverities
from data.user_error import UserError
from tests.data.corruptions import PARALLEL, TASK
from tests.data.rows import GOOD, PING, ping, raw, result, says, user

NUM_FILES = int(os.environ.get("CALLTUNE_FUZZ_FILES", "4000"))
NUM_SEEDS = 4
LIMIT_S = 10  # of processor time, since a busy machine may pause a test; a file takes a millisecond
LEGACY = {
    "messages": [
        user("Ping a"), {"role": "assistant", "content": None, "function_call": ping()["function"]},
        {"role": "function", "name": "ping", "content": "ok"}, says("Done."),
    ],
    "functions": [PING["function"]],
}  # fmt: skip
PREFERENCE = {
    "input": raw(user("Ping a")), "preferred_output": [says(None, ping())], "non_preferred_output": [says("No.")],
}  # fmt: skip
PARTS = raw(user([{"type": "text", "text": "Hi"}]), says(None, ping('{"host": "a", "n": 1}')), result("ok"), says("."))
SOUND = [GOOD, PARALLEL, TASK, LEGACY, PREFERENCE, PARTS]
LENIENT = RuleSeverities(extra_key="off", unknown_tool="off", tool_schema="warning", argument_schema="off")

TEXTS = [
    "", " ", "\x00", "\x1b[31m", "\u2028", "\u202e", "🙂", "<|im_end|>", "<tool_call>", "{}", "[]", "null", '{"a": 1}', "NaN", "\\ud800",
    "messages", "role", "assistant", "tool", "system", "function", "$ref", "#", "date", "(", "x" * 5000, "T-1\n", "true",
]  # fmt: skip
VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 2**70, 0.5, 1e300, [], {}, [[]], [None], {"": None}, {"type": "text", "text": "a"},
    {"type": "refusal", "refusal": "a"}, {"type": "object"}, {"$ref": "#"}, {"properties": {"a": True}}, {"pattern": "("},
    {"type": ["string", "null"]}, {"format": "date"}, {"required": "a"}, {"enum": []}, {"role": "user", "content": "a"},
    {"name": "ping", "arguments": "{}"}, {"anyOf": [{}]}, {"$id": "x", "$ref": "y"}, {"$schema": "x"}, {"items": {}},
]  # fmt: skip
KEYS = [
    "role",
    "content",
    "weight",
    "tool_calls",
    "arguments",
    "properties",
    "items",
    "type",
    "$ref",
    "format",
    "",
    "é\n",
    "input",
]


def damaged_tree(row: Any, random: Random) -> Any:
    """One place of the row changed: its value, its key, or whether it is there."""
    holder, place = random.choice(list(_places(row)))
    act = random.randrange(6)
    if act == 0:
        del holder[place]
    elif act == 1:
        holder[place] = random.choice(TEXTS)
    elif act == 2:
        holder[place] = deepcopy(random.choice(VALUES))
    elif act == 3 and isinstance(holder, dict):
        holder[random.choice(KEYS)] = holder.pop(place)
    elif act == 4:
        other, elsewhere = random.choice(list(_places(row)))
        holder[place] = deepcopy(other[elsewhere])
    elif isinstance(holder, list):
        holder.insert(random.randrange(len(holder) + 1), deepcopy(random.choice([holder[place], *VALUES])))
    else:
        holder[random.choice(KEYS)] = deepcopy(random.choice([*TEXTS, *VALUES]))
    return row


def damaged_arguments(row: Any, random: Random) -> Any:
    """The same inside the arguments of a call, which are JSON in JSON."""
    texts = [
        (holder, place) for holder, place in _places(row) if place == "arguments" and isinstance(holder[place], str)
    ]
    if texts:
        holder, place = random.choice(texts)
        try:
            arguments = json.loads(holder[place])
            holder[place] = json.dumps(damaged_tree([arguments], random))[1:-1]
        except ValueError:
            holder[place] = holder[place][: random.randrange(len(holder[place]) + 1)]
    return row


def damaged_bytes(data: bytes, random: Random) -> bytes:
    start = random.randrange(len(data) + 1)
    end = min(len(data), start + random.choice([0, 1, 1, 2, 20, 400]))
    inserted = random.choice([
        b"", b"\n", b"\r\n", b'"', b"\\", b"{", b"}]", b",", b"\xff", b"\xef\xbb\xbf", b"\x00", b"NaN", b"1e999", b"\\ud800",
        b"[" * 300, b'{"a":' * 2000, data[start:end] * 2, random.randbytes(3),
    ])  # fmt: skip
    return data[:start] + inserted + data[end:]


def fuzzed_file(random: Random) -> bytes:
    """One to three lines, at least one of them damaged."""
    lines = []
    for _ in range(random.randrange(1, 4)):
        row = deepcopy(random.choice(SOUND))
        for _ in range(random.choice([1, 1, 2, 5])):
            row = random.choice([damaged_tree, damaged_tree, damaged_arguments])(row, random) if row else row
        lines.append(json.dumps(row, ensure_ascii=random.random() < 0.5).encode(errors="surrogatepass"))
    data = b"\n".join(lines)
    return damaged_bytes(data, random) if random.random() < 0.3 else data


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place of a tree, as what holds it and its key or index there."""
    for place in list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, place
        yield from _places(value[place])


@contextmanager
def time_limit() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TimeoutError(f"longer than {LIMIT_S} s")

    before: Callable[..., Any] | int | None = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, LIMIT_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def checked(path: Path, severities: RuleSeverities) -> tuple[RowFile, list[Finding]]:
    """As data.check does it without a tokenizer."""
    file = read_row_file(path, severities)
    findings = file.findings + set_findings(file.rows, file.rows[:1], severities)
    summarise([file], findings)
    return file, findings


@pytest.mark.parametrize("seed", range(NUM_SEEDS))
def test_a_damaged_file_is_told_or_read(seed: int, tmp_path: Path) -> None:
    random, path = Random(seed), tmp_path / "rows.jsonl"
    num_told = num_read = 0
    for _ in range(NUM_FILES // NUM_SEEDS):
        path.write_bytes(data := fuzzed_file(random))
        try:
            with time_limit():
                file, findings = checked(path, random.choice([DEFAULTS, LENIENT]))
        except UserError as error:
            assert str(path) in str(error)  # the file as a whole: empty, or no UTF-8 in its first line
            continue
        except Exception as error:
            raise AssertionError(f"seed {seed}: {data!r}") from error
        for finding in findings:
            assert 1 <= finding.line <= data.count(b"\n") + 1 and str(finding).isprintable(), data
        for numbered in file.rows:
            conversation(numbered.row)
            assert Row.model_validate_json(numbered.row.model_dump_json(exclude_unset=True)) == numbered.row, data
        num_told, num_read = num_told + bool(findings), num_read + bool(file.rows)
    # Damage that is always found, or never, would test one half alone.
    assert num_told > 0.5 * NUM_FILES / NUM_SEEDS and num_read > 0.05 * NUM_FILES / NUM_SEEDS
