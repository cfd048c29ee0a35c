"""Preference rows from a model's own mistakes: its wrong answer beside the one that the row teaches.

A pair is what the model does against what it should do, so both halves are likely to it, which is what makes DPO learn
(on-policy pairs: Tajwar et al. 2024, "Preference Fine-Tuning of LLMs Should Leverage Suboptimal, On-Policy Data").
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from data.conversation import conversation
from data.evaluated_items import EvaluatedItem, read_evaluated
from data.preference_row import PreferenceRow
from data.reading import NumberedRow, read_rows
from data.row import FunctionCall, Message, Row, ToolCall
from data.rules.preferences import preference_faults
from data.rules.severities import severities_beside
from data.strict_json import is_writable
from data.user_error import UserError


class Pairing(NamedTuple):
    pairs: list[PreferenceRow]
    num_items: int
    """That were asked and answered."""
    mistakes: Counter[str]
    """Pairs by what the worse answer did wrong, in the words of `eval.matching`."""
    dropped: Counter[str]
    """Wrong answers that gave no pair, by cause."""


def pairs_of_mistakes(evaluations: list[Path], held_out: Sequence[NumberedRow]) -> Pairing:
    """Raises UserError for an evaluation of held-out rows, or of rows that have changed since."""
    forbidden = prompts_of(held_out)
    files: dict[Path, dict[int, Row]] = {}
    pairing, seen = Pairing([], 0, Counter(), Counter()), set[str]()
    num_items = 0
    for path in evaluations:
        for item in read_evaluated(path):
            num_items += item.score.verdict != "not_run"
            if not item.is_wrong:
                continue
            row = _row_of(item, path, files)
            pair = _pair(item, row)
            if isinstance(pair, str):
                pairing.dropped[pair] += 1
                continue
            require_not_held_out(pair, forbidden, where=f"{path}: item {item.id}")
            if (written := pair.model_dump_json()) in seen:
                pairing.dropped["repeated"] += 1
                continue
            seen.add(written)
            pairing.mistakes[item.score.failure or item.score.verdict] += 1
            pairing.pairs.append(pair)
    return pairing._replace(num_items=num_items)


def prompts_of(rows: Iterable[NumberedRow]) -> set[str]:
    """The messages before each assistant turn: what a model is asked when these rows are scored."""
    prompts = set()
    for numbered in rows:
        messages = conversation(numbered.row).messages
        turns = (place for place, message in enumerate(messages) if message["role"] == "assistant")
        prompts |= {json.dumps(messages[:place]) for place in turns}
    return prompts


def require_not_held_out(pair: PreferenceRow, forbidden: set[str], where: str) -> None:
    if json.dumps(conversation(pair.input).messages) in forbidden:
        raise UserError(
            "asks what a held-out row asks: a model that learns it cannot be scored on it",
            where=where, fix="make pairs from an evaluation of training rows",
        )  # fmt: skip


def _row_of(item: EvaluatedItem, path: Path, files: dict[Path, dict[int, Row]]) -> Row:
    file, line, _ = item.place
    if file not in files:
        files[file] = {numbered.line: numbered.row for numbered in read_rows(file)}
    row = files[file].get(line)
    if row is None or not item.is_of(row):
        what = f"{item.id} is not what the file now has there"
        raise UserError(what, where=str(path), fix="run eval.run on the file again")
    return row


def _pair(item: EvaluatedItem, row: Row) -> PreferenceRow | str:
    """The pair, or why none can be made of the answer."""
    if item.answer.finish_reason == "length":
        return "cut off at the token limit"
    if not is_writable(item.answer.content or ""):
        return "half a surrogate pair"
    try:
        given = Message(role="assistant", content=item.answer.content or None, tool_calls=_calls(item) or None)
    except ValidationError:
        return "a tool name that no row can hold"
    place = item.place.message - 1
    question = row.model_copy(update={"messages": row.messages[:place]})
    pair = PreferenceRow(input=question, preferred_output=[row.messages[place]], non_preferred_output=[given])
    severities = severities_beside(item.place.file)
    faults = [fault.rule for fault in preference_faults(pair) if severities.of(fault.rule) == "error"]
    return f"rule {faults[0]}" if faults else pair


def _calls(item: EvaluatedItem) -> list[ToolCall]:
    return [
        ToolCall(id=f"call_{number}", type="function", function=FunctionCall(name=call.name, arguments=call.arguments))
        for number, call in enumerate(item.answer.calls, start=1)
    ]
