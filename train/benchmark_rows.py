"""Rows rendered and masked per second of one core, beside TRL:

    python -m train.benchmark_rows FILE.jsonl... --tokenizer FOLDER [--template NAME] [--rounds N] [--json OUT]

The same checked rows in memory, on one core, in turn: `data.render` with all it proves, and TRL's own preparation
(`SFTTrainer`, `assistant_only_loss`, the same template), each to a data set of token ids and labels. Medians of
processor time, which a busy machine does not change much; what TRL needs for a single row (it hashes the tokenizer) is
taken off its time. Ours starts each round with nothing remembered.
Exit 0: both give the same tokens and labels; 1: they do not.
"""

import argparse
import json
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import NamedTemporaryFile
from time import process_time
from typing import Any, NamedTuple

from datasets import Dataset, disable_progress_bars
from rich.console import Console
from rich.table import Table

from data.conversation import conversation
from data.reading import read_rows
from data.render import Renderer
from data.row import Row
from data.tokenizer_folder import TokenizerFolder, open_tokenizer_folder
from data.user_error import run_program
from data.whole_file import write_whole
from train.examples import write_examples
from train.trl_preparation import trl_dataset, trl_trainer


class Rates(NamedTuple):
    """Rows per second; medians over the rounds."""

    ours: float
    trl: float
    trl_template_alone: float
    """`apply_chat_template` with its mask, without the data set around it."""
    ratio: float
    """Median of the rounds' own ratios, ours to TRL's preparation."""


class Comparison(NamedTuple):
    same_tokens: int
    """Of the rows that TRL was given as they are."""
    same_labels: int
    """Of those without a turn of weight 0."""
    weighted: int
    """Rows with a turn of weight 0, which TRL has no key for and trains."""
    rounded: int
    """Other rows with a number that its data set gives back with fewer digits."""

    def is_same(self, num_rows: int) -> bool:
        return (self.same_tokens, self.same_labels) == (
            num_rows - self.rounded,
            num_rows - self.rounded - self.weighted,
        )


class Measured(NamedTuple):
    rows: int
    tokens: int
    compared: Comparison
    rates: Rates


def main() -> int:
    args = _arguments()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # one core for both
    disable_progress_bars()
    folder = open_tokenizer_folder(args.tokenizer, args.template)
    rows = [numbered.row for path in args.files for numbered in read_rows(path)]
    measured = measure(rows, folder, args.rounds)
    _print(measured)
    if args.json:
        figures = {"compared": measured.compared._asdict(), "rates": measured.rates._asdict(), "rounds": args.rounds}
        report = {"files": [str(path) for path in args.files], **measured._asdict(), **figures}
        write_whole(args.json, json.dumps(report, indent=2) + "\n")
    return 0 if measured.compared.is_same(measured.rows) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m train.benchmark_rows", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="rows: .jsonl or .jsonl.gz")
    parser.add_argument("--tokenizer", type=Path, required=True, metavar="FOLDER", help="any folder with a tokenizer")
    parser.add_argument("--template", metavar="NAME", help="llama3 or chatml (default: the folder's calltune.json)")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="measurements of each, in turn (default: 5)")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the figures here")
    return parser.parse_args()


def measure(rows: list[Row], folder: TokenizerFolder, rounds: int) -> Measured:
    """Ours and TRL's in turn, after a round that warms both up and whose outputs are compared."""
    tokenizer, template = folder.tokenizer, folder.template
    tokenizer.chat_template = template.source
    dataset, single = trl_rows(rows), trl_rows(rows[:1])
    # Without max_length: TRL would cut rows, in two more passes.
    trainer = trl_trainer(single, tokenizer, assistant_only_loss=True, max_length=None)

    def prepared(of: Dataset) -> Dataset:
        return trainer._prepare_dataset(of, tokenizer, trainer.args, False, None, "train")

    def masked_by_template() -> None:
        for row in dataset:
            tokenizer.apply_chat_template(
                row["messages"], tools=row["tools"], return_dict=True, return_assistant_tokens_mask=True
            )

    mine, its = render_all(rows, folder), prepared(dataset)
    masked_by_template()
    seconds = []
    for _ in range(rounds):
        ours_s = _seconds(lambda: render_all(rows, folder))
        trl_s = _seconds(lambda: prepared(dataset)) - _seconds(lambda: prepared(single))
        seconds.append((ours_s, trl_s, _seconds(masked_by_template)))
    ours, trl, alone = (median(len(rows) / spent for spent in column) for column in zip(*seconds, strict=True))
    rates = Rates(ours, trl, alone, median(trl_s / ours_s for ours_s, trl_s, _ in seconds))
    return Measured(len(rows), sum(map(len, mine["input_ids"])), compare(rows, dataset, mine, its), rates)


def trl_rows(rows: list[Row]) -> Dataset:
    """With arguments as objects: TRL leaves them as they are, and templates would write JSON text a second time."""
    talks = [conversation(row) for row in rows]
    return trl_dataset([{"messages": talk.messages, "tools": talk.tools} for talk in talks])


def render_all(rows: list[Row], folder: TokenizerFolder) -> Dataset:
    """The rows as `train.sft` gives them to TRL, by a renderer that remembers nothing yet."""
    renderer = Renderer(folder.tokenizer, folder.template)
    with NamedTemporaryFile() as file:
        write_examples((renderer.render(row) for row in rows), Path(file.name))
        return Dataset.from_file(file.name)


def compare(rows: list[Row], given: Dataset, ours: Dataset, trl: Dataset) -> Comparison:
    """`given` is what TRL read: its data set rounds numbers."""
    counts: Counter[str] = Counter()
    for row, read, mine, its in zip(rows, given, ours, trl, strict=True):
        talk = conversation(row)
        if repr((talk.messages, talk.tools)) != repr((read["messages"], read["tools"])):
            counts["rounded"] += 1
            continue
        is_weighted = any(message.weight == 0 for message in row.messages)
        counts["weighted"] += is_weighted
        counts["same_tokens"] += mine["input_ids"] == its["input_ids"]
        counts["same_labels"] += not is_weighted and mine["labels"] == its["labels"]
    return Comparison(*(counts[name] for name in Comparison._fields))


def _seconds(work: Callable[[], Any]) -> float:
    start = process_time()
    work()
    return process_time() - start


def _print(measured: Measured) -> None:
    rows, tokens, compared, rates = measured
    table = Table(title=f"{rows:,} rows, {tokens:,} tokens, one core")
    for column in ("rendered and masked by", "rows a second", "tokens a second"):
        table.add_column(column, justify="left" if column.startswith("rendered") else "right")
    for name, rate in (
        ("data.render, every proof included", rates.ours),
        ("TRL's preparation", rates.trl),
        ("apply_chat_template alone", rates.trl_template_alone),
    ):
        table.add_row(name, f"{rate:,.0f}", f"{rate * tokens / rows:,.0f}")
    console = Console()
    console.print(table)
    console.print(f"{rates.ratio:.1f} times TRL's preparation (median of the rounds)")
    num_given = rows - compared.rounded
    console.print(
        f"same tokens: {compared.same_tokens:,} of {num_given:,} rows; same labels: {compared.same_labels:,} of "
        f"{num_given - compared.weighted:,} rows\nleft out: {compared.rounded:,} rows whose numbers TRL's data set "
        f"rounds; of labels, {compared.weighted:,} rows with a turn of weight 0, which TRL trains"
    )


if __name__ == "__main__":
    run_program(main)
