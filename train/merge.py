"""Merge an adapter into its base: python -m train.merge runs/NAME/adapter runs/NAME/merged

The base is the folder beside the adapter. Held-out rows of the run are put through the adapter and through the merged
model; where their logits differ by more than the recipe's `merge` section allows, nothing is written (exit 2).
"""

import argparse
import shutil
from itertools import islice
from pathlib import Path

from transformers import AutoTokenizer

from data.reading import read_rows
from data.render import render
from data.row_store import RowStore
from data.settings import load_settings
from data.template import load_template
from data.user_error import run_program
from train.adapter import adapter_sha256, read_training
from train.base_model import installed_versions
from train.manifest import read_manifest
from train.merging import merge_adapter
from train.settings import TrainRecipe


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("adapter", type=Path, help="adapter folder of train.sft")
    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument("--recipe", type=Path, help="recipe with the `merge` section (default: the one trained with)")
    parser.add_argument("--base", type=Path, help="base folder (default: `base` beside the adapter)")
    parser.add_argument("--rows", type=Path, help="rows to compare on (default: the run's held-out rows)")
    args = parser.parse_args()
    run = args.adapter.parent
    base = args.base or run / "base"
    training, manifest = read_training(args.adapter), read_manifest(base)
    trained = TrainRecipe.model_validate(training.recipe)
    recipe = load_settings(args.recipe, [], TrainRecipe) if args.recipe else trained

    tokenizer, template = AutoTokenizer.from_pretrained(base), load_template(manifest.template)
    numbered = read_rows(args.rows or RowStore(run / "rows").test)
    rows = [render(item.row, tokenizer, template) for item in islice(numbered, recipe.merge.check_rows)]
    partial = args.out.with_name(args.out.name + ".partial")
    check = merge_adapter(base, args.adapter, partial, rows, recipe.merge)
    print(
        f"merged against adapter on {check.positions} trained positions of {check.rows} rows: largest logit difference "
        f"{check.max_logit_difference} (allowed {check.tolerance}), same first token {check.agreement:.2%}"
    )
    check.require()
    changes = {
        "kind": "merged",
        "name": recipe.name,
        "adapter_sha256": adapter_sha256(args.adapter),
        "data_sha256": training.data_sha256,
        "tool_schemas": training.tool_schemas,
        "merge": check._asdict(),
        "recipe": training.recipe,
        "versions": installed_versions(),
    }
    manifest.model_copy(update=changes).write(partial)
    shutil.rmtree(args.out, ignore_errors=True)
    partial.rename(args.out)
    print(f"merged model: {args.out}")


if __name__ == "__main__":
    run_program(main)
