"""Merging shard by shard: equal to PEFT's own merge, in the memory of one shard, into what was trained."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.utils.merge_utils import ties
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, LlamaConfig, LlamaForCausalLM

from data.render import IGNORE, Rendered
from data.user_error import UserError
from tests.conftest import ROOT
from train.deltas import AdapterDeltas, Combination
from train.four_bit import as_quantized, quantized_weights
from train.merge_check import adapted_model, merged_model
from train.merging import merge_shards
from train.rounding import round_by_chance
from train.settings import QuantizationSection, Rounding

SUM = Combination("linear", [1.0])
ROUNDINGS: tuple[Rounding, ...] = get_args(Rounding)
IDS = torch.tensor([[5, 3, 7, 11, 2]])
ROW = Rendered("", IDS[0].tolist(), [IGNORE, *IDS[0, 1:].tolist()], [])


def make_base(folder: Path, **changes: Any) -> Path:
    torch.manual_seed(0)
    shape = {"vocab_size": 256, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}
    config = LlamaConfig(**shape | {"num_attention_heads": 2, "num_key_value_heads": 1, "dtype": "bfloat16"} | changes)
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder, max_shard_size="40KB")
    (folder / "tokenizer.json").write_text("{}")
    return folder


def make_adapter(base: Path, folder: Path, seed: int = 1, **lora: Any) -> Path:
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    config = LoraConfig(**{"r": 4, "lora_alpha": 16, "target_modules": "all-linear", "init_lora_weights": False} | lora)
    get_peft_model(model, config).save_pretrained(folder)
    return folder


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return {key: tensor for shard in folder.glob("*.safetensors") for key, tensor in load_file(shard).items()}


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return make_base(tmp_path / "base")


KINDS = pytest.mark.parametrize(
    "lora",
    [
        {},
        {"use_rslora": True},
        {"rank_pattern": {"q_proj": 8}, "alpha_pattern": {"layers.1.mlp.up_proj": 3}},
        {"target_modules": ["q_proj"], "modules_to_save": ["lm_head"]},
        {"target_modules": ["v_proj"], "trainable_token_indices": {"embed_tokens": [3, 7]}},
    ],
    ids=["plain", "rslora", "patterns", "a whole module", "token rows"],
)


@KINDS
def test_the_merged_weights_are_those_of_pefts_merge_rounded_once(base: Path, tmp_path: Path, lora: Any) -> None:
    adapter = make_adapter(base, tmp_path / "adapter", **lora)
    merge_shards(base, [adapter], tmp_path / "merged", SUM, None)
    exact = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), adapter)
    expected = {name: value.to(torch.bfloat16) for name, value in exact.merge_and_unload().state_dict().items()}
    merged = weights(tmp_path / "merged")
    assert merged.keys() == expected.keys()
    assert [name for name in merged if not torch.equal(merged[name], expected[name])] == []
    assert any(not torch.equal(merged[name], tensor) for name, tensor in weights(base).items())


@KINDS
@pytest.mark.parametrize("tied", [False, True], ids=["own head", "tied head"])
def test_a_model_computed_layer_by_layer_is_the_whole_one(tmp_path: Path, lora: Any, tied: bool) -> None:
    if tied and "modules_to_save" in lora:
        pytest.skip("PEFT trains a head apart only where it is not tied")
    base = make_base(tmp_path / "base", tie_word_embeddings=tied)
    adapter = make_adapter(base, tmp_path / "adapter", **lora)
    whole = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), adapter)
    rows = [ROW, Rendered("", list(range(20, 60)), [IGNORE] * 39 + [59], [])]
    layered = adapted_model(base, [adapter], SUM).trained_logits(rows)
    expected = torch.cat([whole(IDS).logits[0, :-1], whole(torch.tensor([rows[1].input_ids])).logits[0, -2:-1]])
    torch.testing.assert_close(layered.logits, expected, atol=1e-5, rtol=1e-5)
    assert layered.labels.tolist() == [3, 7, 11, 2, 59]

    merge_shards(base, [adapter], tmp_path / "merged", SUM, None)
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged", dtype=torch.float32)
    given = merged_model(tmp_path / "merged").trained_logits([ROW])
    torch.testing.assert_close(given.logits, merged(IDS).logits[0, :-1], atol=1e-5, rtol=1e-5)


def test_rounding_by_chance_keeps_small_changes_on_the_mean(base: Path, tmp_path: Path) -> None:
    """Changes of about a tenth of a step of bf16: the nearest value is most often the base's own."""
    adapter = make_adapter(base, tmp_path / "adapter")
    tensors = load_file(adapter / "adapter_model.safetensors")
    small = {key: tensor * (1e-4 if "lora_B" in key else 1) for key, tensor in tensors.items()}
    save_file(small, adapter / "adapter_model.safetensors")
    before, deltas = weights(base), AdapterDeltas(adapter)
    meant = {key: deltas.of(key, before[key].float()) for key in deltas.keys}
    kept = {}
    for rounding in ROUNDINGS:
        merge_shards(base, [adapter], tmp_path / rounding, SUM, None, rounding)
        merged = weights(tmp_path / rounding)
        assert all(torch.equal(merged[key], before[key]) for key in before.keys() - meant.keys())
        changes = {key: merged[key].float() - before[key].float() for key in meant}
        kept[rounding] = sum(float((changes[key] * delta.sign()).sum()) for key, delta in meant.items())
    whole = sum(float(delta.abs().sum()) for delta in meant.values())
    assert kept["nearest"] < 0.7 * whole
    assert kept["stochastic"] == pytest.approx(whole, rel=0.03)


def test_rounding_by_chance_gives_one_of_the_two_neighbours_and_again_the_same() -> None:
    torch.manual_seed(0)
    values = torch.randn(100_000) * torch.logspace(-6, 3, 100_000)
    rounded = round_by_chance(values, 3)
    assert torch.equal(rounded.to(torch.bfloat16).float(), rounded)
    down = (values.view(torch.int32) & ~0xFFFF).view(torch.float32)
    up = ((values.view(torch.int32) & ~0xFFFF) + (1 << 16)).view(torch.float32)
    assert bool(((rounded == down) | (rounded == up)).all()) and 0.45 < float((rounded == up).float().mean()) < 0.55
    assert torch.equal(rounded, round_by_chance(values, 3)) and not torch.equal(rounded, round_by_chance(values, 4))
    assert torch.equal(round_by_chance(rounded, 5), rounded)


def test_blocks_side_by_side_are_blocks_one_by_one(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many small ones, each in the memory of one before it, written in any order."""
    adapter = make_adapter(base, tmp_path / "adapter")
    monkeypatch.setattr("train.weight_files.BLOCK", 256)
    for workers in (1, 4):
        monkeypatch.setattr("train.merging.NUM_WORKERS", workers)
        merge_shards(base, [adapter], tmp_path / str(workers), SUM, None)
    one, four = (sorted((tmp_path / name).glob("*.safetensors")) for name in "14")
    assert len(one) > 3 and [path.read_bytes() for path in one] == [path.read_bytes() for path in four]


def test_a_merge_that_fails_in_a_thread_fails(base: Path, tmp_path: Path) -> None:
    adapter = make_adapter(base, tmp_path / "adapter")
    shard = max(base.glob("*.safetensors"), key=lambda path: path.stat().st_size)
    shard.write_bytes(shard.read_bytes()[:-100])
    with pytest.raises(AssertionError, match="ends within"):
        merge_shards(base, [adapter], tmp_path / "merged", SUM, None)


def test_the_folder_keeps_the_shards_and_loads(base: Path, tmp_path: Path) -> None:
    merge_shards(base, [make_adapter(base, tmp_path / "adapter")], tmp_path / "merged", SUM, None)
    shards = sorted(path.name for path in base.glob("*.safetensors"))
    assert len(shards) > 3
    assert sorted(path.name for path in (tmp_path / "merged").glob("*.safetensors")) == shards
    assert (tmp_path / "merged" / "tokenizer.json").is_file()
    model, info = AutoModelForCausalLM.from_pretrained(tmp_path / "merged", output_loading_info=True)
    assert model.dtype == torch.bfloat16
    assert not info["missing_keys"] and not info["unexpected_keys"]


def merging_memory(folder: Path, num_layers: int) -> int:
    """What merging a model of 64 MB shards adds to the process at most, in bytes."""
    shape = {"hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 8, "num_key_value_heads": 8}
    config = LlamaConfig(vocab_size=256, num_hidden_layers=num_layers, dtype="bfloat16", **shape)
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder / "base", max_shard_size="64MB")
    make_adapter(folder / "base", folder / "adapter", target_modules=["q_proj", "down_proj"])
    code = (
        "import re, sys; from pathlib import Path; from train.deltas import Combination;"
        "from train.merging import merge_shards;"
        "peak = lambda: int(re.search('VmHWM:.*?([0-9]+) kB', Path('/proc/self/status').read_text())[1]) * 1024;"
        "before = peak(); folder = Path(sys.argv[1]);"
        "merge_shards(folder / 'base', [folder / 'adapter'], folder / 'merged', Combination('linear', [1.0]), None);"
        "print(peak() - before)"
    )
    # Not getrusage: a child's ru_maxrss starts at what its parent had.
    run = subprocess.run([sys.executable, "-c", code, folder], cwd=ROOT, capture_output=True, text=True, check=True)
    return int(run.stdout)


def test_merging_a_larger_model_of_equal_shards_takes_no_more_memory(tmp_path: Path) -> None:
    small, large = merging_memory(tmp_path / "small", 5), merging_memory(tmp_path / "large", 20)
    assert large < 1.5 * small  # of 0.16 GB and of 0.64 GB


def test_a_weighted_sum_of_adapters_is_pefts_exact_one(base: Path, tmp_path: Path) -> None:
    first, second = (make_adapter(base, tmp_path / name, seed) for seed, name in enumerate(("first", "second"), 1))
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), first, "first")
    model.load_adapter(second, "second")
    model.add_weighted_adapter(["first", "second"], [0.7, 0.3], "both", combination_type="cat")
    model.set_adapter("both")
    combined = adapted_model(base, [first, second], Combination("linear", [0.7, 0.3])).trained_logits([ROW])
    torch.testing.assert_close(combined.logits, model(IDS).logits[0, :-1], atol=1e-4, rtol=1e-4)


def test_ties_and_dare_combine_the_deltas_of_each_weight(base: Path, tmp_path: Path) -> None:
    adapters = [make_adapter(base, tmp_path / str(seed), seed) for seed in (1, 2)]
    key = "model.layers.0.self_attn.q_proj.weight"
    weight = weights(base)[key].float()
    deltas = [AdapterDeltas(adapter).of(key, weight) for adapter in adapters]
    merge_shards(base, adapters, tmp_path / "ties", Combination("ties", [1.0, 1.0], 0.3), None)
    expected = weight + ties(deltas, torch.tensor([1.0, 1.0]), density=0.3)
    assert torch.equal(weights(tmp_path / "ties")[key], expected.to(torch.bfloat16))
    for name in ("dare", "again"):
        merge_shards(base, adapters, tmp_path / name, Combination("dare_linear", [1.0, 1.0], 0.3), None)
    first, again = weights(tmp_path / "dare"), weights(tmp_path / "again")
    assert all(torch.equal(first[name], again[name]) for name in first)
    # A random 30 % of each delta is kept: about half of all values are then changed by neither.
    changed = (first[key] != weights(base)[key]).float().mean()
    assert 0.4 < changed < 0.6


def test_a_qlora_merge_is_the_4_bit_model_that_was_trained(tmp_path: Path) -> None:
    base = make_base(tmp_path / "base")
    adapter = make_adapter(base, tmp_path / "adapter", lora_alpha=1)
    section = QuantizationSection()
    four_bit = BitsAndBytesConfig(bnb_4bit_compute_dtype=torch.float32, **section.model_dump())
    trained = AutoModelForCausalLM.from_pretrained(base, quantization_config=four_bit, dtype=torch.float32)
    expected = PeftModel.from_pretrained(trained, adapter)(IDS).logits
    assert quantized_weights(base) == {name for name in weights(base) if "_proj" in name}

    def difference(name: str, quantization: QuantizationSection | None) -> float:
        merge_shards(base, [adapter], tmp_path / name, SUM, quantization)
        merged = AutoModelForCausalLM.from_pretrained(tmp_path / name, dtype=torch.float32)
        return float((merged(IDS).logits - expected).abs().max().item())

    into_four_bit, into_base = difference("quantized", section), difference("plain", None)
    assert into_four_bit < into_base / 4
    layered = adapted_model(base, [adapter], SUM, section).trained_logits([ROW])
    torch.testing.assert_close(layered.logits, expected[0, :-1], atol=1e-2, rtol=1e-2)
    name = "model.layers.0.mlp.up_proj.weight"
    assert not torch.equal(as_quantized(weights(base)[name], section), weights(base)[name])


def test_what_cannot_be_merged_is_refused_in_words(base: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no adapter here"):
        AdapterDeltas(tmp_path)
    with pytest.raises(UserError, match="DoRA adapters cannot be merged here"):
        AdapterDeltas(make_adapter(base, tmp_path / "dora", use_dora=True))
    deeper = make_base(tmp_path / "deeper", num_hidden_layers=3)
    adapter = make_adapter(deeper, tmp_path / "adapter")
    with pytest.raises(UserError, match=r"changes 7 weights that .* does not have, model\.layers\.2"):
        merge_shards(base, [adapter], tmp_path / "merged", SUM, None)
    wider = make_base(tmp_path / "wider", hidden_size=96)
    adapter = make_adapter(wider, tmp_path / "adapter-of-wider")
    with pytest.raises(UserError, match=r"down_proj\.weight as \[96, 128\], which is \[64, 128\]"):
        merge_shards(base, [adapter], tmp_path / "merged", SUM, None)
    assert not (tmp_path / "merged").exists()


def test_an_index_that_lies_beside_the_shards_names_them(base: Path, tmp_path: Path) -> None:
    merge_shards(base, [make_adapter(base, tmp_path / "adapter")], tmp_path / "merged", SUM, None)
    index = json.loads((tmp_path / "merged" / "model.safetensors.index.json").read_text())
    stored = sum(tensor.nbytes for tensor in weights(tmp_path / "merged").values())
    assert index["metadata"]["total_size"] == stored
    assert set(index["weight_map"]) == set(weights(tmp_path / "merged"))
