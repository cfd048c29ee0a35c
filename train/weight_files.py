"""safetensors files of a model, read and written tensor by tensor, so that nothing else of them need be in memory.

The format (safetensors documentation, "Format"): 8 bytes with the header's length, the header in JSON with type, shape
and place of each tensor, then the tensors' bytes in order. The library writes a file from tensors that are all in
memory, which for one shard of an 8B model is 5 GB.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import torch
from safetensors import safe_open

DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
BLOCK = 1 << 25  # values in memory at once


class Entry(NamedTuple):
    """A tensor of a file, as its header describes it."""

    dtype: str
    """In the format's words: BF16, F32, I64 ..."""
    shape: tuple[int, ...]
    num_bytes: int

    @property
    def is_float(self) -> bool:
        return self.dtype in DTYPES


class WeightFiles:
    """The tensors of all shards in a folder, by name.

    A file is opened anew for each tensor: it is mapped into memory, and all that was ever read of it counts as this
    process's memory until it is closed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shards: dict[Path, dict[str, Entry]] = {}
        for path in sorted(folder.glob("*.safetensors")):
            with path.open("rb") as file:
                header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
            self.shards[path] = {
                key: Entry(value["dtype"], tuple(value["shape"]), value["data_offsets"][1] - value["data_offsets"][0])
                for key, value in header.items()
                if key != "__metadata__"
            }
        self._shard_of = {key: path for path, entries in self.shards.items() for key in entries}

    def __contains__(self, key: str) -> bool:
        return key in self._shard_of

    def entry(self, key: str) -> Entry:
        return self.shards[self._shard_of[key]][key]

    def rows(self, key: str, rows: slice = slice(None)) -> torch.Tensor:
        """Some rows of a tensor, in its own type; all by default."""
        with safe_open(self._shard_of[key], "pt") as file:
            tensor: torch.Tensor = file.get_slice(key)[rows] if self.entry(key).shape else file.get_tensor(key)
            return tensor.clone()


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
    """Writes a safetensors file: first what it will hold, then the tensors in that order, each in any number of parts.

    `with ShardWriter(path, entries) as file: file.write(part)`
    """

    def __init__(self, path: Path, entries: dict[str, Entry]) -> None:
        header: dict[str, object] = {"__metadata__": {"format": "pt"}}
        self._left = 0
        for key, entry in entries.items():
            end = self._left + entry.num_bytes
            header[key] = {"dtype": entry.dtype, "shape": list(entry.shape), "data_offsets": [self._left, end]}
            self._left = end
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)  # so that the tensors begin on a multiple of 8
        self._file = path.open("wb")
        self._file.write(len(text).to_bytes(8, "little") + text)

    def write(self, part: torch.Tensor) -> None:
        data = part.contiguous().reshape(-1).view(torch.uint8).numpy()
        self._left -= data.nbytes
        self._file.write(data.data)

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        assert kind or self._left == 0, "the header promises other tensors than were written"
