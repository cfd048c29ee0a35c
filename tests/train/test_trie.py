import pytest

from tests.train.tries import random_features
from train.trie import Segment, build_trie, common_length

PAD = 99


@pytest.mark.parametrize("multiple", [1, 2, 5])
@pytest.mark.parametrize("seed", range(25))
def test_every_row_is_found_along_one_path(seed: int, multiple: int) -> None:
    rows = [feature["input_ids"] for feature in random_features(seed)]
    trie = build_trie(rows, multiple=multiple, pad_token_id=PAD)
    for row, places in zip(rows, trie.places, strict=True):
        assert [trie.input_ids[place] for place in places] == row
        path = [segment for segment in trie.segments if segment.start <= places[-1] < segment.subtree_end]
        # Exactly the segments of its path say that its last token may see them, and their positions count it.
        seen = [place for segment in path for place in range(segment.start, segment.end)][: len(row)]
        assert seen == list(places)
        assert all(segment.position == row_position(trie.segments, segment) for segment in path)


def row_position(segments: list[Segment], segment: Segment) -> int:
    above = 0
    while segment.parent >= 0:
        segment = segments[segment.parent]
        above += segment.end - segment.start
    return above


@pytest.mark.parametrize("seed", range(25))
def test_what_rows_share_is_held_once(seed: int) -> None:
    rows = [feature["input_ids"] for feature in random_features(seed)]
    prefixes = {tuple(row[: length + 1]) for row in rows for length in range(len(row))}
    assert len(build_trie(rows).input_ids) == len(prefixes)


def test_segments_in_depth_first_order() -> None:
    trie = build_trie([[1, 2, 3, 4], [1, 2, 3], [1, 2, 5, 6], [7]])
    assert trie.input_ids == [1, 2, 3, 4, 5, 6, 7]
    assert trie.segments == [
        Segment(0, 2, 0, -1, 6), Segment(2, 3, 2, 0, 4), Segment(3, 4, 3, 1, 4), Segment(4, 6, 2, 0, 6),
        Segment(6, 7, 0, -1, 7),
    ]  # fmt: skip


def test_a_multiple_cuts_what_is_shared_and_pads_what_is_not() -> None:
    trie = build_trie([[1, 2, 3, 4], [1, 2, 3, 5, 6]], multiple=2, pad_token_id=PAD)
    assert trie.input_ids == [1, 2, 3, 4, 3, 5, 6, PAD]
    assert trie.segments == [Segment(0, 2, 0, -1, 8), Segment(2, 4, 2, 0, 4), Segment(4, 8, 2, 0, 8)]


def test_the_length_that_two_rows_share() -> None:
    assert common_length([1, 2], [2, 2]) == 0
    assert common_length([1, 2, 3], [1, 2, 4]) == 2
    assert common_length([1, 2, 3], [1, 2]) == 2
