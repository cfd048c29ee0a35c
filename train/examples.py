"""The run's rows as TRL takes them: token ids and labels, nothing else."""

from typing import NamedTuple

from datasets import Dataset

from data.reading import read_rows
from data.render import Rendered, Tokenizer, render
from data.row_store import RowStore
from data.template import Template


class Examples(NamedTuple):
    dataset: Dataset
    first: Rendered
    """The first row, to be shown before the first step."""
    num_tokens: int
    num_trained: int
    tools: list[dict[str, object]]
    """Every distinct tool of the rows, for the manifest."""


def load_examples(store: RowStore, tokenizer: Tokenizer, template: Template) -> Examples:
    numbered = read_rows(store.train)
    rendered = [render(item.row, tokenizer, template) for item in numbered]
    # TRL takes `labels` as they are; a text or messages column would be rendered again by its own template.
    dataset = Dataset.from_dict(
        {"input_ids": [row.input_ids for row in rendered], "labels": [row.labels for row in rendered]}
    )
    tools = {tool.model_dump_json(): tool for item in numbered for tool in item.row.tools or []}
    return Examples(
        dataset,
        rendered[0],
        sum(len(row.input_ids) for row in rendered),
        sum(row.num_trained for row in rendered),
        [tool.model_dump() for tool in tools.values()],
    )
