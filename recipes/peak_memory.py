"""The most memory that this process and its children held at once."""

import threading
from types import TracebackType

import psutil


class PeakMemory:
    """`with PeakMemory() as peak: ...; peak.num_bytes`, sampled twice a second: resident memory of the process tree,
    pages shared between processes counted in each."""

    def __init__(self) -> None:
        self.num_bytes = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.5):
            self.num_bytes = max(self.num_bytes, _resident_bytes())


def _resident_bytes() -> int:
    process = psutil.Process()
    total = 0
    for member in [process, *process.children(recursive=True)]:
        try:
            total += member.memory_info().rss
        except psutil.NoSuchProcess:
            continue  # it ended between the listing and the look
    return total
