"""Preference rows as TRL's DPO trainer takes them: tokens of a prompt and two answers, rendered by `data.render`.

TRL would render `messages` by its own copy of the chat template, which drops what ours keeps.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from datasets import Dataset
from trl import DPOTrainer

from data.pairing import prompts_of, require_not_held_out
from data.preference_row import PreferenceRow
from data.reading import NumberedPreference, NumberedRow, file_sha256, read_row_file, require_no_error
from data.render import Rendered, Tokenizer, render
from data.row import Row
from data.template import Template
from data.user_error import UserError


class TokenPair(NamedTuple):
    prompt_ids: list[int]
    chosen_ids: list[int]
    """The better answer, with the token that ends the turn."""
    rejected_ids: list[int]

    @property
    def length(self) -> int:
        """Of the longer row, in tokens."""
        return len(self.prompt_ids) + max(len(self.chosen_ids), len(self.rejected_ids))


class PairExamples(NamedTuple):
    dataset: Dataset
    first: tuple[Rendered, Rendered]
    """The better and the worse row of the first pair, to be shown before the first step."""
    num_tokens: int
    """Of all rows, two a pair."""
    num_trained: int
    """Of the answers."""
    num_too_long: int
    tools: list[dict[str, object]]
    """Every distinct tool of the rows, for the manifest."""
    sha256: str
    """Of the files that the pairs came from."""


class TokenPairTrainer(DPOTrainer):  # type: ignore[misc]
    """TRL's trainer with one method replaced: our pairs come as tokens, which its preparation has no way to take."""

    def _prepare_dataset(self, dataset: Dataset, *args: Any) -> Dataset:
        return dataset


def load_pairs(
    files: list[Path], held_out: Iterable[NumberedRow], tokenizer: Tokenizer, template: Template, max_length: int
) -> PairExamples:
    """Raises UserError for a fault of a file, a pair that asks what a held-out row asks, or no pair that fits."""
    numbered = [pair for path in files for pair in _read(path)]
    if not numbered:
        fix = "name files under preferences.files, or make pairs with data.pairs"
        raise UserError("no preference rows", where="preferences", fix=fix)
    forbidden = prompts_of(held_out)
    for item in numbered:
        require_not_held_out(item.row, forbidden, where=f"{item.path}:{item.line}")
    pairs = [token_pair(item.row, tokenizer, template) for item in numbered]
    fitting = [pair for pair in pairs if pair.length <= max_length]
    if not fitting:
        raise UserError(f"all {len(pairs)} pairs are longer than {max_length} tokens", fix="raise sft.max_length")
    tools = {tool.model_dump_json(): tool for item in numbered for tool in item.row.input.tools or []}
    first = numbered[0].row
    return PairExamples(
        Dataset.from_list([pair._asdict() for pair in fitting]),
        (render(first.chosen(), tokenizer, template), render(first.rejected(), tokenizer, template)),
        sum(2 * len(pair.prompt_ids) + len(pair.chosen_ids) + len(pair.rejected_ids) for pair in fitting),
        sum(len(pair.chosen_ids) + len(pair.rejected_ids) for pair in fitting),
        len(pairs) - len(fitting),
        [tool.model_dump() for tool in tools.values()],
        hashlib.sha256(" ".join(map(file_sha256, files)).encode()).hexdigest(),
    )


def token_pair(row: PreferenceRow, tokenizer: Tokenizer, template: Template) -> TokenPair:
    """The prompt is what the server would feed: `data.render` proves it for each of the two rows."""
    (prompt, chosen), (other, rejected) = (
        _split(whole, tokenizer, template) for whole in (row.chosen(), row.rejected())
    )
    assert prompt == other, "both rows begin with the same messages and tools"
    return TokenPair(prompt, chosen, rejected)


def _split(row: Row, tokenizer: Tokenizer, template: Template) -> tuple[list[int], list[int]]:
    rendered = render(row, tokenizer, template)
    answer = rendered.turns[-1]
    return rendered.input_ids[: answer.start], rendered.input_ids[answer.start : answer.end]


def _read(path: Path) -> list[NumberedPreference]:
    file = read_row_file(path)
    require_no_error(file.findings)
    if file.rows:
        fix = 'give rows with "input", "preferred_output" and "non_preferred_output"'
        raise UserError("a chat row, where preference rows are wanted", where=f"{path}:{file.rows[0].line}", fix=fix)
    return list(file.preferences)
