"""What TRL is given: every row's ids and labels, mapped from the run folder."""

from pathlib import Path

import pytest
from transformers import AutoTokenizer

from data.reading import read_rows
from data.render import render
from data.row_store import RowStore
from data.task_api.scenarios import synthesize
from data.template import load_template
from tests.models import write_rows
from train.examples import load_examples


@pytest.mark.parametrize("many", [10, 1000])
def test_examples_are_the_rows_rendered_in_order(
    many: int, tmp_path: Path, smollm2: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("data.parallel_render.MANY", many)
    monkeypatch.setattr("train.examples.BATCH", 7)
    tokenizer = AutoTokenizer.from_pretrained(smollm2)
    store, template = RowStore(tmp_path / "run/rows"), load_template("chatml")
    store.folder.mkdir(parents=True)
    for count in (40, 30):  # a second run takes the place of the first
        write_rows(store.train, synthesize(count, 1, seed=2).train)
        rendered = [render(item.row, tokenizer, template) for item in read_rows(store.train)]
        examples = load_examples(store, tokenizer, template)
        assert list(examples.dataset["input_ids"]) == [row.input_ids for row in rendered]
        assert list(examples.dataset["labels"]) == [row.labels for row in rendered]
        assert examples.first == rendered[0]
        assert examples.num_tokens == sum(len(row.input_ids) for row in rendered)
        assert examples.num_trained == sum(row.num_trained for row in rendered)
        tools = {tool.model_dump_json() for item in read_rows(store.train) for tool in item.row.tools or []}
        assert len(examples.tools) == len(tools)
        (file,) = examples.dataset.cache_files
        assert Path(file["filename"]) == tmp_path / "run/examples/rows.arrow"
