"""A PostgreSQL of the tests' own, which can be stopped and started again."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from serve.storage.database import Database
from serve.vllm_process import free_port


class PostgresServer:
    def __init__(self, folder: Path) -> None:
        """Skips the test where PostgreSQL is not installed."""
        initdb, program = shutil.which("initdb"), shutil.which("postgres")
        if not initdb or not program:
            pytest.skip("PostgreSQL is not installed")
        self.folder, self.port = folder, free_port("127.0.0.1")
        self.url = f"postgresql://calltune@127.0.0.1:{self.port}/postgres"
        folder.mkdir()
        if os.getuid() == 0:
            os.chown(folder, 65534, 65534)
        make = [*_as_nobody(), initdb, "-D", str(folder / "data"), "-U", "calltune", "-A", "trust", "-N"]
        subprocess.run(make, check=True, capture_output=True, cwd="/tmp")
        place = ["-D", str(folder / "data"), "-p", str(self.port), "-k", str(folder)]
        self._command = [*_as_nobody(), program, *place, "-F"]
        self.start()

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, cwd="/tmp")
        deadline = time.monotonic() + 60
        while True:
            try:
                Database(self.url).close()
                return
            except Exception:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def stop(self) -> None:
        """At once, as a crash does: open connections break."""
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(30)

    def new_database(self, name: str) -> str:
        """Its URL."""
        subprocess.run(["psql", self.url, "-c", f"create database {name}"], check=True, capture_output=True)
        return self.url.removesuffix("postgres") + name


def _as_nobody() -> list[str]:
    """PostgreSQL refuses to run as root."""
    return ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.getuid() == 0 else []
