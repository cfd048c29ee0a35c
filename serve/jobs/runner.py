"""Where trainings run: as processes of the worker, or as jobs of a Ray cluster."""

from pathlib import Path
from typing import NamedTuple, Protocol


class Ended(NamedTuple):
    """How a training ended."""

    status: int | None
    """Of its process, negative for a signal; None when it was lost, and nobody knows how far it came."""
    reason: str = ""
    """In words, where there are any; a reason without a log, which no other attempt would mend, when `is_final`."""
    is_final: bool = False


class Run(Protocol):
    """One training under way."""

    @property
    def waits_for(self) -> str:
        """What it is accepted for and cannot have yet, in words; empty while it runs."""
        ...

    def ended(self) -> Ended | None:
        """None while it goes on. Asked several times a second."""
        ...

    def end(self) -> None:
        """Nobody wants it any more. Blocks until nothing of it runs."""
        ...

    def leave(self) -> None:
        """This worker goes: what can go on without it does."""
        ...


class Runner(Protocol):
    where: str
    """For the job's events; empty for this machine."""
    slots: int
    """Trainings that one worker follows at once."""

    def start(self, job_id: str, arguments: list[str], log: Path) -> Run:
        """Start `recipes.run` with these arguments, or find the run of an earlier worker again."""
        ...

    def goes_on(self, job_id: str) -> bool:
        """`start` would find it again: that earlier workers died does not count against it."""
        ...

    def clear(self, job_id: str) -> int:
        """End what an earlier worker left and nobody can find again; how many processes."""
        ...

    def running(self) -> list[str]:
        """Ids of jobs that run somewhere even while no worker holds them."""
        ...

    def stop(self, job_id: str) -> None:
        """End one of those."""
        ...
