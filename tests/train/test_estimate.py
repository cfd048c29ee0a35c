"""The estimate before a run: its parts against models that are built, its words, and the settings of accelerate."""

from pathlib import Path

import pytest
import torch
from accelerate.commands.config.config_args import load_config_from_file
from datasets import Dataset
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM
from trl import SFTConfig

from data.render import IGNORE, Rendered
from data.user_error import UserError
from tests.conftest import ROOT
from train.estimate import DEVICES, GIB, Shape, estimate, estimate_lines, model_shape, parse_device
from train.examples import Examples
from train.load import Load, load_of, packed_load
from train.settings import TrainRecipe

LLAMA3_8B = Shape(4096, 14336, 32, 4096, 1024, 128256, False, 32)
LOAD = Load(4096, 400, 700, 10_000_000, 16, None, is_4bit=False, is_checkpointed=True)


def test_parameters_are_those_of_the_model_that_transformers_and_peft_build(smollm2: Path) -> None:
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(smollm2))
        num_parameters = sum(parameter.numel() for parameter in model.parameters())
        adapted = get_peft_model(model, LoraConfig(r=16, target_modules="all-linear"))
    shape = model_shape(smollm2)
    assert shape.linear_parameters + shape.other_parameters == num_parameters
    num_trained = sum(parameter.numel() for parameter in adapted.parameters() if parameter.requires_grad)
    assert estimate(shape, LOAD, DEVICES["h100"]).adapter == 16 * num_trained


def test_llama3_8b_is_of_the_known_size() -> None:
    assert LLAMA3_8B.linear_parameters + LLAMA3_8B.other_parameters == 8_030_261_248
    plain, four_bit = (
        estimate(LLAMA3_8B, LOAD._replace(is_4bit=is_4bit), DEVICES["h100"]) for is_4bit in (False, True)
    )
    assert plain.weights / GIB == pytest.approx(14.96, abs=0.01)
    assert four_bit.weights / GIB == pytest.approx(5.3, abs=0.1)


def test_what_makes_a_run_smaller_or_quicker_does_so_in_the_estimate() -> None:
    h100 = DEVICES["h100"]
    usual = estimate(LLAMA3_8B, LOAD, h100)
    kept = estimate(LLAMA3_8B, LOAD._replace(is_checkpointed=False), h100)
    assert kept.activations > 5 * usual.activations and kept.seconds < 0.75 * usual.seconds
    assert estimate(LLAMA3_8B, LOAD, h100, num_devices=8).seconds == usual.seconds / 8
    sharded = estimate(LLAMA3_8B, LOAD, h100, num_devices=8, is_sharded=True)
    assert sharded.weights == usual.weights / 8 and sharded.activations == usual.activations
    assert estimate(LLAMA3_8B, LOAD._replace(targets=["q_proj"]), h100).adapter < usual.adapter / 5
    assert estimate(LLAMA3_8B, LOAD, DEVICES["a100-80"]).seconds > 3 * usual.seconds


def test_packs_are_counted_as_they_are_computed() -> None:
    """Eight rows in steps of four: a hundred tokens that all share, then twenty of their own, ten of them trained."""
    input_ids = [[*range(100), *range(200 * row, 200 * row + 20)] for row in range(1, 9)]
    labels = [[IGNORE] * 110 + row[110:] for row in input_ids]
    dataset = Dataset.from_dict({"input_ids": input_ids, "labels": labels})
    examples = Examples(dataset, None, Rendered("", [], [], []), 960, 80, [])
    padded = LOAD._replace(tokens_in_all=3 * 960)
    arguments = SFTConfig(per_device_train_batch_size=2, gradient_accumulation_steps=2, use_cpu=True)
    packed = packed_load(padded, 1000, arguments, examples, on_cpu=False)
    assert (packed.tokens_at_once, packed.trained_at_once) == (250, 40)  # 100 + 4 x 20, padded to eighths of 1,000
    assert packed.tokens_in_all == 3 * 2 * 250
    on_cpu = packed_load(padded, 1000, arguments, examples, on_cpu=True)
    assert on_cpu.tokens_at_once == 96 + 4 * 32  # segments are multiples of 16
    cpu, same_as_gpu = parse_device("cpu:23:0.5"), parse_device("23:0.5")
    shape = LLAMA3_8B
    kept = estimate(shape, on_cpu, cpu).activations - estimate(shape, on_cpu, same_as_gpu).activations
    scores = 2 * 32 * on_cpu.tokens_at_once * on_cpu.row_length / 2  # bf16, heads
    assert kept == pytest.approx(scores, rel=0.01)  # one block's: it is checkpointed


def test_what_is_computed_in_fp32_is_counted_so() -> None:
    h100 = DEVICES["h100"]
    two, four = (estimate(LLAMA3_8B, LOAD._replace(value_bytes=size), h100) for size in (2, 4))
    assert four.weights == 2 * two.weights and four.seconds == two.seconds
    assert 1.5 * two.activations < four.activations < 2 * two.activations  # norms were in fp32 before
    assert four.logits == two.logits and four.adapter == two.adapter  # both in fp32 always
    quantized = [estimate(LLAMA3_8B, LOAD._replace(is_4bit=True, value_bytes=size), h100).weights for size in (2, 4)]
    assert quantized[1] - quantized[0] == 2 * LLAMA3_8B.other_parameters


@pytest.mark.parametrize(
    ("sft", "on_cpu", "processor", "size"),
    [
        ({}, True, "float32", 4), ({}, True, "bfloat16", 2), ({"bf16": True}, True, "float32", 2),
        ({}, False, "float32", 2), ({"bf16": False}, False, "bfloat16", 4),
    ],
)  # fmt: skip
def test_the_type_is_that_of_the_device_asked_for(
    sft: dict[str, bool], on_cpu: bool, processor: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not that of the machine that estimates, which may have no GPU."""
    monkeypatch.setattr("train.load.cpu_dtype", lambda: processor)
    recipe = TrainRecipe(name="r", model={"path": "m"}, template="chatml", data={"train": ["t"]}, sft=sft)
    examples = Examples(Dataset.from_dict({"input_ids": [[1, 2, 3]]}), None, Rendered("", [], [], []), 3, 1, [])
    arguments, lora = SFTConfig(use_cpu=True), LoraConfig(target_modules="all-linear")
    padded = recipe.model_copy(update={"pack_tokens": 0})
    assert load_of(padded, arguments, lora, examples, on_cpu=on_cpu).value_bytes == size


def test_a_run_that_does_not_fit_is_told_so() -> None:
    [memory, time] = estimate_lines(estimate(LLAMA3_8B, LOAD, DEVICES["l4-24"]), DEVICES["l4-24"], 1)
    assert "DOES NOT FIT" not in memory and "of 22.3 GiB, fits (weights 15.0, adapter 0.6" in memory
    assert time.startswith("time on l4-24: ") and time.endswith("at 40% of 121 TFLOP/s")
    longer = estimate(LLAMA3_8B, LOAD._replace(tokens_at_once=32768), DEVICES["l4-24"])
    assert "DOES NOT FIT" in estimate_lines(longer, DEVICES["l4-24"], 1)[0]


def test_a_gpu_is_named_or_described() -> None:
    assert parse_device("47:362").memory_gib == 47
    assert not parse_device("47:362").is_cpu and parse_device("cpu:23:0.5")[1:] == (23, 0.5, True)
    with pytest.raises(UserError, match="--gpu: no GPU 'h1000' is known"):
        parse_device("h1000")


@pytest.mark.parametrize("path", sorted((ROOT / "train" / "accelerate").glob("*.yaml")), ids=lambda path: path.stem)
def test_accelerate_takes_every_configuration(path: Path) -> None:
    config = load_config_from_file(str(path))
    assert config.num_processes >= config.num_machines
    assert config.mixed_precision == "no"  # sft.bf16 decides
    assert f"train/accelerate/{path.name}" in "".join(path.read_text().splitlines(keepends=True)[:3])
