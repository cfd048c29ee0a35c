"""Texts kept on disk come back as they went in."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from data.stored_texts import StoredTexts
from data.temporary_database import CACHE_KIB, TemporaryDatabase
from data.user_error import UserError


def test_every_text_is_found_by_its_place() -> None:
    texts = ["", "Straße 🙂", "half a pair \ud83d", "a\nb\x00c", "x" * 100_000, ""]
    stored = StoredTexts()
    for place, text in enumerate(texts):
        assert (stored.append(text), stored[place // 2]) == (place, texts[place // 2])
    assert [stored[place] for place in (5, 4, 3, 2, 1, 0, 4)] == [texts[place] for place in (5, 4, 3, 2, 1, 0, 4)]


def test_a_full_disk_is_told() -> None:
    stored = StoredTexts()
    with (
        file_size_limit(100_000),
        pytest.raises(UserError, match="a temporary file cannot be written: disk I/O error") as told,
    ):
        for _ in range(CACHE_KIB):
            stored.append("x" * 10_000)
    assert told.value.fix == "make room, or name another folder in TMPDIR"


def test_a_disk_that_is_full_while_sorting_is_told() -> None:
    database = TemporaryDatabase("CREATE TABLE numbers(number INTEGER, name TEXT)")
    database.insert("INSERT INTO numbers VALUES (?, ?)", ((-number, "x" * 10_000) for number in range(2 * CACHE_KIB)))
    with file_size_limit(100_000), pytest.raises(UserError, match="a temporary file cannot be written: disk I/O error"):
        list(database.select("SELECT number, name FROM numbers ORDER BY number"))


@contextmanager
def file_size_limit(num_bytes: int) -> Iterator[None]:
    """No file becomes larger: to a program the same as a disk without room."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
