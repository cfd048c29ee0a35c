"""One vLLM process that serves a base model, and tuned models of it as adapters that are loaded while it runs."""

import asyncio
import contextlib
import os
import secrets
import signal
import time
from pathlib import Path

import aiohttp
import psutil

from serve.server_process import ServerProcess
from serve.settings import ServeSection, with_overrides
from serve.vllm_process import VllmPlan, plan_vllm

MARK = "CALLTUNE_ENGINE_OF"
"""In the environment of every vLLM: the process that started it."""


class EngineRefusesError(Exception):
    """It answers, and says no."""


class Engine:
    """A running vLLM. `base_url` and `headers` are what a request to it needs."""

    def __init__(self, base_url: str, api_key: str, process: ServerProcess | None = None) -> None:
        self.base_url, self.process = base_url.rstrip("/"), process
        self.headers = {"Authorization": f"Bearer {api_key}"}
        self.num_open = 0
        """Requests that it is answering."""
        self.last_used = self.started_at = time.monotonic()
        self.devices: str | None = None
        self._adapters: set[str] = set()
        self._loading = asyncio.Lock()

    @property
    def is_alive(self) -> bool:
        return self.process is None or self.process.is_running

    async def load(self, http: aiohttp.ClientSession, name: str, adapter: str) -> None:
        """Make the adapter known under the model's name. Raises EngineRefusesError, and aiohttp.ClientError."""
        async with self._loading:
            if name in self._adapters:
                return
            body = {"lora_name": name, "lora_path": adapter}
            async with http.post(f"{self.base_url}/load_lora_adapter", json=body, headers=self.headers) as answer:
                text = await answer.text()
                # Another API process may have loaded it into an engine that both use.
                if answer.status != 200 and "already" not in text:
                    raise EngineRefusesError(f"vLLM does not load the adapter of {name}: {text[:300]}")
            self._adapters.add(name)

    def forget_adapters(self) -> None:
        """A server that was away may have been started anew, and know none."""
        self._adapters.clear()

    async def unload(self, http: aiohttp.ClientSession, name: str) -> None:
        async with self._loading:
            if name in self._adapters:
                body = {"lora_name": name}
                async with http.post(f"{self.base_url}/unload_lora_adapter", json=body, headers=self.headers):
                    self._adapters.discard(name)


def plan_engine(folder: Path, name: str, section: ServeSection, *, lora_rank: int, max_loras: int) -> VllmPlan:
    """vLLM as the API needs it: under the model's name, adapters loaded while it runs. Raises UserError."""
    plan = plan_vllm(folder, section)
    at = plan.command.index("--served-model-name") + 1
    # The first name is the one that vLLM writes into its answers: the one that clients asked for.
    command = [
        *plan.command[:at], name, *plan.command[at:], "--enable-lora", "--max-lora-rank", str(lora_rank),
        "--max-loras", str(max_loras),
    ]  # fmt: skip
    return plan._replace(command=command, env=plan.env | {"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True"})


def start_engine(
    folder: Path, name: str, section: ServeSection, *, lora_rank: int, max_loras: int, devices: str | None
) -> Engine:  # fmt: skip
    """Blocks until it answers, which takes a minute. Raises UserError and ServerError."""
    key = secrets.token_urlsafe(16)  # only this process shall come in
    own = with_overrides(section, {"port": 0, "host": "127.0.0.1", "api_key": key})
    plan = plan_engine(folder, name, own, lora_rank=lora_rank, max_loras=max_loras)
    env = plan.env | {MARK: str(os.getpid())} | ({"CUDA_VISIBLE_DEVICES": devices} if devices is not None else {})
    process = ServerProcess(
        plan.command, plan.url, folder.parent / "logs" / f"vllm-{plan.port}.log", env=env, title=f"vLLM for {name}",
        startup_timeout_s=section.startup_timeout_s,
    )  # fmt: skip
    process.__enter__()
    engine = Engine(f"{plan.url}/v1", key, process)
    engine.devices = devices
    return engine


def end_orphans() -> int:
    """End every vLLM whose API was killed; how many there were."""
    owners = [(process, _owner(process)) for process in psutil.process_iter()]
    orphans = [process for process, owner in owners if owner and not psutil.pid_exists(owner)]
    for process in orphans:
        with contextlib.suppress(ProcessLookupError):
            if os.getpgid(process.pid) == process.pid:  # with its engine, whose environment says nothing any more
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
    return len(orphans)


def _owner(process: psutil.Process) -> int | None:
    try:
        return int(process.environ().get(MARK, 0)) or None
    except (psutil.NoSuchProcess, psutil.AccessDenied, OSError, ValueError):
        return None
