"""A server as a child process: in a process group of its own, waited for, and ended with all its children."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType, TracebackType
from typing import NoReturn, Self
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from data.child_command import ending_with_us
from serve.killed import cause_of_kill, num_oom_kills

POLL_S = 0.25
STOP_TIMEOUT_S = 20
_ERROR = re.compile(r"\b(?:[A-Za-z_.]*(?:Error|Exception)|error): \S.*")
# vLLM's parent processes only report that their child failed; the child's own words stand above.
_SECOND_HAND = ("Engine core initialization failed", "WorkerProc initialization failed")
# Not the proxy of the environment: the server is on this machine.
_OPENER = build_opener(ProxyHandler({}))


class ServerError(Exception):
    """The server ended by itself, or never answered: its reason and where its log is."""


class ServerProcess:
    """`with ServerProcess(command, url, log_path) as server:` runs the body once the server answers at `url`/health.

    The log is kept. Leaving the body, an exception or a SIGTERM of this process end the server and its children.
    """

    def __init__(
        self, command: list[str], url: str, log_path: Path, *, env: dict[str, str] | None = None,
        title: str = "server", startup_timeout_s: float = 900,
    ) -> None:  # fmt: skip
        self.command, self.url, self.log_path = command, url, log_path
        self.env = os.environ | (env or {})
        self.title, self.startup_timeout_s = title, startup_timeout_s
        self._process: subprocess.Popen[bytes] | None = None
        self._old_sigterm: object = None
        self._oom_kills_before = 0

    def __enter__(self) -> Self:
        self._oom_kills_before = num_oom_kills()
        self._take_sigterm()
        try:
            self.log_path.parent.mkdir(parents=True, exist_ok=True)
            with self.log_path.open("wb") as log:
                self._process = subprocess.Popen(
                    ending_with_us(self.command), stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                    env=self.env, start_new_session=True,
                )  # fmt: skip
            self._wait_until_healthy()
        except BaseException:  # Ctrl-C while waiting must not leave a server behind either
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        assert self._process, "the server was not started"
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def wait(self) -> NoReturn:
        """Block until the server ends by itself, which is always a failure: it serves until it is stopped."""
        assert self._process, "the server was not started"
        self._process.wait()
        raise self._death()

    def serve(self, announce: Callable[[], None]) -> int:
        """For a program that is this server: start it, `announce` it and wait. Gives the program's exit status, 0 for
        Ctrl-C and SIGTERM, 1 where the server did not come up or died."""
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            with self:
                announce()
                self.wait()
        except KeyboardInterrupt:
            print("stopped", file=sys.stderr)
            return 0
        except ServerError as death:
            print(f"error: {death}", file=sys.stderr)
            return 1

    def require_alive(self) -> None:
        assert self._process, "the server was not started"
        if self._process.poll() is not None:
            raise self._death()

    def stop(self) -> None:
        """SIGTERM and some time to finish, then SIGKILL to whatever of its group is left."""
        if self._process:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_TIMEOUT_S)
            self.kill_rest()
            self._process.wait()
        self._give_back_sigterm()

    def kill_rest(self) -> None:
        """Of one that has ended: the children that outlived it, and with them the memory that they hold."""
        assert self._process
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def last_log_line(self) -> str:
        lines = self._log_tail().splitlines()
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def _wait_until_healthy(self) -> None:
        deadline = time.monotonic() + self.startup_timeout_s
        with _waiting(self.title) as progress:
            while not self._is_healthy():
                self.require_alive()
                if time.monotonic() > deadline:
                    raise ServerError(f"no answer within {self.startup_timeout_s:g} s; log: {self.log_path}")
                progress.update(progress.task_ids[0], line=escape(_without_prefix(self.last_log_line()))[:100])
                time.sleep(POLL_S)

    def _is_healthy(self) -> bool:
        try:
            with _OPENER.open(f"{self.url}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False

    def end_reason(self) -> str:
        """Of one that has ended by itself: how, and why as far as it told."""
        assert self._process
        status = self._process.poll()
        killed = cause_of_kill(status or 0, oom_kills=num_oom_kills() - self._oom_kills_before)
        return f"{self.title} ended with status {status}: {killed or self._reason()}"

    def _death(self) -> ServerError:
        return ServerError(f"{self.end_reason()}; log: {self.log_path}")

    def _reason(self) -> str:
        """The last error line that is not second hand, else the last line."""
        found = [match[0] for line in self._log_tail().splitlines() if (match := _ERROR.search(line))]
        first_hand = [line for line in found if not any(words in line for words in _SECOND_HAND)]
        return (first_hand or found or [self.last_log_line() or "it wrote no log"])[-1][:300]

    def _log_tail(self) -> str:
        with self.log_path.open("rb") as log:
            log.seek(max(0, self.log_path.stat().st_size - 65536))
            return log.read().decode(errors="replace")

    def _take_sigterm(self) -> None:
        """By default SIGTERM ends Python without running `__exit__`, and the server would stay: make it an exit."""
        with contextlib.suppress(ValueError):  # only the main thread may; elsewhere the caller has to see to it
            if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
                self._old_sigterm = signal.signal(signal.SIGTERM, _exit_on_sigterm)

    def _give_back_sigterm(self) -> None:
        if self._old_sigterm is not None:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            self._old_sigterm = None


def _exit_on_sigterm(signum: int, frame: FrameType | None) -> NoReturn:
    sys.exit(128 + signum)


@contextlib.contextmanager
def _waiting(title: str) -> Iterator[Progress]:
    columns = (
        SpinnerColumn(),
        TextColumn(f"starting {title}"),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[line]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        progress.add_task("", total=None, line="")
        yield progress


def _without_prefix(line: str) -> str:
    """vLLM's lines start with process, level, date and file; what happens stands after them."""
    return re.sub(r"^(?:\([^)]*\)\s*)?(?:INFO|WARNING|ERROR|DEBUG)\s+\d\S*\s+\S+\s+(?:\[[^]]*\]\s*)?", "", line)
