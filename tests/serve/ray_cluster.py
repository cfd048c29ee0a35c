"""A real Ray cluster on this machine for the tests: a head and a second node, each with room for one job."""

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil

from serve.vllm_process import free_port
from tests.conftest import ROOT
from tests.serve.scale_out_guide import command

RAY = ROOT / ".venv-ray" / "bin" / "ray"
START_S = 240
TRIES = 4
SETTINGS = {
    # A node that is killed is missed within seconds.
    "RAY_health_check_period_ms": "1000", "RAY_health_check_timeout_ms": "3000",
    "RAY_health_check_failure_threshold": "3",
    # On a busy machine its parts take long to start, and the memory of others is none of its business.
    "RAY_agent_register_timeout_ms": "120000",
    "RAY_memory_monitor_refresh_ms": "0", "RAY_USAGE_STATS_ENABLED": "0",
}  # fmt: skip


class RayCluster:
    def __init__(self) -> None:
        self.folder = Path("/tmp") / f"ct-ray-{os.getpid()}"  # a short path: a socket's has 107 characters at most
        self.folder.mkdir()
        self.head = self._started(self._start_head, 1)
        self.nodes = [self._started(self._start_node, 2)]

    def _start_head(self) -> subprocess.Popen[bytes]:
        self.port, dashboard = free_port("127.0.0.1"), free_port("127.0.0.1")
        self.address = f"http://127.0.0.1:{dashboard}"
        return self._start(
            command("ray start --head", **{"0.0.0.0": "127.0.0.1"}), f"--port={self.port}",
            f"--dashboard-port={dashboard}", f"--ray-client-server-port={free_port('127.0.0.1')}",
            f"--temp-dir={self.folder}", '--resources={"head": 1}',
        )  # fmt: skip

    def _start_node(self) -> subprocess.Popen[bytes]:
        return self._start(command("ray start --address", **{"HEAD:6379": f"127.0.0.1:{self.port}"}))

    def _started(self, start: Callable[[], subprocess.Popen[bytes]], num_nodes: int) -> subprocess.Popen[bytes]:
        """A node gives up when its parts need more than 20 s to start (ray-project/ray#65983), as they do on a machine
        with other work: then once more."""
        for _ in range(TRIES):
            process = start()
            with contextlib.suppress(ChildProcessError):
                self._wait(lambda: len(self.living_nodes()) == num_nodes, process)
                return process
            self._kill_all()
        raise AssertionError((self.folder / "start.log").read_text()[-3000:])

    def living_nodes(self) -> list[dict[str, Any]]:
        told = httpx.get(f"{self.address}/api/v0/nodes", timeout=10).raise_for_status().json()
        return [node for node in told["data"]["result"]["result"] if node["state"] == "ALIVE"]

    def job(self, job_id: str) -> Any:
        answer = httpx.get(f"{self.address}/api/jobs/{job_id}")
        return None if answer.status_code == 404 else answer.raise_for_status().json()

    def occupy_head(self) -> Callable[[], object]:
        """Fill the head's place; returns what empties it again."""
        body: dict[str, Any] = {"submission_id": "filler", "entrypoint": "sleep 1000", "entrypoint_num_cpus": 1}
        body["entrypoint_resources"] = {"head": 1}
        httpx.post(f"{self.address}/api/jobs/", json=body, timeout=30).raise_for_status()
        self._wait(lambda: self.job("filler")["status"] == "RUNNING")
        return lambda: httpx.post(f"{self.address}/api/jobs/filler/stop", timeout=30).raise_for_status()

    def kill_node_of(self, marked: str) -> int:
        """Kill -9 everything of the node that runs a process with this in its command line; how many processes."""
        for node in self.nodes:
            tree = _tree(node)
            if any(marked in " ".join(_command(process)) for process in tree):
                for process in tree:
                    _kill(process)
                node.wait(30)
                self.nodes.remove(node)
                return len(tree)
        raise AssertionError(f"no node runs {marked}")

    def stop(self) -> None:
        for process in [*self.nodes, self.head]:
            for each in _tree(process):
                _kill(each)
            process.wait(30)
        self._kill_all()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _kill_all(self) -> None:
        """What a start that failed has left; not of a node that lives, whose session's folder is another."""
        living = {each.pid for node in self._processes() for each in _tree(node)}
        for process in psutil.process_iter():
            if str(self.folder) in " ".join(_command(process)) and process.pid not in living:
                _kill(process)

    def _processes(self) -> list[subprocess.Popen[bytes]]:
        return [process for process in [getattr(self, "head", None)] if process]

    def _start(self, given: str, *options: str) -> subprocess.Popen[bytes]:
        words = [str(RAY.parent / given.split()[0]), *given.split()[1:], *options, "--node-ip-address=127.0.0.1"]
        words += ["--num-cpus=1", "--object-store-memory=80000000", "--disable-usage-stats", "--block"]
        for part in ("dashboard-agent-grpc", "dashboard-agent-listen", "runtime-env-agent", "metrics-export"):
            words.append(f"--{part}-port={free_port('127.0.0.1')}")
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")} | SETTINGS
        with (self.folder / "start.log").open("ab") as log:
            return subprocess.Popen(words, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment)

    def _wait(self, is_ready: Callable[[], bool], process: subprocess.Popen[bytes] | None = None) -> None:
        """Raises ChildProcessError when the process ends meanwhile."""
        deadline = time.monotonic() + START_S
        while True:
            with contextlib.suppress(httpx.HTTPError, KeyError, TypeError, ValueError):
                if is_ready():
                    return
            if process and process.poll() is not None:
                raise ChildProcessError(process.args)
            assert time.monotonic() < deadline, (self.folder / "start.log").read_text()[-2000:]
            time.sleep(0.2)


def _tree(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    try:
        parent = psutil.Process(process.pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


def _kill(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.kill()
