"""The GPU's table on a tiny network: its cases, its lines, and the one command going on after what is measured."""

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from data.reading import read_rows
from data.tokenizer_folder import open_tokenizer_folder
from tests.conftest import ROOT
from tests.programs import run
from train.bench_job import Job
from train.bench_measure import long_lines
from train.gpu_cases import device_name, make_cases, result_lines
from train.random_base import LLAMA3_8B, write_config, write_random_weights

COFFEE = ROOT / "data" / "samples" / "taskmaster_coffee" / "train.jsonl"
TINY = LLAMA3_8B | {
    "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "vocab_size": 49152, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
JOB = Job("config", rows_per_step=4, micro_batch=2, checkpointing=False, steps=2, pack_tokens=1024)
FIGURES = {
    "rows_per_s": 3.0, "row_tokens_per_s": 12288.4, "computed_tokens_per_s": 12544.0, "trained_tokens_per_s": 100.0,
    "peak_gib": 60.123, "seconds_per_step": 1.0, "losses": [1.0, 0.5],
}  # fmt: skip


def narrow_file(folder: Path) -> Path:
    """A row with twelve tools, which the samples do not have."""
    row = json.loads(COFFEE.read_text().splitlines()[0])
    names = [f"tool_{number}" for number in range(12)]
    function = {"description": "d", "parameters": {"type": "object", "properties": {"a": {"type": "string"}}}}
    row["tools"] = [{"type": "function", "function": {"name": name, **function}} for name in names]
    row["messages"] = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    (folder / "narrow.jsonl").write_text(json.dumps(row) + "\n")
    return folder / "narrow.jsonl"


def test_long_rows_are_all_tokens_in_order_and_all_trained() -> None:
    lines = [{"input_ids": [1, 2, 3], "labels": [-100, 2, 3]}, {"input_ids": [4, 5], "labels": [-100, 5]}]
    assert long_lines(lines, 4, 3) == [
        {"input_ids": ids, "labels": ids} for ids in ([1, 2, 3, 4], [5, 1, 2, 3], [4, 5, 1, 2])
    ]


def test_every_figure_is_a_line_and_so_is_what_failed(tmp_path: Path, smollm2: Path) -> None:
    write_config(TINY, smollm2, tmp_path)
    sets = {"coffee": [item.row for item in read_rows(COFFEE)][:8]}
    cases = make_cases(JOB, sets, open_tokenizer_folder(smollm2, None), narrow_file(tmp_path), 64, "weights")
    names = ["rows of 64 tokens", "rows of 64 tokens, checkpointing", "twelve tools", "coffee"]
    assert [case.name for case in cases][:4] == names and len(cases) == 6
    assert {len(line["input_ids"]) for line in cases[0].lines} == {64} and len(cases[0].lines) == 2
    assert [case.job.is_4bit for case in cases] == [False] * 4 + [True] * 2
    done = {
        "settings": ["A GPU"], "product_tflops": 0.01,
        "cases": {"rows of 64 tokens": {"ours": FIGURES}, "twelve tools": {"error": "CUDA out of memory"}},
    }  # fmt: skip
    lines = result_lines(done, cases, tmp_path)
    # 2 layers of 45,056 parameters of linear layers; attention looks back 32 of 64 tokens on average.
    flops = 12544 * (4 * 2 * 36864 + 3 * 2 * 2 * 64 * 64) + 100 * 4 * 49152 * 64
    share = f"{flops / 1e10:.0%}"
    assert lines[0].startswith("A GPU, a Llama of 0.01e9 random weights") and lines[2].count("|") == 9
    assert lines[4] == (
        f"| rows of 64 tokens | ours | 12,544 | 12,288 | 3.000 | {share} | 60.12 | 12,500 computed tokens/s |"
    )
    assert lines[6] == "| twelve tools | not measured: CUDA out of memory | | | | | | 40,000 row tokens/s |"
    assert lines[7].startswith("| coffee | not measured: not run")
    assert lines[-1] == "* rows of 64 tokens: ours 1.0, 0.5"


def test_random_weights_are_a_model_that_loads(tmp_path: Path, smollm2: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("train.random_base.SHARD_BYTES", 1 << 20)
    write_config(TINY | {"tie_word_embeddings": True}, smollm2, tmp_path)
    write_random_weights(tmp_path)
    model, info = AutoModelForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"] and model.dtype == torch.bfloat16
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    embeddings = model.get_input_embeddings().weight.float()
    assert embeddings.std().item() == pytest.approx(0.02, rel=0.01) and len(embeddings[:2000].unique(dim=0)) == 2000
    assert bool((model.model.norm.weight == 1).all())


@pytest.mark.slow
def test_the_command_measures_what_is_missing_and_tells_what_failed(tmp_path: Path, smollm2: Path) -> None:
    """Of six cases one is left, QLoRA on long rows, and one has failed before; both are run."""
    narrow, out, config = narrow_file(tmp_path), tmp_path / "out", tmp_path / "tiny.json"
    config.write_text(json.dumps(TINY))
    sets = {"taskmaster_coffee": [item.row for item in read_rows(COFFEE)][:8]}
    folder = open_tokenizer_folder(smollm2, None)
    job = JOB._replace(model=str(out / "config"))
    cases = make_cases(job, sets, folder, narrow, 64, str(out / "weights"))
    found = {case.name: dict.fromkeys(case.ways, FIGURES) for case in cases if case.name != cases[4].name}
    settings = [device_name(), TINY, list(job), 64]
    out.mkdir()
    (out / "figures.json").write_text(json.dumps({"settings": settings, "product_tflops": 1.0, "cases": found}))
    sizes = ["--rows-per-step", "4", "--trl-batch", "2", "--steps", "2", "--pack-tokens", "1024", "--length", "64"]
    given: list[str | Path] = [COFFEE, "--narrow", narrow, "--tokenizer", smollm2, "--config", config, "--out", out]
    done = run("train.gpu_table", *given, *sizes)
    assert done.returncode == 0, done.stderr
    measured = json.loads((out / "figures.json").read_text())["cases"]
    ours = measured[cases[4].name]["ours"]
    assert ours["computed_tokens_per_s"] == ours["row_tokens_per_s"] > 0 and len(ours["losses"]) == 2
    assert measured[cases[5].name]["ours"] == FIGURES  # not again
    text = (out / "RESULTS.md").read_text()
    assert text in done.stdout and "not measured" not in text
