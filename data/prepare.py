"""Write the checked rows of a recipe: python -m data.prepare RECIPE --tokenizer FOLDER

Reads or makes the rows of the recipe's `data` section, checks and renders every one, and writes runs/NAME/rows:
train.jsonl, test.jsonl, dropped.jsonl (each row left out, with its cause) and summary.json.
"""

import argparse
from pathlib import Path

from transformers import AutoTokenizer

from data.row_store import RowStore, fill_row_store
from data.settings import DataRecipe, load_settings, row_length_limit
from data.template import load_template
from data.user_error import UserError, run_program


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path, help="recipe YAML")
    parser.add_argument("overrides", nargs="*", help="section.key=value")
    parser.add_argument("--tokenizer", type=Path, help="folder with the tokenizer (default: runs/NAME/base)")
    args = parser.parse_args()
    recipe = load_settings(args.recipe, args.overrides, DataRecipe)
    folder = args.tokenizer or recipe.runs / recipe.name / "base"
    if not (folder / "tokenizer.json").is_file():
        raise UserError("no tokenizer here", where=str(folder), fix="run train.base first, or give --tokenizer")
    store = RowStore(recipe.runs / recipe.name / "rows")
    summary = fill_row_store(
        store,
        recipe.data,
        AutoTokenizer.from_pretrained(folder),
        load_template(recipe.template),
        row_length_limit(recipe.sft),
    )
    for name, counts in summary.items():
        dropped = ", ".join(f"{number} {cause}" for cause, number in counts["dropped"].items()) or "none"
        print(
            f"{name}: {counts['rows']} rows, {counts['tokens']:,} tokens ({counts['trained_tokens']:,} trained), "
            f"longest {counts['longest_tokens']}; dropped: {dropped}"
        )
    print(f"rows: {store.folder}")


if __name__ == "__main__":
    run_program(main)
