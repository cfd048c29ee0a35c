"""Texts kept on disk come back as they went in."""

import pytest

from data.stored_texts import StoredTexts
from data.user_error import UserError


def test_every_text_is_found_by_its_place() -> None:
    texts = ["", "Straße 🙂", "half a pair \ud83d", "a\nb\x00c", "x" * 100_000, ""]
    stored = StoredTexts()
    for place, text in enumerate(texts):
        assert (stored.append(text), stored[place // 2]) == (place, texts[place // 2])
    assert [stored[place] for place in (5, 4, 3, 2, 1, 0, 4)] == [texts[place] for place in (5, 4, 3, 2, 1, 0, 4)]


def test_a_full_disk_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("data.stored_texts.TemporaryFile", lambda: open("/dev/full", "w+b"))  # noqa: SIM115, PTH123
    stored = StoredTexts()
    with pytest.raises(UserError, match="No space left on device"):
        for _ in range(2):
            stored.append("x" * 10_000)
    stored = StoredTexts()
    stored.append("little, so that it waits to be written")
    with pytest.raises(UserError, match="No space left on device"):
        stored[0]
