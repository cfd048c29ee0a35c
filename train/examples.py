"""The run's rows as TRL takes them: token ids and labels, nothing else, in a file that is mapped and not held."""

import shutil
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pyarrow
from accelerate import PartialState
from datasets import Dataset

from data.parallel_render import render_many
from data.reading import read_rows
from data.render import Rendered, Tokenizer, render
from data.row import Tool
from data.row_store import RowStore
from data.template import Template

TOKENS = pyarrow.list_(pyarrow.int32())
# TRL takes `labels` as they are; a text or messages column would be rendered again by its own template.
COLUMNS = pyarrow.schema({"input_ids": TOKENS, "labels": TOKENS})
BATCH = 1000  # rows in memory


class Examples(NamedTuple):
    dataset: Dataset
    first: Rendered
    """The first row, to be shown before the first step."""
    num_tokens: int
    num_trained: int
    tools: list[dict[str, object]]
    """Every distinct tool of the rows, for the manifest."""


def load_examples(store: RowStore, tokenizer: Tokenizer, template: Template) -> Examples:
    """The training rows, rendered anew into runs/NAME/examples, each process of a run its own copy.

    What TRL then makes of them lies there, too, and all of it is made anew by the next run.
    """
    folder = store.folder.parent / "examples" / f"process-{PartialState().process_index}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    rows = read_rows(store.train)
    counts = _Counts()
    dataset = examples_file(counts.of(render_many(rows, tokenizer, template)), folder / "rows.arrow")
    tools: dict[str, Tool] = {tool.model_dump_json(): tool for item in rows for tool in item.row.tools or []}
    first = render(rows[0].row, tokenizer, template)
    return Examples(
        dataset, first, counts.num_tokens, counts.num_trained, [tool.model_dump() for tool in tools.values()]
    )


def examples_file(rendered: Iterable[Rendered], path: Path) -> Dataset:
    """Ids and labels of rows as a data set on disk."""
    rest = iter(rendered)
    with pyarrow.OSFile(str(path), "wb") as file, pyarrow.ipc.new_stream(file, COLUMNS) as writer:
        while batch := list(islice(rest, BATCH)):
            columns = [[row.input_ids for row in batch], [row.labels for row in batch]]
            arrays = [pyarrow.array(column, TOKENS) for column in columns]
            writer.write_batch(pyarrow.record_batch(arrays, schema=COLUMNS))
    return Dataset.from_file(str(path))


class _Counts:
    """What passes by, counted."""

    def __init__(self) -> None:
        self.num_tokens = self.num_trained = 0

    def of(self, rendered: Iterable[Rendered]) -> Iterator[Rendered]:
        for row in rendered:
            self.num_tokens += len(row.input_ids)
            self.num_trained += row.num_trained
            yield row
