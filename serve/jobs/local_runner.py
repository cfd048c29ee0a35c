"""Trainings as child processes of the worker."""

import os
import subprocess
import sys
from pathlib import Path

from serve.jobs.leftovers import MARK, end_processes
from serve.jobs.runner import Ended, Run
from serve.killed import cause_of_kill, num_oom_kills

ROOT = Path(__file__).parents[2]
RECIPE_RUN = (sys.executable, "-m", "recipes.run")
"""By command line: the recipes are a room to the right."""
END_S = 30


class LocalRunner:
    where = ""
    slots = 1

    def __init__(self, device: str, program: tuple[str, ...] = RECIPE_RUN) -> None:
        self.device, self.program = device, program

    def start(self, job_id: str, arguments: list[str], log: Path) -> Run:
        environment = os.environ | {MARK: job_id}
        environment |= {"CUDA_VISIBLE_DEVICES": self.device} if self.device else {}
        with log.open("ab") as out:
            process = subprocess.Popen(
                [*self.program, *arguments], stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                start_new_session=True, env=environment, cwd=ROOT,
            )  # fmt: skip
        return LocalRun(process, job_id, log)

    def goes_on(self, job_id: str) -> bool:
        return False

    def clear(self, job_id: str) -> int:
        return end_processes(job_id)

    def running(self) -> list[str]:
        return []

    def stop(self, job_id: str) -> None:
        end_processes(job_id)


class LocalRun:
    waits_for = ""

    def __init__(self, process: subprocess.Popen[bytes], job_id: str, log: Path) -> None:
        self._process, self._job_id, self._log = process, job_id, log
        self._oom_kills_before = num_oom_kills()

    def ended(self) -> Ended | None:
        status = self._process.poll()
        if status is None:
            return None
        return Ended(status, cause_of_kill(status, self._log, num_oom_kills() - self._oom_kills_before))

    def end(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()  # unwinds, and takes its children along
            try:
                self._process.wait(END_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        end_processes(self._job_id)

    def leave(self) -> None:
        """It would run with nobody to follow it: the next worker begins it anew, from its last checkpoint."""
        self.end()
