"""What `train.gpu_table` measures on a GPU, and how the figures read."""

from pathlib import Path
from statistics import mean
from time import perf_counter
from typing import Any, NamedTuple

import torch

from data.row import Row
from data.tokenizer_folder import TokenizerFolder
from train.arguments import device_defaults, model_dtype
from train.bench_job import WAYS, Job, Way
from train.bench_measure import Line, lines_of, long_lines, narrow_rows
from train.estimate import Shape, flops_per_token, model_shape


class Case(NamedTuple):
    name: str
    lines: list[Line]
    job: Job
    ways: list[Way]
    goal: str = ""
    is_long: bool = False
    """Rows of one length that share nothing, of which the operations are known."""


def make_cases(
    job: Job, sets: dict[str, list[Row]], folder: TokenizerFolder, narrow: Path, length: int, weights: str
) -> list[Case]:
    """All with `job`'s settings; QLoRA has the model in the folder `weights`. A long row counts as four."""
    num_rows = job.rows_per_step * job.steps
    of_sets = {name: lines_of(rows[:num_rows], folder) for name, rows in sets.items()}
    few = job._replace(rows_per_step=max(1, job.rows_per_step // 4))
    first = next(iter(of_sets))
    long = long_lines(of_sets[first], length, few.rows_per_step * job.steps)
    name = f"rows of {length:,} tokens"
    small = few._replace(model=weights, checkpointing=True, is_4bit=True, pack_tokens=length)
    twelve = lines_of(narrow_rows(narrow, num_rows), folder)
    return [
        Case(name, long, few, ["ours"], "12,500 computed tokens/s", is_long=True),
        Case(f"{name}, checkpointing", long, few._replace(checkpointing=True), ["ours"], is_long=True),
        Case("twelve tools", twelve, job, list(WAYS), "40,000 row tokens/s"),
        *(Case(name, lines, job, list(WAYS)) for name, lines in of_sets.items()),
        Case(f"QLoRA, {name}, checkpointing", long, small, ["ours"], "24 GiB", is_long=True),
        Case(f"QLoRA, {first}, checkpointing", of_sets[first], small, ["ours"], "24 GiB"),
    ]


def device_name() -> str:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"


def product_tflops() -> float:
    """What a product of large matrices of the type computed in reaches here: the best of ten."""
    has_gpu = torch.cuda.is_available()
    size, device = (8192, "cuda") if has_gpu else (1024, "cpu")
    one = torch.randn(size, size, device=device, dtype=model_dtype(bf16=device_defaults()["bf16"]))
    shortest = float("inf")
    for _ in range(10):
        begin = perf_counter()
        one @ one
        if has_gpu:
            torch.cuda.synchronize()
        shortest = min(shortest, perf_counter() - begin)
    return round(2 * size**3 / shortest / 1e12, 3)


def result_lines(done: dict[str, Any], cases: list[Case], model: Path) -> list[str]:
    """Markdown, of what is measured so far."""
    shape = model_shape(model)
    size = (shape.linear_parameters + shape.other_parameters) / 1e9
    dtype = "bf16" if device_defaults()["bf16"] else "fp32"
    lines = [
        f"{done['settings'][0]}, a Llama of {size:.2f}e9 random weights, LoRA r=16 on all linear layers, {dtype}; "
        f"products of large matrices reach {done['product_tflops']:g} TFLOP/s. Medians of the steps after the first.",
        "",
        "| rows | way | computed tokens/s | row tokens/s | rows/s | share of the product rate | GiB | goal |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for case in cases:
        found = done["cases"].get(case.name, {"error": "not run"})
        if "error" in found:
            lines.append(f"| {case.name} | not measured: {found['error']} | | | | | | {case.goal} |")
            continue
        for way, figures in found.items():
            share = f"{_share(case, figures, shape, done['product_tflops']):.0%}" if case.is_long else ""
            rates = " | ".join(
                f"{figures[key]:,.{digits}f}"
                for key, digits in (("computed_tokens_per_s", 0), ("row_tokens_per_s", 0), ("rows_per_s", 3))
            )
            goal = case.goal if way == "ours" else ""
            lines.append(f"| {case.name} | {way} | {rates} | {share} | {figures['peak_gib']:.2f} | {goal} |")
    return [*lines, "", "Losses of each step (TRL packed holds other rows):", "", *_loss_lines(done, cases)]


def _loss_lines(done: dict[str, Any], cases: list[Case]) -> list[str]:
    """Ours and TRL padded see the same rows: what FlexAttention gets wrong here shows here."""
    found = [(case.name, done["cases"].get(case.name, {})) for case in cases]
    return [
        f"* {name}: " + "; ".join(f"{way} {', '.join(map(str, by_way[way]['losses']))}" for way in by_way)
        for name, by_way in found
        if by_way and "error" not in by_way
    ]


def _share(case: Case, figures: dict[str, Any], shape: Shape, peak_tflops: float) -> float:
    """Of the product rate, with what checkpointing computes again; of the head 4 FLOPs a parameter and target."""
    length = round(mean(len(line["input_ids"]) for line in case.lines))
    body = flops_per_token(shape, length, is_checkpointed=case.job.checkpointing) * figures["computed_tokens_per_s"]
    head = 4 * shape.vocabulary * shape.hidden * figures["trained_tokens_per_s"]
    return float((body + head) / (peak_tflops * 1e12))
