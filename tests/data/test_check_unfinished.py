"""data.check goes on where a killed one ended, and never touches a folder that is not its own."""

import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from data import check, reading, token_summary
from data.parallel_render import row_lengths
from data.task_api.scenarios import synthesize
from data.user_error import UserError
from tests.models import write_rows


def test_a_stopped_check_goes_on(tmp_path: Path, smollm2: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = synthesize(50, 10, seed=6)
    train, test = (write_rows(tmp_path / f"{name}.jsonl", rows) for name, rows in (("a", made.train), ("b", made.test)))
    words = [str(train), "--test", str(test), "--tokenizer", str(smollm2), "--template", "chatml"]
    keep = tmp_path / "keep"
    num_rendered = 0

    def checked(out: Path, *more: str) -> bytes:
        monkeypatch.setattr(sys, "argv", ["data.check", *words, "--json", str(out), *more])
        assert check.main() == 0
        return out.read_bytes()

    def stopped(*arguments: Any) -> Iterator[Any]:
        yield from islice(row_lengths(*arguments), 20)
        raise KeyboardInterrupt

    def counted(*arguments: Any) -> Iterator[Any]:
        nonlocal num_rendered
        for found in row_lengths(*arguments):
            num_rendered += 1
            yield found

    monkeypatch.setattr(reading, "LARGE_BYTES", -1)
    monkeypatch.setattr(token_summary, "row_lengths", stopped)
    with pytest.raises(KeyboardInterrupt):
        checked(tmp_path / "out.json", "--unfinished", str(keep))
    names = [path.name for path in sorted(keep.iterdir())]
    assert names[2:] == ["key", "lengths-train.jsonl"] and len(names) == 4 and not (tmp_path / "out.json").exists()
    monkeypatch.setattr(token_summary, "row_lengths", counted)
    with monkeypatch.context() as nothing_is_read_anew:
        nothing_is_read_anew.setattr(reading, "on_all_cores", None)
        again = checked(tmp_path / "out.json", "--unfinished", str(keep))
    assert num_rendered == 40 and not keep.exists()
    assert again == checked(tmp_path / "out.json")


def test_a_folder_of_the_users_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = write_rows(tmp_path / "a.jsonl", synthesize(5, 1, seed=6).train)
    monkeypatch.setattr(sys, "argv", ["data.check", str(rows), "--unfinished", str(tmp_path)])
    with pytest.raises(UserError, match=r"holds other things \(fix: name a folder that is not there yet\)"):
        check.main()
    assert list(tmp_path.iterdir()) == [rows]
