"""safetensors files of a model, read and written tensor by tensor, so that nothing else of them need be in memory.

The format (safetensors documentation, "Format"): 8 bytes with the header's length, the header in JSON with type, shape
and place of each tensor, then the tensors' bytes in order. The library writes a file from tensors that are all in
memory, which for one shard of an 8B model is 5 GB.
"""

import json
import os
from collections.abc import Iterator, Sequence
from math import prod
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import torch

DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
BLOCK = 1 << 22
"""Values in memory at once; smaller and larger ones were slower (recipes/RESULTS.md, "Merge")."""


class Buffer:
    """Memory that is used again and again: what is new costs a page fault for each 4 KiB."""

    def __init__(self, dtype: torch.dtype) -> None:
        self._held = torch.empty(0, dtype=dtype)

    def of(self, shape: Sequence[int]) -> torch.Tensor:
        """A tensor of any content, until the next one is asked for."""
        size = prod(shape)
        if len(self._held) < size:
            self._held = torch.empty(size, dtype=self._held.dtype)
        return self._held[:size].view(shape)


class Entry(NamedTuple):
    """A tensor of a file, as its header describes it."""

    dtype: str
    """In the format's words: BF16, F32, I64 ..."""
    shape: tuple[int, ...]
    num_bytes: int
    offset: int = 0
    """Of its first byte in the file."""

    @property
    def is_float(self) -> bool:
        return self.dtype in DTYPES


class WeightFiles:
    """The tensors of all shards in a folder, by name.

    They are read and not mapped: what is mapped counts as this process's memory, and costs a page fault each 4 KiB.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shards = {path: _entries(path) for path in sorted(folder.glob("*.safetensors"))}
        self._shard_of = {key: path for path, entries in self.shards.items() for key in entries}

    def __contains__(self, key: str) -> bool:
        return key in self._shard_of

    def entry(self, key: str) -> Entry:
        return self.shards[self._shard_of[key]][key]

    def rows(self, key: str, rows: slice = slice(None), into: Buffer | None = None) -> torch.Tensor:
        """Some rows of a tensor, in its own type, all by default; their bytes if that is no float.

        `into`, of uint8, is where they are read to.
        """
        entry = self.entry(key)
        num_rows = entry.shape[0] if entry.shape else 1
        start, stop, _ = rows.indices(num_rows)
        row_bytes = entry.num_bytes // max(1, num_rows)
        data = (into or Buffer(torch.uint8)).of([(stop - start) * row_bytes])
        with self._shard_of[key].open("rb") as file:
            file.seek(entry.offset + start * row_bytes)
            assert file.readinto(data.numpy().data) == len(data), f"{self._shard_of[key]} ends within {key}"
        if not entry.is_float:
            return data
        return data.view(DTYPES[entry.dtype]).view((stop - start, *entry.shape[1:]) if entry.shape else ())


def _entries(path: Path) -> dict[str, Entry]:
    with path.open("rb") as file:
        header_bytes = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(header_bytes))
    entries = {}
    for key, value in header.items():
        if key != "__metadata__":
            start, end = value["data_offsets"]
            entries[key] = Entry(value["dtype"], tuple(value["shape"]), end - start, 8 + header_bytes + start)
    return entries


def row_blocks(shape: tuple[int, ...]) -> Iterator[slice]:
    """Slices of rows that hold about BLOCK values each, one row at least."""
    if not shape:
        yield slice(None)
        return
    values = 1
    for size in shape[1:]:
        values *= size
    step = max(1, BLOCK // max(1, values))
    for start in range(0, shape[0], step):
        yield slice(start, min(start + step, shape[0]))


class ShardWriter:
    """Writes a safetensors file: first what it will hold, then the tensors, each in any number of parts, in any order.

    `with ShardWriter(path, entries) as file: file.write(key, rows, part)`, by several threads at once.
    """

    def __init__(self, path: Path, entries: dict[str, Entry]) -> None:
        header: dict[str, object] = {"__metadata__": {"format": "pt"}}
        self._entries, self._num_bytes = {}, 0
        for key, entry in entries.items():
            end = self._num_bytes + entry.num_bytes
            header[key] = {"dtype": entry.dtype, "shape": list(entry.shape), "data_offsets": [self._num_bytes, end]}
            self._entries[key] = entry._replace(offset=self._num_bytes)
            self._num_bytes = end
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)  # so that the tensors begin on a multiple of 8
        self._begin = 8 + len(text)
        self._written: list[int] = []  # to which threads can append
        self._file = path.open("wb", buffering=0)
        self._file.write(len(text).to_bytes(8, "little") + text)

    def write(self, key: str, rows: slice, part: torch.Tensor) -> None:
        """`part` is these rows of the tensor `key`, or their bytes."""
        entry = self._entries[key]
        start = (rows.start or 0) * (entry.num_bytes // max(1, entry.shape[0] if entry.shape else 1))
        data = part.contiguous().reshape(-1).view(torch.uint8).numpy().data
        done = 0
        while done < len(data):  # the system writes 2 GiB at most
            done += os.pwrite(self._file.fileno(), data[done:], self._begin + entry.offset + start + done)
        self._written.append(done)

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        assert kind or sum(self._written) == self._num_bytes, "the header promises other tensors than were written"
