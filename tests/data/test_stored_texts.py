"""Texts kept on disk come back as they went in."""

from data.stored_texts import StoredTexts


def test_every_text_is_found_by_its_place() -> None:
    texts = ["", "Straße 🙂", "half a pair \ud83d", "a\nb\x00c", "x" * 100_000, ""]
    stored = StoredTexts()
    for text in texts:
        stored.append(text)
    assert [stored[place] for place in (5, 4, 3, 2, 1, 0, 4)] == [texts[place] for place in (5, 4, 3, 2, 1, 0, 4)]
