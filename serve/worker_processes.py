"""The workers that the API starts beside itself, one for each training device; a worker that dies is started anew."""

import logging
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from serve.api_settings import ApiSettings

logger = logging.getLogger("calltune.api")
RESTART_S = 2.0
STOP_S = 30


class WorkerProcesses:
    def __init__(self, file: Path, overrides: list[str], settings: ApiSettings, *, wanted: bool) -> None:
        devices = training_devices(settings) if wanted else []
        command = [sys.executable, "-m", "serve.worker", str(file), *overrides]
        self._commands = [[*command, f"--device={device}", f"--parent={os.getpid()}"] for device in devices]
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="workers", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join()
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()

    def _watch(self) -> None:
        while True:
            for number, command in enumerate(self._commands):
                process = self._processes.get(number)
                if process is not None and (status := process.poll()) is not None:
                    logger.error("a worker ended", extra={"status": status})
                if process is None or process.poll() is not None:
                    self._processes[number] = subprocess.Popen(command, stdin=subprocess.DEVNULL)
            if self._stopping.wait(RESTART_S):
                return


def training_devices(settings: ApiSettings) -> list[str]:
    """CUDA_VISIBLE_DEVICES of each worker; one empty one where there is no GPU. Asked of the driver: importing torch
    takes seconds."""
    if settings.runner.ray:  # the cluster has its own, and one worker follows all of its jobs
        return [""]
    if settings.train_devices is not None:
        return settings.train_devices
    if not (program := shutil.which("nvidia-smi")):
        return [""]
    query = [program, "--query-gpu=index", "--format=csv,noheader"]
    listed = subprocess.run(query, capture_output=True, text=True, check=False)
    return listed.stdout.split() or [""]
