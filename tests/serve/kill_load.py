"""Clients that go on while what they ask is killed, and remember what was accepted."""

import itertools
import threading
import time
from collections import Counter
from typing import Any, NamedTuple

import httpx
import openai
from openai import OpenAI

from tests.serve.api_server import BASE, rows_file

SHORT: dict[str, Any] = {"n_epochs": 3, "batch_size": 5}
"""Six steps, three checkpoints."""
AWAY = (openai.APIConnectionError, openai.InternalServerError, httpx.HTTPError)
PAUSE_S, AWAY_S = 0.05, 0.3
JOBS_AT_ONCE = 3


class Accepted(NamedTuple):
    """What the server said yes to."""

    files: list[str]
    jobs: list[str]
    completions: list[str]


class Load:
    """Threads that upload, create jobs and store completions, streamed and not, until `stop`."""

    def __init__(self, base_url: str, timeout_s: float) -> None:
        self.accepted = Accepted([], [], [])
        self.broken: Counter[str] = Counter()
        self.unexpected: list[str] = []
        self.kills = 0
        self.text = "text"
        self._url, self._timeout_s = base_url, timeout_s
        self._numbers = itertools.count()
        self._ended = threading.Event()
        steps = (self._files_and_jobs, self._completion, self._completion)
        self._threads = [threading.Thread(target=self._repeat, args=(step,)) for step in steps]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def wait_for(self, more: int) -> None:
        """Until so many more things are accepted, a completion among them."""
        wanted, completions = sum(map(len, self.accepted)) + more, len(self.accepted.completions)
        deadline = time.monotonic() + 3600
        while sum(map(len, self.accepted)) < wanted or len(self.accepted.completions) == completions:
            assert time.monotonic() < deadline, "the server no longer answers"
            time.sleep(0.02)

    def stop(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(600)
            assert not thread.is_alive()

    def client(self, max_retries: int) -> OpenAI:
        return OpenAI(base_url=self._url, api_key="any", max_retries=max_retries, timeout=self._timeout_s)

    def _repeat(self, step: Any) -> None:
        with self.client(0) as client:
            while not self._ended.wait(PAUSE_S):
                try:
                    step(client)
                except AWAY as error:
                    self.broken[type(error).__name__] += 1
                    time.sleep(AWAY_S)
                except openai.APIError as error:  # nothing that was asked is wrong
                    if "The model server is gone" in str(error):  # the last event of a stream that broke off
                        self.broken["stream"] += 1
                    else:
                        self.unexpected.append(str(error)[:300])

    def _files_and_jobs(self, client: OpenAI) -> None:
        file_id = client.files.create(file=rows_file(10), purpose="fine-tune").id
        self.accepted.files.append(file_id)
        if len(self.accepted.jobs) < self.kills + JOBS_AT_ONCE:
            # As scripts do: the SDK itself asks again where an answer is lost.
            job = client.with_options(max_retries=4).fine_tuning.jobs.create(
                training_file=file_id,
                model=BASE,
                hyperparameters=SHORT,
                metadata={"n": str(next(self._numbers))},  # type: ignore[arg-type]
            )
            self.accepted.jobs.append(job.id)

    def _completion(self, client: OpenAI) -> None:
        number = next(self._numbers)
        ask: Any = {
            "model": BASE, "messages": [{"role": "user", "content": self.text}], "store": True, "max_tokens": 16,
            "metadata": {"n": str(number)},
        }  # fmt: skip
        if number % 2:
            answer = client.chat.completions.with_raw_response.create(**ask)
            if answer.headers["x-calltune-stored"] == "true":
                self.accepted.completions.append(answer.parse().id)
        else:
            chunks = list(client.chat.completions.create(**ask, stream=True))
            self.accepted.completions.append(chunks[0].id)
