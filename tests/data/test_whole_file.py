import resource
from pathlib import Path

import pytest

from data.user_error import UserError
from data.whole_file import whole_file, write_whole


def test_the_folders_it_needs_are_made_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "rows.jsonl"
    write_whole(path, "één\n")
    assert path.read_bytes() == "één\n".encode()
    assert [file.name for file in path.parent.iterdir()] == ["rows.jsonl"]


def test_a_failed_write_leaves_what_stood_there(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    write_whole(path, "first\n")
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "half a pair: \ud83d")
    assert path.read_text() == "first\n"
    assert [file.name for file in tmp_path.iterdir()] == ["rows.jsonl"]
    write_whole(path, "half a pair: \ud83d", errors="replace")
    assert path.read_text() == "half a pair: ?"


def test_a_path_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written: File exists") as caught:
        write_whole(tmp_path / "file" / "rows.jsonl", "")
    assert caught.value.where == str(tmp_path / "file" / "rows.jsonl")


def test_a_full_disk_is_told_by_the_name_of_the_file(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        for text in ("x" * 999_999, "x" * 1001):  # the second one is refused on closing alone
            with pytest.raises(UserError, match=r"rows\.jsonl: cannot be written: File too large"):
                write_whole(tmp_path / "rows.jsonl", text)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []


def test_what_else_fails_while_a_file_is_written_keeps_its_own_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"source\.jsonl"), whole_file(tmp_path / "rows.jsonl") as file:
        file.write("first\n")
        (tmp_path / "source.jsonl").open()
    assert list(tmp_path.iterdir()) == []
