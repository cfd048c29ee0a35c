"""Merge adapters into their base: python -m train.merge runs/NAME/adapter [ADAPTER...] runs/NAME/merged

The base is the folder beside the first adapter. Held-out rows of the run are put through the adapter and through the
merged model; where logits or loss differ by more than the recipe's `merge` section allows, nothing is written (exit 2).
Several adapters of one base become one model: --method and --weights say how.
"""

import argparse
import hashlib
import shutil
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, get_args

from transformers import AutoTokenizer

from data.reading import read_rows
from data.render import Rendered, render
from data.row_store import RowStore
from data.settings import load_settings
from data.template import load_template
from data.user_error import UserError, run_program
from data.whole_file import put_folder
from train.adapter import Training, adapter_sha256, read_training
from train.base_model import installed_versions
from train.deltas import Combination, Method
from train.manifest import read_manifest
from train.merge_check import MergeCheck, adapted_model, compare, merged_model
from train.merging import merge_shards
from train.settings import MergeSection, QuantizationSection, Rounding, TrainRecipe


class Job(NamedTuple):
    base: Path
    adapters: list[Path]
    combination: Combination
    quantization: QuantizationSection | None
    """The 4-bit values to merge into; None: the base's own weights."""
    section: MergeSection
    rounding: Rounding


def main() -> None:
    args = _arguments()
    base = args.base or args.adapters[0].parent / "base"
    trainings, manifest = [read_training(adapter) for adapter in args.adapters], read_manifest(base)
    trained = TrainRecipe.model_validate(trainings[0].recipe)
    recipe = load_settings(args.recipe, [], TrainRecipe) if args.recipe else trained
    quantization = trained.quantization if recipe.merge.quantized_base else None
    rounding = recipe.merge.rounding or ("nearest" if trained.dpo is None else "stochastic")
    job = Job(base, args.adapters, _combination(args), quantization, recipe.merge, rounding)

    tokenizer, template = AutoTokenizer.from_pretrained(base), load_template(manifest.template)
    numbered = read_rows(args.rows or RowStore(args.adapters[0].parent / "rows").test)
    rows = [render(item.row, tokenizer, template) for item in islice(numbered, recipe.merge.check_rows)]
    partial = args.out.with_name(args.out.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        check = merge_and_compare(job, partial, rows)
        changes = {
            "kind": "merged",
            "name": recipe.name,
            "merge": _record(job, check),
            **_origin(args.adapters, trainings),
            "writes_nulls": manifest.writes_nulls or any(training.writes_nulls for training in trainings),
        }
        manifest.model_copy(update=changes).write(partial)
        put_folder(partial, args.out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    print(f"merged model: {args.out}")


def merge_and_compare(job: Job, out: Path, rows: list[Rendered]) -> MergeCheck:
    """Write the merged model to `out`. Raises UserError when it is not what the adapter was."""
    # First: it refuses in a word.
    merge_shards(job.base, job.adapters, out, job.combination, job.quantization, job.rounding)
    expected = adapted_model(job.base, job.adapters, job.combination, job.quantization).trained_logits(rows)
    check = compare(expected, merged_model(out).trained_logits(rows), len(rows), job.section)
    print(
        f"merged against adapter on {check.positions} trained positions of {check.rows} rows: largest logit difference "
        f"{check.max_logit_difference} (allowed {check.tolerance}), same first token {check.agreement:.2%}, "
        f"loss {check.merged_loss:.4f} against {check.adapter_loss:.4f}"
    )
    check.require()
    return check


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("adapters", type=Path, nargs="+", metavar="ADAPTER", help="adapter folders of train.sft")
    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument("--recipe", type=Path, help="recipe with the `merge` section (default: the one trained with)")
    parser.add_argument("--base", type=Path, help="base folder (default: `base` beside the first adapter)")
    parser.add_argument("--rows", type=Path, help="rows to compare on (default: the first run's held-out rows)")
    parser.add_argument(
        "--method", choices=get_args(Method), default="linear", help="how several adapters are combined (PEFT's words)"
    )
    parser.add_argument("--weights", type=float, nargs="+", help="one for each adapter (default: 1)")
    parser.add_argument("--density", type=float, default=0.5, help="share of each delta that ties and dare keep")
    return parser.parse_args()


def _combination(args: argparse.Namespace) -> Combination:
    weights = args.weights or [1.0] * len(args.adapters)
    if len(weights) != len(args.adapters):
        raise UserError(
            f"{len(weights)} weights for {len(args.adapters)} adapters", where="--weights", fix="give one for each"
        )
    if not 0 < args.density <= 1:
        raise UserError(f"{args.density:g} is no share", where="--density", fix="give a number over 0, up to 1")
    return Combination(args.method, weights, args.density)


def _record(job: Job, check: MergeCheck) -> dict[str, Any]:
    """What stands in the manifest: how it was merged and what the comparison gave."""
    combined = {"adapters": [str(adapter) for adapter in job.adapters], **job.combination._asdict()}
    return (
        check._asdict()
        | {"into": "4-bit values" if job.quantization else "base weights", "rounding": job.rounding}
        | (combined if len(job.adapters) > 1 else {})
    )


def _origin(adapters: list[Path], trainings: list[Training]) -> dict[str, Any]:
    """Hashes of what went in; of several adapters the hash of their hashes."""
    return {
        "adapter_sha256": _joined([adapter_sha256(adapter) for adapter in adapters]),
        "data_sha256": _joined([training.data_sha256 for training in trainings]),
        "tool_schemas": {name: schema for training in trainings for name, schema in training.tool_schemas.items()},
        "recipe": trainings[0].recipe,
        "versions": installed_versions(),
    }


def _joined(hashes: list[str]) -> str:
    return hashes[0] if len(hashes) == 1 else hashlib.sha256(" ".join(hashes).encode()).hexdigest()


if __name__ == "__main__":
    run_program(main)
