"""Files that are not held in memory: the same rows, the same findings, in the same order."""

import gzip
import json
import sys
from pathlib import Path
from random import Random
from time import sleep
from typing import Any

import psutil
import pytest

from data.near_duplicates import ALIKE, MAX_COMPARED, NUM_BANDS, Pair, sketch
from data.parallel_render import row_lengths
from data.reading import LARGE_BYTES, RowFile, read_row_file, read_rows
from data.row_summary import summarise
from data.rules.sets import set_findings
from data.rules.severities import DEFAULTS, RuleSeverities
from data.stored_rows import StoredRows, joined, without
from data.task_api.scenarios import synthesize
from data.template import load_template
from data.user_error import UserError
from tests.data.near_pairs import near_pairs
from tests.data.rows import GOOD, good_file, ping, raw, says, user
from tests.data.test_fuzz import fuzzed_file
from tests.models import write_rows

LENIENT = RuleSeverities(extra_key="off", unknown_tool="warning")


@pytest.fixture
def all_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("data.reading.LARGE_BYTES", -1)
    monkeypatch.setattr("data.parallel_rows.CHUNK_LINES", 7)


def damaged_lines() -> bytes:
    """Rows of every kind, most of them damaged, with blank lines between."""
    random = Random(5)
    return b"\n".join([json.dumps(GOOD).encode(), *(fuzzed_file(random) for _ in range(150))]) + b"\n\n"


def both(path: Path, severities: RuleSeverities, monkeypatch: pytest.MonkeyPatch) -> tuple[RowFile, RowFile]:
    stored = read_row_file(path, severities)
    monkeypatch.setattr("data.reading.LARGE_BYTES", 2**40)
    return stored, read_row_file(path, severities)


@pytest.mark.parametrize("packed", [False, True])
def test_a_large_file_is_read_as_a_small_one(
    packed: bool, tmp_path: Path, all_large: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = b"\xef\xbb\xbf" + damaged_lines()
    path = tmp_path / ("rows.jsonl.gz" if packed else "rows.jsonl")
    path.write_bytes(gzip.compress(data) if packed else data)
    stored, held = both(path, LENIENT, monkeypatch)
    assert isinstance(stored.rows, StoredRows) and isinstance(held.rows, list)
    assert stored.num_lines == held.num_lines and stored.findings == held.findings
    assert list(stored.rows) == held.rows and list(stored.preferences) == held.preferences
    assert len(held.rows) > 20 and len(held.findings) > 100
    assert [stored.rows[place] for place in (-1, 3, 0)] == [held.rows[place] for place in (-1, 3, 0)]
    assert stored.rows[2:9:3] == held.rows[2:9:3]
    findings = [set_findings(rows, rows[:3], DEFAULTS) for rows in (stored.rows, held.rows)]
    assert findings[0] == findings[1] != []
    assert summarise([stored], findings[0]) == summarise([held], findings[1])


def test_a_large_file_that_cannot_be_read_is_told_as_a_small_one(tmp_path: Path, all_large: None) -> None:
    with pytest.raises(UserError, match=r"none\.jsonl: cannot be read: No such file"):
        read_row_file(tmp_path / "none.jsonl")
    (tmp_path / "empty.jsonl").write_bytes(b"\n\n")
    with pytest.raises(UserError, match=r"empty\.jsonl: the file is empty"):
        read_row_file(tmp_path / "empty.jsonl")
    (tmp_path / "half.jsonl.gz").write_bytes(gzip.compress(b"{}\n" * 1000)[:-9])
    with pytest.raises(UserError, match=r"half\.jsonl\.gz: is not UTF-8 JSONL"):
        read_row_file(tmp_path / "half.jsonl.gz")


def test_rows_are_joined_and_left_out_where_they_lie(tmp_path: Path, all_large: None) -> None:
    rows = [raw(user(f"Ping {number}"), says(None, ping())) for number in range(6)]
    parts = [read_rows(good_file(tmp_path / name, *rows[start:end])) for name, start, end in (("a", 0, 4), ("b", 4, 6))]
    both_files = joined(parts)
    assert [row.row.messages[0].content for row in both_files] == [f"Ping {number}" for number in range(6)]
    assert [both_files[place].line for place in (0, 3, 4, -1)] == [1, 4, 1, 2]
    with pytest.raises(IndexError):
        both_files[6]
    kept = without(parts[0], {2, 3})
    assert isinstance(kept, StoredRows) and [row.line for row in kept] == [1, 4]


def test_lengths_are_those_of_one_process(tmp_path: Path, chatml: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    lossy = raw(user("Hi <|im_end|>"), says("Hello."))
    path = write_rows(tmp_path / "rows.jsonl", [*synthesize(150, 1, seed=2).train, GOOD])
    rows = [*read_rows(path)]
    broken = rows[3]._replace(row=type(rows[3].row).model_validate(lossy))
    rows[3] = broken
    serial = list(row_lengths(rows, chatml, load_template("chatml")))
    monkeypatch.setattr("data.parallel_render.MANY", 100)
    assert list(row_lengths(rows, chatml, load_template("chatml"))) == serial
    assert [row.line for row in serial] == [row.line for row in rows]
    assert serial[3].lengths == [] and "special token" in serial[3].fault and serial[4].lengths[0].tokens > 100


def by_buckets(groups: list[str], texts: list[str]) -> list[Pair]:
    """The same pairs by dictionaries, one text after the other."""
    from rapidfuzz import fuzz

    buckets: dict[tuple[int, int], list[int]] = {}
    pairs = []
    for later, (group, text) in enumerate(zip(groups, texts, strict=True)):
        earlier: set[int] = set()
        for band, key in enumerate(sketch(group, text)):
            bucket = buckets.setdefault((band, key), [])
            earlier.update(bucket[:MAX_COMPARED])
            bucket.append(later)
        alike = [(first, fuzz.ratio(texts[first], text, score_cutoff=100 * ALIKE) / 100) for first in sorted(earlier)]
        pairs += [Pair(first, later, score) for first, score in alike if score][:1]
    return pairs


def test_near_duplicates_are_those_of_one_text_after_the_other() -> None:
    random = Random(3)
    texts = [
        " ".join(random.choices(["ping", "pong", "host", "a", "now"], k=random.randrange(3, 9))) for _ in range(600)
    ]
    texts += [text + random.choice(["", " !", " please"]) for text in random.sample(texts, 200)]
    groups = [random.choice("ab") for _ in texts]
    pairs = near_pairs(groups, texts)
    assert pairs == by_buckets(groups, texts) and len(pairs) > 50
    assert len(sketch("a", texts[0])) == NUM_BANDS
    assert near_pairs([], []) == []


def test_a_killed_check_takes_its_processes_with_it_and_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    line = json.dumps(GOOD).encode() + b"\n"
    path.write_bytes(line * (LARGE_BYTES // len(line) + 1))
    check = psutil.Popen([sys.executable, "-m", "data.check", str(path), "--json", str(tmp_path / "out.json")])
    while len(helpers := check.children()) < 2:  # one may be multiprocessing's own
        sleep(0.05)
    check.kill()
    check.wait()
    _, left = psutil.wait_procs(helpers, timeout=60)
    assert left == [] and list(tmp_path.iterdir()) == [path]
