"""Silent faults on the way from rows to labels: what is masked, cut, filled in, doubled, or never trained at all."""

from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from datasets import Dataset
from peft import LoraConfig

from data.row import JsonObject
from data.row_store import RowStore, fill_row_store
from data.settings import DataSection
from data.tokenizer_folder import TokenizerFolder
from data.user_error import UserError
from data.whole_file import write_whole
from train.fault_line import CALL, Line, json_lines, refusal, rendered, stock, trained, weather_row, with_objects
from train.traps import trainable_token_indices, untrained_tokens
from train.trl_preparation import prepared_by_trl, tiny_network, trl_dataset, trl_trainer

MASKED = {"assistant_only_loss": True}


def everything_trained(chatml: TokenizerFolder) -> Line:
    row, end = weather_row(), chatml.template.end_token
    [trls] = prepared_by_trl(trl_dataset([with_objects(row)]), chatml.tokenizer, chatml.template.source).rows
    ours = trained(row, chatml)
    return Line(
        "tool output and headers trained (TRL's defaults)",
        f"{trls.trained[-120:]!r} and all before it", "<tool_response>" in trls.trained,
        repr(ours), ours == f"{CALL}{end}It is 22 C.{end}",
    )  # fmt: skip


def every_label_masked(chatml: TokenizerFolder) -> Line:
    """Packing cuts a row before its first answer and skips the filter that would take it out."""
    row, length = weather_row(), 64
    outcome = prepared_by_trl(
        trl_dataset([with_objects(row)]), chatml.tokenizer, chatml.template.source, **MASKED, packing=True,
        max_length=length,
    )  # fmt: skip
    masked = [packed for packed in outcome.rows if not packed.trained]
    asked = {"messages": row["messages"][:1], "tools": row["tools"]}
    refused, dropped = refusal(asked, chatml), _dropped([row], length, chatml)
    return Line(
        f"all labels masked (packing at {length} tokens)",
        f"{len(masked)} of {len(outcome.rows)} sequences with no label", bool(masked),
        f"{dropped}; a row without an answer is refused: {refused}",
        f"longer than {length} tokens" in dropped and "No assistant message to train on" in refused,
    )  # fmt: skip


def rows_lost(chatml: TokenizerFolder) -> Line:
    rows = [weather_row(), weather_row()]
    rows[1]["messages"][0]["content"] = "Please tell me about the weather. " * 40 + "Weather in Paris?"
    length = len(rendered(rows[0], chatml).input_ids)
    outcome = prepared_by_trl(
        trl_dataset(list(map(with_objects, rows))),
        chatml.tokenizer,
        chatml.template.source,
        **MASKED,
        max_length=length,
    )
    dropped = _dropped(rows, length, chatml)
    return Line(
        f"rows without labels removed without a count (at {length} tokens)",
        f"{len(outcome.rows)} of {len(rows)} rows; {'a warning' if outcome.warnings else 'not a word'}",
        len(outcome.rows) < len(rows) and not outcome.warnings,
        dropped, "{'too_long': 1}" in dropped and "rows.jsonl:2" in dropped,
    )  # fmt: skip


def arguments_filled(chatml: TokenizerFolder) -> Line:
    """Rows whose calls have different keys, loaded as a table: Arrow gives every object the keys of all."""
    rows = [weather_row(), weather_row(arguments='{"city": "Rome", "days": 3}')]
    [first, _] = prepared_by_trl(
        Dataset.from_list(list(map(with_objects, rows))), chatml.tokenizer, chatml.template.source, **MASKED
    ).rows
    ours = trained(rows[0], chatml)
    refused = refusal(weather_row(arguments='{"city": "Paris", "days": null}'), chatml)
    return Line(
        "null-filled arguments (rows loaded with Dataset.from_list)",
        repr(first.trained.partition("</tool_call>")[0]), "null" in first.trained,
        f"{ours.partition('</tool_call>')[0]!r}; a filled row is refused: {refused}",
        ours.startswith(CALL) and "is null" in refused,
    )  # fmt: skip


def numbers_rounded(chatml: TokenizerFolder) -> Line:
    """In the columns of JSON that TRL's guide asks for."""
    number = "35.123456789012345"
    row = weather_row(arguments=f'{{"city": "Paris", "height": {number}}}')
    [trls] = prepared_by_trl(trl_dataset([with_objects(row)]), chatml.tokenizer, chatml.template.source, **MASKED).rows
    ours = trained(row, chatml)
    found = trls.trained.partition('"height": ')[2].partition("}")[0]
    return Line(
        "numbers rounded (columns of JSON)",
        f"{found} for {number}", float(found) != float(number),
        str(float(number)), f'"height": {float(number)}' in ours,
    )  # fmt: skip


def bos_doubled(llama3: TokenizerFolder) -> Line:
    row, bos = weather_row(), llama3.tokenizer.bos_token
    text = rendered(row, llama3).text
    [trls] = prepared_by_trl(Dataset.from_dict({"text": [text]}), llama3.tokenizer, stock("llama3")).rows
    row["messages"][0]["content"] = bos + "Weather in Paris?"
    refused = refusal(row, llama3)
    return Line(
        "BOS doubled (rows given as text)",
        f"{trls.trained[:45]!r}...", trls.trained.startswith(bos * 2),
        f"{text[:45]!r}...; a typed one is refused: {refused}", text.count(bos) == 1 and bos in refused,
    )  # fmt: skip


def end_token_never_trained(llama3: TokenizerFolder) -> Line:
    """A base model whose header and end tokens were never trained, as Meta-Llama-3-8B's."""
    tokenizer, template = llama3.tokenizer, llama3.template
    names = [*template.header_tokens, template.end_token]
    model = tiny_network(tokenizer)
    for layer in (model.get_input_embeddings(), model.get_output_embeddings()):
        with torch.no_grad():
            layer.weight[tokenizer.convert_tokens_to_ids(names)] = 0
    tokenizer.chat_template = template.source
    trainer = trl_trainer(
        trl_dataset([with_objects(weather_row())]), tokenizer, model=model, **MASKED,
        peft_config=LoraConfig(task_type="CAUSAL_LM", target_modules="all-linear"),
    )  # fmt: skip
    embeddings = [
        name for name, weight in trainer.model.named_parameters()
        if weight.requires_grad and ("embed" in name or "lm_head" in name)
    ]  # fmt: skip
    found = untrained_tokens(model, tokenizer, template)
    indices = trainable_token_indices(model, tokenizer, found) or {}
    return Line(
        "untrained end and header embeddings in a base model (LoRA)",
        f"{len(embeddings)} of their embeddings: {', '.join(names)} stay as they are", not embeddings,
        f"trains the rows of {', '.join(found)} in {' and '.join(indices)}",
        found == names and len(indices) == 2,
    )  # fmt: skip


def _dropped(rows: list[JsonObject], length: int, folder: TokenizerFolder) -> str:
    """What `data.prepare` says of the rows at that length, in its files or as its error."""
    with TemporaryDirectory() as name:
        path = Path(name) / "rows.jsonl"
        write_whole(path, json_lines(rows))
        held_out = Path(name) / "test.jsonl"
        write_whole(
            held_out,
            json_lines([{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]}]),
        )
        store = RowStore(Path(name) / "store")
        try:
            summary = fill_row_store(
                store, DataSection(train=[path], test=[held_out]), folder.tokenizer, folder.template, length
            )
        except UserError as error:
            return f"refused: {error}".replace(f"{name}/", "")
        listed = store.dropped.read_text().replace(f"{name}/", "").strip()
        return f"dropped {summary['train']['dropped']}, listed: {listed}"
