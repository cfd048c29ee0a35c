"""Bytes of files in a folder and under URLs of other file systems."""

import io
import os
import time
import uuid
from pathlib import Path
from typing import IO

import pytest

from serve.storage.file_store import CHUNK_BYTES, FileStore


@pytest.fixture(params=["folder", "file URL", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> FileStore:
    name = uuid.uuid4().hex
    return FileStore(
        {"folder": str(tmp_path / name), "file URL": f"file://{tmp_path / name}", "memory": f"memory://{name}/a"}[
            request.param
        ]
    )


def test_bytes_come_back_whole_and_go(store: FileStore, tmp_path: Path) -> None:
    content = os.urandom(2 * CHUNK_BYTES + 1)
    assert store.write("file-1", io.BytesIO(content)) == len(content)
    assert b"".join(store.read("file-1")) == content
    assert store.write("file-1", io.BytesIO(b"new")) == 3  # a result file of a second attempt
    store.copy_to("file-1", tmp_path / "copies" / "copy")
    assert (tmp_path / "copies" / "copy").read_bytes() == b"new"
    store.delete("file-1")
    store.delete("file-1")
    with pytest.raises(FileNotFoundError):
        store.read("file-1")


class Broken(io.BytesIO):
    def read(self, size: int | None = -1) -> bytes:
        if self.tell():
            raise OSError("the client is gone")
        return super().read(size)


def test_an_upload_that_breaks_leaves_nothing(store: FileStore) -> None:
    source: IO[bytes] = Broken(b"x" * (CHUNK_BYTES + 1))
    with pytest.raises(OSError, match="the client is gone"):
        store.write("file-2", source)
    with pytest.raises(FileNotFoundError):
        store.read("file-2")
    assert store._system.ls(store._root) == []


def test_what_a_kill_left_of_an_upload_goes_after_its_time(store: FileStore) -> None:
    store.write("file-3", io.BytesIO(b"x"))
    with store._system.open(f"{store._root}/.file-4.partial", "wb") as file:
        file.write(b"x")
    store.delete_partial(60)
    assert len(store._system.ls(store._root)) == 2
    time.sleep(0.02)
    store.delete_partial(0.01)
    (left,) = store._system.ls(store._root, detail=False)
    assert left.endswith("/file-3")
