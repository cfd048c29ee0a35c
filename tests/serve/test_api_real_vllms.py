"""Real vLLMs with a tiny model behind the API: adapters beyond their room, deaths, and two that are run by hand."""

import contextlib
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import openai
import psutil
import pytest
import yaml

from serve.api_settings import ApiSettings
from serve.chat.engine import MARK
from serve.storage.database import Database
from serve.storage.tables import Model
from serve.vllm_process import free_port
from tests.conftest import ROOT
from tests.serve.api_server import BASE, api_server, write_settings
from tests.serve.memory_limit import memory_limit
from tests.serve.scale_out_guide import command
from tests.serve.test_api_replicas import wait
from tests.serve.test_api_vllm_faults import MIB, environment

ADAPTERS = [f"ft:org/tiny:local::adapter{number}" for number in range(3)]
TALKS = 12
"""Which replica a conversation gets is decided by hashes of ports: 12 all come to one in one run of 2,048."""
BLOCK = 128
"""Tokens that vLLM on a CPU keeps together: prefixes are found in whole blocks."""


def add_adapters(api: ApiSettings, folder: Path, weights: Path) -> None:
    """Tuned models of random adapters, so that no two answer alike."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    base = str(api.storage.absolute() / "bases" / "org-tiny" / "base")
    for name in ADAPTERS:
        config = LoraConfig(r=8, lora_alpha=64, target_modules=["q_proj", "v_proj", "up_proj"], init_lora_weights=False)
        adapter = folder / name.rpartition(":")[2]
        get_peft_model(AutoModelForCausalLM.from_pretrained(weights), config).save_pretrained(adapter)
        with Database(api.database_url).write() as session:
            session.add(
                Model(
                    id=name, project="default", created_at=1, base_model=BASE, job_id="j", base=base,
                    adapter=str(adapter),
                )
            )  # fmt: skip


@pytest.mark.slow
def test_real_vllms_with_more_adapters_than_room_killed_and_out_of_memory(tmp_path: Path, smollm2: Path) -> None:
    with api_server(write_settings(tmp_path, smollm2, max_loras=1), "--no-worker") as server:
        add_adapters(server.settings, tmp_path, smollm2)
        client = server.client()

        def ask(model: str = BASE, **options: Any) -> Any:
            messages = [{"role": "user", "content": "hello"}]
            given = {"model": model, "messages": messages, "temperature": 0, "max_tokens": 12, **options}
            return client.chat.completions.create(**given)

        first = {name: ask(name).choices[0].message.content for name in (BASE, *ADAPTERS)}
        assert len(set(first.values())) == 4
        with ThreadPoolExecutor(8) as pool:  # all at once: one is computed with, the others wait their turn
            again = list(pool.map(lambda name: (name, ask(name)), (BASE, *ADAPTERS) * 2))
        assert [(answer.model, answer.choices[0].message.content) for _, answer in again] == [
            (name, first[name]) for name, _ in again
        ]

        stream = ask(ADAPTERS[0], stream=True, max_tokens=900, extra_body={"ignore_eos": True})
        next(iter(stream))
        _vllm_of(server.process.pid).kill()
        with pytest.raises(openai.APIError, match="The model server is gone"):
            list(stream)
        assert ask(ADAPTERS[1]).choices[0].message.content == first[ADAPTERS[1]]

        process = _vllm_of(server.process.pid)
        with memory_limit([process.pid], MIB):
            with contextlib.suppress(openai.APIError):  # if it died before its first token, the next one was asked
                ask(messages=[{"role": "user", "content": "hello " * 2**20}])
            process.wait(30)

        def answers_again() -> bool:
            try:
                return bool(ask(ADAPTERS[2]).choices[0].message.content == first[ADAPTERS[2]])
            except openai.InternalServerError as error:  # it has died twice, and is begun again a little later
                assert "cannot be served just now" in str(error)
                return False

        wait(answers_again, 180)
        log = server.log
    assert "killed (SIGKILL), perhaps for lack of memory" in log
    assert "killed (SIGKILL), as the machine ran out of memory" in log


def _vllm_of(api: int) -> psutil.Process:
    """The vLLM process that this API has started."""
    found = [process for process in psutil.process_iter() if environment(process).get(MARK) == str(api)]
    return next(process for process in found if process.ppid() == api)


class RealReplica:
    """`python -m serve.replica`, as the guide has it."""

    def __init__(self, file: Path) -> None:
        self.port = free_port("127.0.0.1")
        self.root = f"http://127.0.0.1:{self.port}"
        given = {"api.yaml": str(file), "HuggingFaceTB/SmolLM2-135M-Instruct": BASE, "0.0.0.0": "127.0.0.1"}
        words = command("python -m serve.replica", **given, **{"8000": str(self.port)}).split()
        self.process = subprocess.Popen([sys.executable, *words[1:]], cwd=ROOT, env=os.environ | {"KEY": "secret"})

    def counter(self, name: str) -> float:
        lines = httpx.get(f"{self.root}/metrics").text.splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(f"vllm:{name}_total"))


@pytest.mark.slow
def test_two_real_vllms_started_by_hand_keep_each_its_conversations(
    tmp_path: Path, smollm2: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY", "secret")
    file = write_settings(tmp_path, smollm2, engines_key_variable="KEY")
    replicas = [RealReplica(file) for _ in range(2)]
    try:
        for replica in replicas:
            wait(lambda: httpx.get(f"{replica.root}/health").status_code == 200, 300)  # noqa: B023
        assert httpx.get(f"{replicas[0].root}/v1/models").status_code == 401
        urls = [f"{each.root}/v1" for each in replicas]
        file.write_text(json.dumps({**yaml.safe_load(file.read_text()), "engines": {BASE: urls}}))
        with api_server(file, "--no-worker") as server:
            client = server.client()
            for talk in range(TALKS):
                turns = [{"role": "system", "content": f"{talk} " + "Answer in one word. " * 40}]
                for turn in range(3):
                    turns.append({"role": "user", "content": f"And {turn}?"})
                    answer = client.chat.completions.create(model=BASE, messages=turns, max_tokens=4)  # type: ignore[arg-type]
                    turns.append({"role": "assistant", "content": answer.choices[0].message.content or ""})
            asked = [each.counter("request_success") for each in replicas]
            hits, queries = (
                sum(each.counter(f"prefix_cache_{what}") for each in replicas) for what in ("hits", "queries")
            )
            assert sum(asked) == 3 * TALKS and all(count % 3 == 0 and count for count in asked)
            assert (
                hits == 2 * TALKS * BLOCK and queries < 2 * TALKS * 3 * BLOCK
            )  # each second and third turn begins with what it knows
            replicas[0].process.terminate()
            assert replicas[0].process.wait(60) == 0
            for talk in range(6):
                text = [{"role": "user", "content": f"talk {talk}"}]
                assert client.chat.completions.create(model=BASE, messages=text, max_tokens=4).choices  # type: ignore[arg-type]
    finally:
        for replica in replicas:
            replica.process.terminate()
            replica.process.wait(60)
