"""The sections of a recipe that training reads. `recipes.recipe` adds serving, evaluation and the gate."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from data.settings import DataSection, Section, row_length_limit
from data.template import TemplateName

Rounding = Literal["nearest", "stochastic"]


class ModelSection(Section):
    path: str
    """A folder, a hub id, a .gguf file, or `package:FILE` for a file inside an installed package."""
    revision: str | None = None
    """Branch, tag or commit on the hub."""


class QuantizationSection(Section):
    """bitsandbytes 4-bit weights for QLoRA, in transformers' BitsAndBytesConfig's words."""

    load_in_4bit: Literal[True] = True
    bnb_4bit_quant_type: Literal["nf4", "fp4"] = "nf4"
    bnb_4bit_use_double_quant: bool = True
    bnb_4bit_quant_storage: Literal["uint8", "bfloat16"] = "uint8"
    """What the 4-bit values are held as: FSDP spreads floats alone."""


class MergeSection(Section):
    max_logit_difference: float = Field(default=1.0, gt=0)
    """Largest allowed difference of a logit, merged weights against base + adapter, both computed in fp32, on trained
    positions. The default is what computing the same adapter in bf16 instead of fp32 moved a logit by."""
    min_agreement: float = Field(default=0.99, gt=0, le=1)
    """Smallest allowed share of trained positions where both models put the same token first."""
    max_loss_difference: float = Field(default=0.01, gt=0)
    """Largest allowed difference of the mean loss of a trained token, in nats."""
    check_rows: int = Field(default=8, gt=0)
    rounding: Rounding | None = None
    """How sums become bf16 (`train.rounding`). None: stochastic after a preference stage, whose changes are of the size
    of bf16's steps, else nearest."""
    quantized_base: bool = True
    """QLoRA: add the adapter to the 4-bit values it was trained on. False adds it to the base's own weights, which
    are closer to the base but are not what was trained."""


class PreferenceSection(Section):
    """Pairs of a better and a worse answer, for the preference stage."""

    files: list[Path] = []
    """JSONL files of preference rows (`input`, `preferred_output`, `non_preferred_output`)."""
    samples: int = Field(default=1, ge=0)
    """`recipes.run` asks the model the run's training rows so often and pairs its wrong answers with the rows' own
    (`data.pairs`); 0: `files` alone."""
    temperature: float = Field(default=0.0, ge=0, le=2)
    """Of those answers. Above 0 for a model that makes too few mistakes to learn from."""


class TrainRecipe(Section):
    name: str = Field(pattern=r"^[A-Za-z0-9._-]+$")
    """The run's folder under runs/ and the served name of the tuned model."""
    runs: Path = Path("runs")
    model: ModelSection
    template: TemplateName
    data: DataSection
    lora: dict[str, Any] = {}
    """peft.LoraConfig's own keys."""
    quantization: QuantizationSection | None = None
    sft: dict[str, Any] = {}
    """trl.SFTConfig's own keys."""
    dpo: dict[str, Any] | None = None
    """trl.DPOConfig's own keys; with them the run is a preference stage, `train.dpo`, whose `model` is a tuned one."""
    preferences: PreferenceSection = PreferenceSection()
    pack_tokens: int = Field(default=8192, ge=0)
    """Tokens of a pack at most (`train.packing`): what the rows of a step share is computed once, nothing is padded,
    loss and gradients stay those of the rows. A longer row has a pack of its own. 0 pads rows to the longest."""
    merge: MergeSection = MergeSection()
    # Read by the programs that own them; here only so that one file can serve every program.
    serve: Any = None
    eval: Any = None
    gate: Any = None
    accelerate: Any = None

    @property
    def folder(self) -> Path:
        """The run folder, runs/NAME."""
        return self.runs / self.name

    @property
    def max_length(self) -> int:
        return row_length_limit(self.sft)
