"""Ours and TRL's preparation on the same rows: the same tokens and labels wherever TRL is given the row as it is."""

import json
from pathlib import Path

from data.row import Row
from data.task_api.scenarios import synthesize
from data.tokenizer_folder import open_tokenizer_folder
from tests.data.rows import PING, ping, raw, says, user
from train.benchmark_rows import measure

NUMBER = {"type": "object", "properties": {"host": {"type": "number"}}}


def test_tokens_and_labels_are_trls(smollm2: Path) -> None:
    made = synthesize(40, 1, seed=4).train
    long = raw(
        user("Ping"), says(None, ping('{"host": 0.12345678901234567}')),
        tools=[{"type": "function", "function": PING["function"] | {"parameters": NUMBER}}],
    )  # fmt: skip
    rows = [Row.model_validate(row) for row in [*made, long]]
    measured = measure(rows, open_tokenizer_folder(smollm2, "chatml"), rounds=1)
    weighted = sum('"weight": 0' in json.dumps(row) for row in made)
    assert 0 < weighted < 40
    assert measured.compared == (40, 40 - weighted, weighted, 1)
    assert measured.compared.is_same(41) and measured.rates.ours > 0
