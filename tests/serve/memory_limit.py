"""A control group that lets a process have only so much more memory: the kernel then ends it, as on a full machine."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

CGROUP = Path("/sys/fs/cgroup")


@contextmanager
def memory_limit(pids: list[int], num_bytes: int) -> Iterator[None]:
    """From now on. What the processes hold already stays counted where they came from."""
    is_v1 = (CGROUP / "memory").is_dir()
    group = CGROUP / "memory" / f"calltune-{os.getpid()}" if is_v1 else CGROUP / f"calltune-{os.getpid()}"
    try:
        group.mkdir()
        (group / ("memory.limit_in_bytes" if is_v1 else "memory.max")).write_text(str(num_bytes))
        _forbid_swap(group)
        for pid in pids:
            (group / "cgroup.procs").write_text(str(pid))
    except OSError:
        if group.is_dir():
            group.rmdir()
        pytest.skip("a control group for memory takes root")
    try:
        yield
    finally:
        for pid in (group / "cgroup.procs").read_text().split():
            (group.parent / "cgroup.procs").write_text(pid)
        group.rmdir()


def _forbid_swap(group: Path) -> None:
    for name in ("memory.memsw.limit_in_bytes", "memory.swap.max"):
        if (path := group / name).is_file():
            path.write_text((group / "memory.limit_in_bytes").read_text() if "memsw" in name else "0")
