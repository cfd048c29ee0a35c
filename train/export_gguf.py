"""A merged model as a GGUF file, for llama.cpp: python -m train.export_gguf runs/NAME/merged OUT.gguf --converter FILE

FILE is convert_hf_to_gguf.py of a llama.cpp checkout, or a command of that use. What it writes is read back by
transformers and put through held-out rows of the run: where logits or loss differ from the merged model's by more than
the recipe's `merge` section allows, nothing is written (exit 2). The comparison holds the whole model in fp32.
"""

import argparse
import subprocess
import sys
from itertools import islice
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from data.reading import read_rows
from data.render import IGNORE, Rendered, render
from data.row_store import RowStore
from data.template import load_template
from data.user_error import UserError, run_program
from train.layered_model import TrainedLogits
from train.manifest import read_manifest
from train.merge_check import compare, merged_model
from train.settings import MergeSection, TrainRecipe


def main() -> None:
    args = _arguments()
    manifest = read_manifest(args.merged)
    section = TrainRecipe.model_validate(manifest.recipe).merge if manifest.recipe else MergeSection()
    tokenizer, template = AutoTokenizer.from_pretrained(args.merged), load_template(manifest.template)
    numbered = read_rows(args.rows or RowStore(args.merged.parent / "rows").test)
    rows = [render(item.row, tokenizer, template) for item in islice(numbered, section.check_rows)]
    partial = args.out.with_name(f"partial.{args.out.name}")
    try:
        convert(args.converter, args.merged, partial, args.outtype)
        check = compare(merged_model(args.merged).trained_logits(rows), gguf_logits(partial, rows), len(rows), section)
        print(
            f"GGUF against merged model on {check.positions} trained positions of {check.rows} rows: largest logit "
            f"difference {check.max_logit_difference} (allowed {check.tolerance}), same first token "
            f"{check.agreement:.2%}, loss {check.merged_loss:.4f} against {check.adapter_loss:.4f}"
        )
        check.require("the GGUF file differs from the merged model", "take an --outtype with more bits")
        partial.replace(args.out)
    finally:
        partial.unlink(missing_ok=True)
    print(f"GGUF: {args.out}, {args.out.stat().st_size / 1e9:.2f} GB")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("merged", type=Path, help="folder that train.merge wrote, or a base")
    parser.add_argument("out", type=Path, metavar="OUT.gguf")
    parser.add_argument("--converter", required=True, metavar="FILE", help="convert_hf_to_gguf.py, or a command")
    parser.add_argument(
        "--outtype", default="bf16", help="the converter's word: bf16, f16, q8_0 (default: %(default)s)"
    )
    parser.add_argument("--rows", type=Path, help="rows to compare on (default: the run's held-out rows)")
    return parser.parse_args()


def convert(converter: str, merged: Path, out: Path, outtype: str) -> None:
    """Raises UserError for a converter that is not there or fails."""
    command = [sys.executable, converter] if converter.endswith(".py") else [converter]
    try:
        done = subprocess.run(
            [*command, str(merged), "--outfile", str(out), "--outtype", outtype],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    except OSError as error:
        fix = "give the path of convert_hf_to_gguf.py in a checkout of llama.cpp"
        raise UserError(f"cannot be run: {error.strerror}", where=converter, fix=fix) from error
    if done.returncode or not out.is_file():
        last = (done.stderr.strip() or done.stdout.strip() or "it wrote no file").splitlines()[-1]
        raise UserError(f"the converter failed: {last}", where=converter)


@torch.no_grad()
def gguf_logits(file: Path, rows: list[Rendered]) -> TrainedLogits:
    """As `LayeredModel.trained_logits`, of a GGUF file."""
    model = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32).eval()
    parts, labels = [], []
    for row in rows:
        positions = [place for place, label in enumerate(row.labels) if label != IGNORE]
        logits = model(torch.tensor([row.input_ids]), use_cache=False).logits[0]
        parts.append(logits[[place - 1 for place in positions]])
        labels += [row.labels[place] for place in positions]
    return TrainedLogits(torch.cat(parts), torch.tensor(labels))


if __name__ == "__main__":
    run_program(main)
