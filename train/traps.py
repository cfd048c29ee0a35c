"""What a base model may bring that would spoil training without an error; each is mended and named, or refused."""

from typing import Any

from data.template import Template
from data.user_error import UserError


def mend_tokenizer(tokenizer: Any, template: Template) -> list[str]:
    """Give the tokenizer the template's end token as EOS and a padding token that is not it.

    Our labels come from positions, so padding with the end token would not hide it from the loss here; it would
    in every tool that builds labels from ids, and users share these folders.
    Raises UserError when the vocabulary lacks a token of the template.
    """
    vocab = tokenizer.get_vocab()
    missing = [token for token in [*template.header_tokens, template.end_token] if token not in vocab]
    if missing:
        raise UserError(
            f"the {template.name} template writes {', '.join(missing)}, which the tokenizer does not know as one token",
            where="template",
            fix="use the template of the model's family (llama3 or chatml)",
        )
    mends = []
    if tokenizer.eos_token != template.end_token:
        mends.append(f"EOS token: {tokenizer.eos_token} -> {template.end_token}, which ends every turn")
        tokenizer.eos_token = template.end_token
    if tokenizer.pad_token in (None, template.end_token):
        candidates = ["<|finetune_right_pad_id|>", "<|reserved_special_token_250|>", "<|endoftext|>", "<|end_of_text|>"]
        pad = next((token for token in candidates if token in vocab and token != template.end_token), None)
        if pad is None:
            raise UserError(
                "no padding token other than the end token", where="model.path", fix="add one to the tokenizer"
            )
        mends.append(f"padding token: {tokenizer.pad_token} -> {pad}, as the end token must be learnt")
        tokenizer.pad_token = pad
    return mends


def mend_generation_config(generation: Any, tokenizer: Any) -> list[str]:
    """List the end token among the stops, so that a server ends the turn where training did."""
    stops = generation.eos_token_id
    stops = [] if stops is None else [stops] if isinstance(stops, int) else list(stops)
    generation.pad_token_id = tokenizer.pad_token_id
    if tokenizer.eos_token_id in stops:
        return []
    generation.eos_token_id = [tokenizer.eos_token_id, *stops]
    return [f"generation config: stops {stops} -> {generation.eos_token_id} ({tokenizer.eos_token} added)"]


def untrained_tokens(model: Any, tokenizer: Any, template: Template) -> list[str]:
    """Header and end tokens whose embedding was never trained, as in Meta-Llama-3-8B's base model.

    A row counts as untrained when its norm is under a tenth of the vocabulary's median, or when it equals the row
    of another token: initialised together, never moved apart.
    """
    names = [*template.header_tokens, template.end_token]
    ids = tokenizer.convert_tokens_to_ids(names)
    bad: set[str] = set()
    for layer in (model.get_input_embeddings(), model.get_output_embeddings()):
        weight = layer.weight.detach()
        median = weight.float().norm(dim=1).median()
        for name, token_id in zip(names, ids, strict=True):
            row = weight[token_id]
            num_twins = int((weight == row).all(dim=1).sum())
            if row.float().norm() < 0.1 * median or num_twins > 1:
                bad.add(name)
    return [name for name in names if name in bad]


def trainable_token_indices(model: Any, tokenizer: Any, untrained: list[str]) -> dict[str, list[int]] | None:
    """PEFT's `trainable_token_indices` for untrained tokens, in the input and the output embeddings; None for none.

    They need our loss (`train.labelled_loss`), which calls the head: TRL's multiplies by `lm_head.weight` directly, so
    rows that PEFT trains beside it would get no gradient and the model would never learn to stop.
    """
    if not untrained:
        return None
    ids = tokenizer.convert_tokens_to_ids(untrained)
    layers = ["embed_tokens"] if model.config.tie_word_embeddings else ["embed_tokens", "lm_head"]
    return dict.fromkeys(layers, ids)


def require_gradients(model: Any) -> None:
    """Refuse a model with nothing to train, which would run to the end and change nothing."""
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise UserError("no parameter is trainable", where="lora", fix="check lora.target_modules")
