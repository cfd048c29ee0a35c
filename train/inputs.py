"""What a training starts from: the run's base folder and its rows."""

from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from data.row_store import RowStore, fill_row_store, rows_key
from data.template import load_template
from train.base_model import build_base, require_base_of
from train.settings import TrainRecipe


def make_inputs(recipe: TrainRecipe, base: Path, store: RowStore) -> Any:
    """The base model's folder and the rows, made where missing, refused where made from something else.

    Returns the tokenizer.
    """
    template = load_template(recipe.template)
    if not base.is_dir():
        build_base(recipe, base)
    require_base_of(recipe, base)
    tokenizer = AutoTokenizer.from_pretrained(base)
    if not store.train.is_file():
        fill_row_store(store, recipe.data, tokenizer, template, recipe.max_length)
    store.require_made_with(rows_key(recipe.data, template, recipe.max_length))
    return tokenizer
