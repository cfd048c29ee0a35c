"""The `serve` section of a recipe: what of a vLLM server is a choice. The rest follows from the model's manifest."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from data.settings import Section


class ServeSection(Section):
    """vLLM's own names where it has one."""

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    """0 picks a free one."""
    api_key: str | None = None
    """Clients must send it; None lets everyone in who reaches the port."""
    max_model_len: int | None = Field(default=None, gt=0)
    """Longest prompt + answer in tokens; None takes the manifest's, what the model was trained for."""
    dtype: Literal["auto", "bfloat16", "float16", "float32"] | None = None
    """None: bfloat16, but float32 on a processor that does not multiply bf16."""
    enforce_eager: bool | None = None
    """Skip compilation. None: on without a GPU, where compiling costs minutes at every start, off with one."""
    gpu_memory_utilization: float = Field(default=0.9, gt=0, le=1)
    """Share of the GPU's memory for weights and KV cache; not read without a GPU."""
    cpu_kvcache_space: int = Field(default=1, gt=0)
    """GiB of KV cache without a GPU (VLLM_CPU_KVCACHE_SPACE), where vLLM would else take nearly half of the memory."""
    max_num_seqs: int | None = Field(default=None, gt=0)
    """Requests computed at once; None leaves it to vLLM."""
    enforce_strict_tool_calling: bool = True
    """Hold the calls of strict tools to their schemas (VLLM_ENFORCE_STRICT_TOOL_CALLING). Off, `tool_choice` required
    and named hold a model to a JSON form of vLLM's own."""
    relax_strict_tools: bool | None = None
    """Show a model strict tools with optional arguments, and fill in for the client the nulls that it leaves out
    (`serve.strict_tools`). None: for a tuned model whose training rows had no argument that is required and may be
    null. Off, such a model makes values up for them (`docs/clients.md`)."""
    extra_args: list[str] = []
    """More flags for vLLM, word by word. Those that come from the manifest are refused here."""
    startup_timeout_s: float = Field(default=900, gt=0)


class ServeRecipe(Section):
    """A recipe as `serve.engine --recipe` reads it: its own section, the others as they are."""

    model_config = {"extra": "ignore"}
    name: str
    runs: Path = Path("runs")
    serve: ServeSection = ServeSection()


def with_overrides(section: ServeSection, overrides: dict[str, Any]) -> ServeSection:
    """The section with the given values instead; None values are left out."""
    given = {key: value for key, value in overrides.items() if value is not None}
    return ServeSection.model_validate(section.model_dump() | given)
