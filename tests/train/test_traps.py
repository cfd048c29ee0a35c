import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, LlamaConfig, LlamaForCausalLM

from data.render import IGNORE, Rendered
from data.template import load_template
from data.user_error import UserError
from train.arguments import lora_config
from train.deltas import Combination
from train.labelled_loss import add_labelled_loss
from train.merge_check import adapted_model
from train.settings import TrainRecipe
from train.traps import (
    mend_generation_config,
    mend_tokenizer,
    require_gradients,
    trainable_token_indices,
    untrained_tokens,
)

CHATML = load_template("chatml")


def tokenizer_of(folder: Path, **tokens: str) -> Any:
    return AutoTokenizer.from_pretrained(folder, **tokens)


def test_padding_with_the_end_token_is_mended(smollm2: Path) -> None:
    tokenizer = tokenizer_of(smollm2, pad_token="<|im_end|>")
    assert mend_tokenizer(tokenizer, CHATML) == [
        "padding token: <|im_end|> -> <|endoftext|>, as the end token must be learnt"
    ]
    assert tokenizer.pad_token == "<|endoftext|>"


def test_a_wrong_eos_is_mended(smollm2: Path) -> None:
    tokenizer = tokenizer_of(smollm2, eos_token="<|endoftext|>")
    assert mend_tokenizer(tokenizer, CHATML) == [
        "EOS token: <|endoftext|> -> <|im_end|>, which ends every turn",
    ]
    assert tokenizer.eos_token == "<|im_end|>"


def test_llama3_base_ends_its_turns_with_eot_and_not_end_of_text(llama3: Path) -> None:
    tokenizer = tokenizer_of(llama3, eos_token="<|end_of_text|>", pad_token="<|end_of_text|>")
    mends = mend_tokenizer(tokenizer, load_template("llama3"))
    assert mends == ["EOS token: <|end_of_text|> -> <|eot_id|>, which ends every turn"]


def test_a_template_of_another_family_is_refused(smollm2: Path) -> None:
    with pytest.raises(UserError, match=r"<\|start_header_id\|>, <\|end_header_id\|>, <\|eot_id\|>"):
        mend_tokenizer(tokenizer_of(smollm2), load_template("llama3"))


def test_a_generation_config_without_the_end_token_is_mended(llama3: Path) -> None:
    generation = GenerationConfig(eos_token_id=128001)
    mends = mend_generation_config(generation, tokenizer_of(llama3))
    assert generation.eos_token_id == [128009, 128001]
    assert mends == ["generation config: stops [128001] -> [128009, 128001] (<|eot_id|> added)"]


def test_a_trained_vocabulary_has_no_untrained_tokens(smollm2: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(smollm2)
    assert untrained_tokens(model, tokenizer_of(smollm2), CHATML) == []


@pytest.mark.parametrize("how", ["zero", "twin"])
def test_never_trained_header_and_end_tokens_are_found_and_given_to_peft(smollm2: Path, how: str) -> None:
    model, tokenizer = AutoModelForCausalLM.from_pretrained(smollm2), tokenizer_of(smollm2)
    start, end = tokenizer.convert_tokens_to_ids(["<|im_start|>", "<|im_end|>"])
    weight = model.get_input_embeddings().weight.data
    weight[start] = weight[end] = torch.zeros(64) if how == "zero" else weight[100]
    untrained = untrained_tokens(model, tokenizer, CHATML)
    assert untrained == ["<|im_start|>", "<|im_end|>"]
    indices = trainable_token_indices(model, tokenizer, untrained)
    assert indices == {"embed_tokens": [start, end]}


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
def test_trained_token_rows_get_gradients_from_our_loss_and_survive_the_merge(
    smollm2: Path, tmp_path: Path, tied: bool
) -> None:
    config = LlamaConfig(**json.loads((smollm2 / "config.json").read_text()) | {"tie_word_embeddings": tied})
    torch.manual_seed(0)
    model, tokenizer = LlamaForCausalLM(config).float(), tokenizer_of(smollm2)
    model.save_pretrained(tmp_path / "base")
    end = tokenizer.eos_token_id
    indices = trainable_token_indices(model, tokenizer, ["<|im_end|>"])
    section = {"target_modules": ["q_proj"], "init_lora_weights": False}
    raw = {"name": "x", "model": {"path": "x"}, "template": "chatml", "data": {}, "lora": section}
    adapted = get_peft_model(model, lora_config(TrainRecipe.model_validate(raw), indices)).eval()
    add_labelled_loss(adapted.get_base_model())
    adapted(
        input_ids=torch.tensor([[5, end, 7]]), predictors=torch.tensor([2]), targets=torch.tensor([end])
    ).loss.backward()
    deltas = {name: value for name, value in adapted.named_parameters() if "trainable_tokens_delta" in name}
    assert deltas
    assert all(delta.grad is not None and delta.grad.abs().sum() > 0 for delta in deltas.values()), list(deltas)
    with torch.no_grad():
        for delta in deltas.values():
            delta.add_(1.0)
    ids = torch.tensor([[5, end, 7]])
    expected = adapted(input_ids=ids).logits
    adapted.save_pretrained(tmp_path / "adapter")
    layered = adapted_model(tmp_path / "base", [tmp_path / "adapter"], Combination("linear", [1.0]))
    given = layered.trained_logits([Rendered("", ids[0].tolist(), [IGNORE, end, 7], [])])
    torch.testing.assert_close(given.logits, expected[0, :-1], atol=1e-4, rtol=1e-4)


def test_a_model_with_nothing_to_train_is_refused(smollm2: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(smollm2).requires_grad_(False)
    with pytest.raises(UserError, match="no parameter is trainable"):
        require_gradients(model)
