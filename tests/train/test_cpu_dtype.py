"""bf16 is computed where the processor multiplies it; elsewhere that would take eight times as long as fp32."""

import pytest
import torch

from serve import vllm_process
from train import arguments, cpu_dtype
from train.arguments import device_defaults, model_dtype

X86 = "processor : 0\nflags : fpu sse2 avx2 {}\nbugs : none\n\nprocessor : 1\nflags : fpu avx512_bf16\n"


@pytest.mark.parametrize(
    ("cpuinfo", "flags"),
    [
        (X86.format("avx512_bf16"), {"fpu", "sse2", "avx2", "avx512_bf16"}),
        (X86.format(""), {"fpu", "sse2", "avx2"}),
        ("processor\t: 0\nFeatures\t: fp asimd bf16\n", {"fp", "asimd", "bf16"}),
        ("", set()),
    ],
)
def test_the_flags_are_those_of_the_first_core(cpuinfo: str, flags: set[str]) -> None:
    assert cpu_dtype.processor_flags(cpuinfo) == flags


def test_this_processors_type_is_one_that_it_multiplies() -> None:
    flags = cpu_dtype.processor_flags(cpu_dtype.CPUINFO.read_text())
    assert cpu_dtype.cpu_dtype() == ("bfloat16" if flags & {"avx512_bf16", "amx_bf16", "bf16"} else "float32")


@pytest.mark.parametrize(("dtype", "bf16"), [("bfloat16", True), ("float32", False)])
def test_training_follows_the_processor(dtype: str, bf16: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arguments, "cpu_dtype", lambda: dtype)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device_defaults() == {"use_cpu": True, "bf16": bf16}
    assert model_dtype(bf16=bf16) == getattr(torch, dtype)


def test_a_gpu_computes_in_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert device_defaults() == {"use_cpu": False, "bf16": True}


@pytest.mark.parametrize(("is_cpu", "dtype"), [(True, "float32"), (False, "bfloat16")])
def test_the_server_follows_the_processor(is_cpu: bool, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vllm_process, "cpu_dtype", lambda: "float32")
    monkeypatch.setattr(vllm_process, "is_cpu_vllm", lambda: is_cpu)
    assert vllm_process.fast_dtype() == dtype
