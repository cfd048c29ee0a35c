"""The lines of a large row file checked on all cores, in order, with the memory of a few chunks."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple, TypeVar

from data.row_lines import row_lines
from data.user_error import UserError

CHUNK_LINES = 500
WAITING = 3  # chunks a process: enough that none waits for the reader

Work = TypeVar("Work")
Result = TypeVar("Result")


class Chunk(NamedTuple):
    path: Path
    first: int
    """1-based number of its first line."""
    lines: list[bytes]


def chunks(path: Path) -> Iterator[Chunk]:
    lines, first = row_lines(path), 1
    while part := list(islice(lines, CHUNK_LINES)):
        yield Chunk(path, first, part)
        first += len(part)


def on_all_cores(
    work: Callable[[Work], Result],
    parts: Iterable[Work],
    prepare: Callable[..., None] | None = None,
    arguments: tuple[Any, ...] = (),
) -> Iterator[Result]:
    """`work(part)` for each part, in the order of the parts, each core with one process of its own.

    `prepare(*arguments)` runs once in each process. No more parts are read ahead than the processes can soon take.
    Raises what `work` raises, and UserError when a process was killed.
    """
    num_processes = len(os.sched_getaffinity(0))
    # Fresh processes: a forked one would inherit whatever lock another thread holds just then.
    pool = ProcessPoolExecutor(num_processes, get_context("spawn"), _start, initargs=(prepare, arguments))
    waiting: deque[Future[Result]] = deque()
    try:
        for part in parts:
            waiting.append(pool.submit(work, part))
            if len(waiting) > WAITING * num_processes:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise UserError(
            "a process that works on the rows was killed", fix="free memory, or use fewer cores (taskset -c 0 ...)"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _start(prepare: Callable[..., None] | None, arguments: tuple[Any, ...]) -> None:
    Thread(target=_end_with_parent, daemon=True).start()
    if prepare:
        prepare(*arguments)


def _end_with_parent() -> None:
    """A pool's process that waits for work never learns that the program was killed."""
    parent = parent_process()
    assert parent, "a process of a pool has a parent"
    parent.join()
    os._exit(1)
