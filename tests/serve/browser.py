"""A real browser, driven by WebDriver's own protocol."""

import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from serve.vllm_process import free_port

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
"""The key under which WebDriver hands out elements."""


class Browser:
    def __init__(self, profile: Path) -> None:
        """Skips the test where chromedriver is not installed."""
        program = shutil.which("chromedriver")
        if not program:
            pytest.skip("chromedriver is not installed")
        port = free_port("127.0.0.1")
        with (profile / "driver.log").open("w") as log:
            self._process = subprocess.Popen([program, f"--port={port}"], stdout=log, stderr=log)
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=300)
        args = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile / 'profile'}"]
        asked = {"capabilities": {"alwaysMatch": {"goog:chromeOptions": {"args": args}}}}
        self._session = f"/session/{self._until_ready(asked)['sessionId']}"

    def _until_ready(self, asked: dict[str, Any]) -> Any:
        deadline = time.monotonic() + 120
        while True:
            try:
                return self._value(self._http.post("/session", json=asked))
            except httpx.TransportError:
                assert time.monotonic() < deadline
                time.sleep(0.1)

    def open(self, url: str) -> None:
        self._value(self._http.post(f"{self._session}/url", json={"url": url}))

    def run(self, script: str) -> Any:
        """What the JavaScript returns."""
        return self._value(self._http.post(f"{self._session}/execute/sync", json={"script": script, "args": []}))

    def write(self, selector: str, text: str) -> None:
        """As a person at the keyboard; "\n" is the Enter key."""
        found = self._value(
            self._http.post(f"{self._session}/element", json={"using": "css selector", "value": selector})
        )
        self._value(self._http.post(f"{self._session}/element/{found[ELEMENT]}/value", json={"text": text}))

    def until(self, script: str, wanted: Any, timeout_s: float = 60) -> None:
        deadline = time.monotonic() + timeout_s
        while (found := self.run(script)) != wanted:
            assert time.monotonic() < deadline, found
            time.sleep(0.1)

    def close(self) -> None:
        self._http.delete(self._session)
        self._process.terminate()
        self._process.wait(30)

    @staticmethod
    def _value(answer: httpx.Response) -> Any:
        value = answer.json()["value"]
        assert answer.status_code == 200, value
        return value
