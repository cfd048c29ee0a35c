"""Every line of the table, claimed by `train.silent_faults` and found again here without its code."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset

from data.tokenizer_folder import TokenizerFolder, open_tokenizer_folder
from tests.models import package_folder
from train import preparation_faults, silent_faults, template_faults
from train.fault_line import CALL, Line, weather_row, with_objects
from train.traps import untrained_tokens
from train.trl_preparation import tiny_network, trl_dataset, trl_trainer

ANSWER = "It is 22 C."


@pytest.fixture(scope="module")
def llama(llama3: Path) -> TokenizerFolder:
    return open_tokenizer_folder(llama3, "llama3")


@pytest.fixture(scope="module")
def smol(smollm2: Path) -> TokenizerFolder:
    return open_tokenizer_folder(smollm2, "chatml")


def require(line: Line, trl: str, ours: str) -> None:
    assert (line.is_seen, line.is_right) == (True, True), line
    assert trl in line.trl and ours in line.ours, line


def stock(name: str) -> str:
    return (package_folder("trl") / "chat_templates" / f"{name}.jinja").read_text()


def written(folder: TokenizerFolder, template: str, row: dict[str, Any]) -> str:
    """The template alone, without a trainer."""
    text: str = folder.tokenizer.apply_chat_template(
        row["messages"], tools=row["tools"], chat_template=template, tokenize=False
    )
    return text


def masked(folder: TokenizerFolder, template: str, row: dict[str, Any]) -> str:
    """What the template's own generation markers hold."""
    out = folder.tokenizer.apply_chat_template(
        row["messages"], tools=row["tools"], chat_template=template, return_dict=True, return_assistant_tokens_mask=True
    )
    return str(folder.tokenizer.decode([t for t, m in zip(out["input_ids"], out["assistant_masks"], strict=True) if m]))


def test_llama3_drops_tools_and_trains_an_empty_turn(llama: TokenizerFolder) -> None:
    row = weather_row()
    assert "get_weather" not in written(llama, stock("llama3"), row)
    trained = masked(llama, stock("llama3_training"), row)
    assert trained == f"<|eot_id|>{ANSWER}<|eot_id|>"
    require(template_faults.tools_dropped(llama), repr(trained), repr(f"{CALL}<|eot_id|>{ANSWER}<|eot_id|>"))
    row["messages"] = row["messages"][:2]
    assert masked(llama, stock("llama3_training"), row) == "<|eot_id|>"
    require(template_faults.end_token_alone(llama), "'<|eot_id|>'", repr(f"{CALL}<|eot_id|>"))


def test_llama31_encodes_arguments_twice_and_drops_text(llama: TokenizerFolder) -> None:
    twice = json.dumps('{"city": "Paris"}')
    assert f'"parameters": {twice}' in written(llama, stock("llama3_1"), weather_row())
    require(template_faults.arguments_encoded_twice(llama), f'"parameters": {twice}', '"arguments": {"city": "Paris"}')
    said = with_objects(weather_row("I will look it up."))
    assert "look it up" not in written(llama, stock("llama3_1"), said)
    require(template_faults.text_dropped(llama), "without 'I will look it up.'", "I will look it up.\\n<tool_call>")


def test_llama32_writes_the_date_of_today(llama: TokenizerFolder) -> None:
    today = datetime.now().strftime("%d %b %Y")
    assert f"Today Date: {today}" in written(llama, stock("llama3_2"), with_objects(weather_row()))
    assert "strftime" not in llama.template.source
    require(template_faults.live_date(llama), f"Today Date: {today}", "no date")


def test_a_text_with_bos_gets_another(llama: TokenizerFolder) -> None:
    bos = llama.tokenizer.bos_token
    assert llama.tokenizer(bos)["input_ids"] == [llama.tokenizer.bos_token_id] * 2
    require(preparation_faults.bos_doubled(llama), bos * 2, f"holds the control token {bos}")


def test_lora_leaves_the_embeddings_of_a_base_model_as_they_are(llama: TokenizerFolder) -> None:
    model = tiny_network(llama.tokenizer)
    end = llama.tokenizer.convert_tokens_to_ids("<|eot_id|>")
    with torch.no_grad():
        model.get_input_embeddings().weight[end] = 0
    assert untrained_tokens(model, llama.tokenizer, llama.template) == ["<|eot_id|>"]
    require(
        preparation_faults.end_token_never_trained(llama), "<|eot_id|> stay as they are", "embed_tokens and lm_head"
    )


def test_markers_around_the_text_alone_leave_the_end_untrained(smol: TokenizerFolder) -> None:
    row = with_objects(weather_row())
    loose = smol.template.source.replace(
        "~ '<|im_end|>' -}}{%- endgeneration -%}", "-}}{%- endgeneration -%}{{- '<|im_end|>' -}}"
    )
    assert masked(smol, loose, row) == CALL + ANSWER
    require(template_faults.end_token_untrained(smol), repr(CALL + ANSWER), "with another end than <|im_end|>")


def test_qwens_training_template_trains_line_ends_of_the_frame(smol: TokenizerFolder) -> None:
    trained = masked(smol, stock("qwen2_5_training"), with_objects(weather_row()))
    assert trained == f"\n{CALL}<|im_end|>\n\n{ANSWER}<|im_end|>\n"
    require(template_faults.header_trained(smol), repr(trained), repr(f"{CALL}<|im_end|>{ANSWER}<|im_end|>"))


def test_tools_are_written_as_each_client_sends_them(smol: TokenizerFolder) -> None:
    row = with_objects(weather_row())
    [tool] = row["tools"]
    other = row | {"tools": [{"function": dict(reversed(tool["function"].items())), "type": "function"}]}
    assert written(smol, stock("qwen2_5"), row) != written(smol, stock("qwen2_5"), other)
    assert written(smol, smol.template.source, row) == written(smol, smol.template.source, other)
    require(template_faults.tools_as_they_come(smol), "2 texts", "1 text")


def test_by_default_trl_trains_the_whole_row(smol: TokenizerFolder) -> None:
    smol.tokenizer.chat_template = smol.template.source
    [prepared] = trl_trainer(trl_dataset([with_objects(weather_row())]), smol.tokenizer).train_dataset
    assert prepared["labels"] == prepared["input_ids"]
    require(preparation_faults.everything_trained(smol), "<tool_response>", repr(f"{CALL}<|im_end|>")[1:-1])


def test_cut_rows_lose_their_labels(smol: TokenizerFolder) -> None:
    smol.tokenizer.chat_template = smol.template.source
    rows = trl_dataset([with_objects(weather_row())])
    packed = trl_trainer(rows, smol.tokenizer, assistant_only_loss=True, packing=True, max_length=64).train_dataset
    assert [set(labels) for labels in packed["labels"]] == [{-100}]
    require(preparation_faults.every_label_masked(smol), "1 of 1 sequences", "No assistant message to train on")
    cut = trl_trainer(rows, smol.tokenizer, assistant_only_loss=True, max_length=64).train_dataset
    assert len(cut) == 0
    require(preparation_faults.rows_lost(smol), "1 of 2 rows; not a word", "rows.jsonl:2")


def test_arrow_fills_in_nulls(smol: TokenizerFolder) -> None:
    rows = [with_objects(weather_row(arguments=text)) for text in ('{"city": "Paris"}', '{"city": "Rome", "days": 3}')]
    first = Dataset.from_list(rows)[0]["messages"][1]["tool_calls"][0]["function"]["arguments"]
    assert first == {"city": "Paris", "days": None}
    require(preparation_faults.arguments_filled(smol), '"days": null', "is null, which the schema")


def test_columns_of_json_round_numbers(smol: TokenizerFolder) -> None:
    row = with_objects(weather_row(arguments='{"city": "Paris", "height": 35.123456789012345}'))
    height = trl_dataset([row])[0]["messages"][1]["tool_calls"][0]["function"]["arguments"]["height"]
    assert height != 35.123456789012345 and round(height, 9) == round(35.123456789012345, 9)
    require(preparation_faults.numbers_rounded(smol), str(height), "35.12345678901234")


def test_the_program_prints_and_writes_every_line(
    llama3: Path, smollm2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "faults.md"
    monkeypatch.setattr(
        "sys.argv", ["silent_faults", "--llama3", str(llama3), "--chatml", str(smollm2), "--markdown", str(out)]
    )
    assert silent_faults.main() == 0
    lines = [line for line in out.read_text().splitlines() if line.startswith("|")]
    assert len(lines) == 2 + len(silent_faults.LLAMA3) + len(silent_faults.CHATML)
    assert all(line.endswith("| yes |") for line in lines[2:])
