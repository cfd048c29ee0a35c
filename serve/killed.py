"""Was a process killed, and was it for lack of memory? One that is killed writes no word of it."""

import re
import signal
from pathlib import Path

_STEP_KILLED = re.compile(r"exit status -9\b|exitcode\s*: -9\b|Signal 9 \(SIGKILL\)")


def num_oom_kills() -> int:
    """Processes that this machine's kernel has ended for lack of memory so far, control groups included."""
    try:
        words = Path("/proc/vmstat").read_text().split()
    except OSError:
        return 0  # not Linux
    return int(words[words.index("oom_kill") + 1]) if "oom_kill" in words else 0


def cause_of_kill(status: int, log: Path | None = None, oom_kills: int = 0) -> str:
    """The cause, when the process or, as its log tells, one of its steps was killed; else nothing.

    `oom_kills` happened on its machine meanwhile, where that is known.
    """
    was_killed = status == -signal.SIGKILL or (status not in (0, 2) and _tells_of_a_killed_step(log))
    if not was_killed:
        return ""
    return "killed (SIGKILL), " + ("as the machine ran out of memory" if oom_kills else "perhaps for lack of memory")


def _tells_of_a_killed_step(log: Path | None) -> bool:
    lines = log.read_text(errors="replace").splitlines()[-20:] if log and log.is_file() else []
    return any(_STEP_KILLED.search(line) for line in lines)
