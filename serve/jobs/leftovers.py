"""The processes of a job, known by a mark in their environment, so that none outlives a worker that was killed."""

from contextlib import suppress

import psutil

MARK = "CALLTUNE_JOB"
END_S = 15


def end_processes(job_id: str) -> int:
    """End every process of this user that carries the job's mark; how many there were."""
    found = [process for process in psutil.process_iter() if _mark(process) == job_id]
    for process in found:
        _signal(process, kill=False)
    _, alive = psutil.wait_procs(found, timeout=END_S)
    for process in alive:
        _signal(process, kill=True)
    psutil.wait_procs(alive, timeout=END_S)
    return len(found)


def _mark(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(MARK)
    except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
        return None  # it ended just now, or is somebody else's


def _signal(process: psutil.Process, *, kill: bool) -> None:
    with suppress(psutil.NoSuchProcess):
        if kill:
            process.kill()
        else:
            process.terminate()
