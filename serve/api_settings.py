"""What the fine-tuning API may be told, in one YAML file."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from data.rules.severities import RuleSeverities
from data.section import Section
from serve.runner_settings import RunnerSection

# OpenAI's contract: it takes calls to tools that are not listed (S17, S18), and no arguments that are no text (S10).
CONTRACT_RULES = RuleSeverities(
    object_arguments="error", unknown_tool="warning", missing_tools="warning", argument_schema="warning",
    unknown_argument="warning", argument_format="warning", null_argument="warning", leak="warning",
)  # fmt: skip


class UpstreamSection(Section):
    """Another OpenAI-compatible provider, asked for the models that are not ours: today's traffic is captured there."""

    base_url: str
    """Ends in /v1."""
    api_key_variable: str | None = None
    """Environment variable with the provider's key; None hands on the key of the caller."""
    timeout_s: float = Field(default=600, gt=0)


class CaptureSection(Section):
    """Which completions may be stored, and what is taken out of them before."""

    store: Literal["on_request", "always", "never"] = "on_request"
    """`on_request`: those sent with store=true. `never` answers them, and keeps nothing."""
    redact: dict[str, str] = {}
    """Regular expression -> replacement, applied to every text of request and answer that is stored."""
    redactor: str | None = None
    """`package.module:function`, called with the request and the answer as objects; returns both, or None to keep
    nothing of this one."""
    retention_days: float | None = Field(default=None, gt=0)
    """Stored completions are deleted after so many days; None: when somebody deletes them."""


class WebhookSection(Section):
    """Told of every job and eval run that ends, as OpenAI's webhooks are: fine_tuning.job.succeeded, eval.run.failed
    and so on."""

    url: str = Field(pattern=r"^https?://")
    secret_variable: str
    """Environment variable of the workers with the secret that events are signed with: whsec_ and base64."""


class ApiSettings(Section):
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    """0 picks a free one."""
    storage: Path = Path("api-storage")
    """Folder of runs, and of database and files unless they are elsewhere."""
    database: str = ""
    """sqlite:///FILE or postgresql://USER@HOST/NAME; empty: a SQLite file in `storage`."""
    files: str = ""
    """Folder or fsspec URL for the bytes of files; empty: a folder in `storage`."""
    bases: dict[str, Path] = {}
    """Base model as clients name it -> recipe whose model, template, lora, sft, serve and eval settings its jobs take.
    The recipe's own data is not read."""
    aliases: dict[str, str] = {}
    """Model name of a client, with * for any ending -> one of `bases`, or a tuned model."""
    engines: dict[str, str | list[str]] = {}
    """Base model -> base URL of a running vLLM that serves it, or a list of them; the others are started when they are
    first asked."""
    engines_key_variable: str | None = None
    """Environment variable with the key that those ask for; None: they ask for none."""
    replicas: int = Field(default=1, gt=0)
    """vLLM processes of one model that are started here, as far as max_engines has room for them."""
    upstream: UpstreamSection | None = None
    capture: CaptureSection = CaptureSection()
    webhook: WebhookSection | None = None
    max_engines: int = Field(default=1, gt=0)
    """vLLM processes at once; the one that was not used for longest makes room."""
    max_loras: int = Field(default=4, gt=0)
    """Tuned models that one vLLM computes with at once; the others wait in memory."""
    max_lora_rank: Literal[8, 16, 32, 64, 128, 256, 320, 512] = 16
    """Largest rank of an adapter that vLLM makes room for; jobs may not ask for more (`local.r`)."""
    serve_devices: str | list[str] | None = None
    """CUDA_VISIBLE_DEVICES of the vLLM processes; of a list, each takes the entry that the fewest others use. None
    leaves it as it is."""
    train_devices: list[str] | None = None
    """CUDA_VISIBLE_DEVICES of each worker's trainings, one worker each; None: every GPU its own, or one on the CPU."""
    runner: RunnerSection = RunnerSection()
    """Where jobs are trained: `runner: {ray: {address: http://HEAD:8265}}` hands them to a Ray cluster."""
    organization: str = Field(default="local", pattern=r"^[A-Za-z0-9_-]+$")
    """In the names of tuned models: ft:BASE:ORGANIZATION:SUFFIX:ID."""
    min_rows: int = Field(default=10, gt=0)
    max_dropped: float = Field(default=0.1, ge=0, lt=1)
    """Largest share of rows that may be left out for their length."""
    rules: RuleSeverities = CONTRACT_RULES
    gate: Literal["advisory", "enforce", "off"] = "advisory"
    """What a job's evaluation decides; it takes place when the job names a validation file."""
    results_encoding: Literal["base64", "plain"] = "base64"
    """OpenAI gives the content of result files as base64, and clients decode it."""
    max_body_bytes: int = Field(default=32 * 2**20, gt=0)
    """Of a request, files apart."""
    max_file_bytes: int = Field(default=512 * 2**20, gt=0)
    receive_timeout_s: float = Field(default=60, gt=0)
    """A client that sends nothing for so long, in the middle of its request, is sent away."""
    lease_s: float = Field(default=30, gt=0)
    """A worker that gives no sign of life for so long has lost its job."""
    max_attempts: int = Field(default=3, gt=0)
    """How often a job is begun whose worker died, before it fails."""
    shutdown_grace_s: int = Field(default=300, gt=0)
    """How long open streams may go on after SIGTERM."""

    @property
    def database_url(self) -> str:
        return self.database or f"sqlite:///{self.storage.absolute() / 'api.db'}"

    @property
    def files_url(self) -> str:
        return self.files or str(self.storage.absolute() / "files")

    @property
    def runs(self) -> Path:
        return self.storage.absolute() / "runs"

    @model_validator(mode="after")
    def _known_bases(self) -> Self:
        for key in self.engines:
            if key not in self.bases:
                raise PydanticCustomError("engines", f"engines names {key!r}, which is not in bases")
        for alias, target in self.aliases.items():
            if "*" in alias[:-1]:
                raise PydanticCustomError("aliases", f"alias {alias!r}: a * stands at the end alone")
            if target not in self.bases and not target.startswith("ft:"):
                raise PydanticCustomError("aliases", f"alias {alias!r} leads to {target!r}, which is not in bases")
        if self.replicas > self.max_engines:
            message = f"{self.replicas} replicas of a model need max_engines of at least {self.replicas}"
            raise PydanticCustomError("replicas", message)
        if self.runner.ray and self.train_devices is not None:
            raise PydanticCustomError(
                "runner", "train_devices is of trainings on this machine: take it or runner.ray out"
            )
        return self

    def base_of_alias(self, name: str) -> str | None:
        """What an alias stands for: the exact one first, then the longest that fits."""
        if name in self.aliases:
            return self.aliases[name]
        fitting = [alias for alias in self.aliases if alias.endswith("*") and name.startswith(alias[:-1])]
        return self.aliases[max(fitting, key=len)] if fitting else None
