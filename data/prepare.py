"""Write the checked rows of a recipe: python -m data.prepare RECIPE --tokenizer FOLDER

Reads or makes the rows of the recipe's `data` section, checks and renders every one, and takes them through the stages
that the section asks for (`data.preparation.stages`). Writes runs/NAME/rows: train.jsonl, test.jsonl, validation.jsonl
(where asked for), dropped.jsonl (each row left out, with its cause), summary.json and data_card.md.

Files larger than memory will do. A killed run of such files goes on with the same command: what its stages had found
stands in runs/NAME/rows.unfinished until all is written.
"""

import argparse
from pathlib import Path

from transformers import AutoTokenizer

from data.row import JsonObject
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
    for report in summary.pop("stages", []):
        notes = ", ".join(f"{key} {value}" for key, value in report["notes"].items())
        print(f"  {report['stage']}: {report['rows_in']} -> {report['rows_out']}{'; ' if notes else ''}{notes}")
    for name, counts in summary.items():
        print(_split_line(name, counts))
    print(f"rows: {store.folder}")


def _split_line(name: str, counts: JsonObject) -> str:
    dropped = ", ".join(f"{number} {cause}" for cause, number in counts["dropped"].items()) or "none"
    return (
        f"{name}: {counts['rows']} rows, {counts['tokens']:,} tokens ({counts['trained_tokens']:,} trained), "
        f"longest {counts['longest_tokens']}; dropped: {dropped}"
    )


if __name__ == "__main__":
    run_program(main)
