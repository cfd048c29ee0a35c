"""The estimate before a run: its parts against models that are built, its words, and the settings of accelerate."""

from pathlib import Path

import pytest
import torch
from accelerate.commands.config.config_args import load_config_from_file
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM

from data.user_error import UserError
from tests.conftest import ROOT
from train.estimate import DEVICES, GIB, Load, Shape, estimate, estimate_lines, model_shape, parse_device

LLAMA3_8B = Shape(4096, 14336, 32, 4096, 1024, 128256, False)
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


def test_a_run_that_does_not_fit_is_told_so() -> None:
    [memory, time] = estimate_lines(estimate(LLAMA3_8B, LOAD, DEVICES["l4-24"]), DEVICES["l4-24"], 1)
    assert "DOES NOT FIT" not in memory and "of 22.3 GiB, fits (weights 15.0, adapter 0.6" in memory
    assert time.startswith("time on l4-24: ") and time.endswith("at 40% of 121 TFLOP/s")
    longer = estimate(LLAMA3_8B, LOAD._replace(tokens_at_once=32768), DEVICES["l4-24"])
    assert "DOES NOT FIT" in estimate_lines(longer, DEVICES["l4-24"], 1)[0]


def test_a_gpu_is_named_or_described() -> None:
    assert parse_device("47:362").memory_gib == 47
    with pytest.raises(UserError, match="--gpu: no GPU 'h1000' is known"):
        parse_device("h1000")


@pytest.mark.parametrize("path", sorted((ROOT / "train" / "accelerate").glob("*.yaml")), ids=lambda path: path.stem)
def test_accelerate_takes_every_configuration(path: Path) -> None:
    config = load_config_from_file(str(path))
    assert config.num_processes >= config.num_machines
    assert config.mixed_precision == "no"  # sft.bf16 decides
    assert f"train/accelerate/{path.name}" in "".join(path.read_text().splitlines(keepends=True)[:3])
