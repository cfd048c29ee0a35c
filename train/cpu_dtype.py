"""Which floating-point type a processor without a GPU beside it computes in. Weights are stored in bf16 everywhere."""

from functools import cache
from pathlib import Path
from typing import Literal

CPUINFO = Path("/proc/cpuinfo")
_BF16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}
"""As Linux names them: x86 with AVX-512 or AMX, Arm."""


@cache
def cpu_dtype() -> Literal["bfloat16", "float32"]:
    """bf16 where the processor multiplies it. Most desktop processors do not, and take eight times as long for a
    product in bf16 as for one in fp32 (LOG.md, 2026-11-27)."""
    return "bfloat16" if _BF16_FLAGS & processor_flags(CPUINFO.read_text()) else "float32"


def processor_flags(cpuinfo: str) -> set[str]:
    """What the first core can do: x86 calls it flags, Arm Features."""
    for line in cpuinfo.splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("flags", "Features"):
            return set(value.split())
    return set()
