"""Rows as a trie: what several rows begin with is held once, what only one row has stands after it.

Segments lie in depth-first order, so everything that continues a segment follows it without a gap. One number a
segment, `subtree_end`, then says who may see it: the tokens from its own first to that place, and nobody else.
"""

from dataclasses import dataclass, replace
from itertools import groupby
from typing import NamedTuple

import numpy as np

Tokens = list[int]
Places = np.ndarray[tuple[int], np.dtype[np.int64]]


@dataclass(frozen=True)  # no tuple: transformers rebuilds those, item by item, when it moves a batch to its device
class Segment:
    """Tokens that the same rows share, from `start` to `end` in the trie's order, padding at a leaf's end included."""

    start: int
    end: int
    position: int
    """Position id of the first token: the number of tokens that lead to it."""
    parent: int
    """Index of the segment that it continues; -1 for a root."""
    subtree_end: int
    """Where the last segment ends that continues it."""


class Trie(NamedTuple):
    input_ids: list[int]
    segments: list[Segment]
    places: list[Places]
    """[tokens] for each row, in the order given: where each of its tokens stands in `input_ids`."""


class _Group(NamedTuple):
    """Rows, as a slice of the sorted ones, that share their first `shared` tokens; `held` of those are placed."""

    first: int
    last: int
    held: int
    shared: int
    parent: int


def build_trie(rows: list[Tokens], *, multiple: int = 1, pad_token_id: int = 0) -> Trie:
    """The trie of rows (each at least one token), its segments' lengths multiples of `multiple`.

    Shared segments are cut to such a length, what is cut off going on in each row; only leaves are padded, at their
    ends, where no token of a row sees the padding.
    """
    order = sorted(range(len(rows)), key=lambda row: rows[row])
    ranked = [rows[row] for row in order]
    input_ids: list[int] = []
    segments: list[Segment] = []
    paths = [-1] * len(rows)  # of each ranked row, its last segment
    groups = _groups(ranked, 0, len(ranked), 0, 0, -1)[::-1]
    while groups:
        group = groups.pop()
        longest = ranked[group.last - 1]
        shared = common_length(ranked[group.first], longest)
        is_leaf = shared == len(longest)  # of sorted rows the first and the last share the least: here all are equal
        end = shared if is_leaf else group.held + (shared - group.held) // multiple * multiple
        parent = group.parent
        if end > group.held:
            own = list(longest[group.held : end])
            own += [pad_token_id] * (-len(own) % multiple)
            segments.append(Segment(len(input_ids), len(input_ids) + len(own), group.held, parent, 0))
            input_ids += own
            parent = len(segments) - 1
        if is_leaf:
            paths[group.first : group.last] = [parent] * (group.last - group.first)
        else:
            groups += _groups(ranked, group.first, group.last, end, shared, parent)[::-1]
    segments = _with_subtree_ends(segments)
    last_segments = dict(zip(order, paths, strict=True))
    places = [_places(segments, last_segments[row])[: len(rows[row])] for row in range(len(rows))]
    return Trie(input_ids, segments, places)


def _groups(ranked: list[Tokens], first: int, last: int, held: int, shared: int, parent: int) -> list[_Group]:
    """The rows of one group by their token after the shared ones; rows that end there are a group of their own."""
    groups = []
    for _, members in groupby(range(first, last), key=lambda rank: tuple(ranked[rank][shared : shared + 1])):
        found = list(members)
        groups.append(_Group(found[0], found[-1] + 1, held, shared, parent))
    return groups


def _with_subtree_ends(segments: list[Segment]) -> list[Segment]:
    ends = [segment.end for segment in segments]
    for index in range(len(segments) - 1, -1, -1):
        parent = segments[index].parent
        if parent >= 0:
            ends[parent] = max(ends[parent], ends[index])
    return [replace(segment, subtree_end=end) for segment, end in zip(segments, ends, strict=True)]


def _places(segments: list[Segment], last: int) -> Places:
    path = []
    while last >= 0:
        path.append(segments[last])
        last = segments[last].parent
    return np.concatenate([np.arange(segment.start, segment.end) for segment in reversed(path)])


def common_length(first: Tokens, second: Tokens) -> int:
    """How many tokens two rows share from their start."""
    for place, (one, other) in enumerate(zip(first, second, strict=False)):
        if one != other:
            return place
    return min(len(first), len(second))
