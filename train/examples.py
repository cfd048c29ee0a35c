"""The run's rows as TRL takes them: token ids and labels, nothing else, in a file that is mapped and not held."""

import shutil
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pyarrow
from accelerate import PartialState
from datasets import Dataset
from pyarrow import compute

from data.parallel_render import render_many
from data.reading import read_rows
from data.render import IGNORE, Rendered, Tokenizer, render
from data.row import Tool
from data.row_store import RowStore
from data.template import Template

TOKENS = pyarrow.list_(pyarrow.int32())
# TRL takes `labels` as they are; a text or messages column would be rendered again by its own template.
COLUMNS = pyarrow.schema({"input_ids": TOKENS, "labels": TOKENS})
BATCH = 1000  # rows in memory
FILE_NAME = "rows.arrow"
VALIDATION_NAME = "validation.arrow"


class Examples(NamedTuple):
    dataset: Dataset
    validation: Dataset | None
    """Held-out rows for the loss while training, where the recipe asks for some."""
    first: Rendered
    """The first row, to be shown before the first step."""
    num_tokens: int
    num_trained: int
    tools: list[dict[str, object]]
    """Every distinct tool of the rows, for the manifest."""


def load_examples(store: RowStore, tokenizer: Tokenizer, template: Template) -> Examples:
    """The training rows, rendered anew into runs/NAME/examples by the first process of each machine, for all of them.

    What TRL then makes of them lies there, too, and all of it is made anew by the next run.
    """
    folder = store.folder.parent / "examples"
    rows = read_rows(store.train)
    has_validation = store.validation.is_file()
    if PartialState().is_local_main_process:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        write_examples(render_many(rows, tokenizer, template), folder / FILE_NAME)
        if has_validation:
            write_examples(render_many(read_rows(store.validation), tokenizer, template), folder / VALIDATION_NAME)
    PartialState().wait_for_everyone()
    dataset = Dataset.from_file(str(folder / FILE_NAME))
    labels = [chunk.flatten() for chunk in dataset.data.column("labels").chunks]
    tools: dict[str, Tool] = {tool.model_dump_json(): tool for item in rows for tool in item.row.tools or []}
    return Examples(
        dataset,
        Dataset.from_file(str(folder / VALIDATION_NAME)) if has_validation else None,
        render(rows[0].row, tokenizer, template),
        sum(map(len, labels)),
        sum(compute.sum(compute.not_equal(chunk, IGNORE)).as_py() for chunk in labels),
        [tool.model_dump() for tool in tools.values()],
    )


def write_examples(rendered: Iterable[Rendered], path: Path) -> None:
    """Ids and labels of rows, as `datasets` keeps them: an Arrow stream."""
    rest = iter(rendered)
    with pyarrow.OSFile(str(path), "wb") as file, pyarrow.ipc.new_stream(file, COLUMNS) as writer:
        while batch := list(islice(rest, BATCH)):
            columns = [[row.input_ids for row in batch], [row.labels for row in batch]]
            arrays = [pyarrow.array(column, TOKENS) for column in columns]
            writer.write_batch(pyarrow.record_batch(arrays, schema=COLUMNS))
