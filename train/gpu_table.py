"""Every figure of training on this GPU, as lines for recipes/RESULTS.md, by one command and without a network:

    python -m train.gpu_table FILE.jsonl... --narrow FILE.jsonl --tokenizer BASE --out FOLDER

Llama-3-8B's architecture with random weights, LoRA r=16 on all linear layers: rows of 4,096 tokens with and without
checkpointing and their share of what the matrix units reach here; the twelve-tool set and each FILE beside TRL padded
and packed; QLoRA on rows of 4,096 tokens and on the first FILE. Each run is a process of its own. FOLDER then holds
`figures.json`, and `RESULTS.md` with the lines. What failed is a line too (exit 1); a command that is given again goes
on after what is measured. Where there is no GPU it runs on the CPU, for tests: give --config.
BASE is a folder with a tokenizer and a `calltune.json`; about 17 GB of FOLDER's disk hold the weights for QLoRA.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console

from data.reading import read_rows
from data.tokenizer_folder import open_tokenizer_folder
from data.user_error import UserError, run_program
from data.whole_file import write_whole
from train.bench_job import Job
from train.bench_measure import measure, print_figures, summary
from train.gpu_cases import Case, device_name, make_cases, product_tflops, result_lines
from train.random_base import LLAMA3_8B, write_config, write_random_weights

console = Console()


def main() -> None:
    args = _arguments()
    config = json.loads(args.config.read_text()) if args.config else LLAMA3_8B
    model, weights = args.out / "config", args.out / "weights"
    for folder in (model, weights):
        write_config(config, args.tokenizer, folder)
    folder = open_tokenizer_folder(args.tokenizer, args.template)
    sets = {path.parent.name or path.stem: [item.row for item in read_rows(path)] for path in args.files}
    job = Job(str(model), args.rows_per_step, args.trl_batch, False, args.steps, args.pack_tokens)
    cases = make_cases(job, sets, folder, args.narrow, args.length, str(weights))
    done = _read(args.out / "figures.json", [device_name(), config, list(job), args.length])
    done.setdefault("product_tflops", product_tflops())
    for case in cases:
        if "error" in done["cases"].get(case.name, {"error": ""}):
            done["cases"][case.name] = measured(case, weights)
        write_whole(args.out / "figures.json", json.dumps(done, indent=2) + "\n")
        write_whole(args.out / "RESULTS.md", "\n".join(result_lines(done, cases, model)) + "\n")
    console.print((args.out / "RESULTS.md").read_text(), highlight=False, markup=False, soft_wrap=True)
    if failed := [name for name, found in done["cases"].items() if "error" in found]:
        raise SystemExit(f"not measured: {', '.join(failed)}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE.jsonl", help="rows, each file a set of its own")
    parser.add_argument("--narrow", type=Path, required=True, metavar="FILE.jsonl", help="rows with twelve tools")
    parser.add_argument("--tokenizer", type=Path, required=True, metavar="BASE", help="its tokenizer and template")
    parser.add_argument("--template", metavar="NAME", help="llama3 or chatml (default: that of BASE)")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--config", type=Path, metavar="FILE", help="another model's config.json (default: Llama-3-8B)")
    parser.add_argument("--length", type=int, default=4096, metavar="N", help="of long rows (default: %(default)s)")
    parser.add_argument("--rows-per-step", type=int, default=32, metavar="N", help="of the sets (default: %(default)s)")
    parser.add_argument("--trl-batch", type=int, default=4, metavar="N", help="padded together (default: %(default)s)")
    parser.add_argument("--pack-tokens", type=int, default=8192, metavar="N", help="ours (default: %(default)s)")
    parser.add_argument(
        "--steps", type=int, default=6, metavar="N", help="of a run, the first apart (default: %(default)s)"
    )
    return parser.parse_args()


def _read(path: Path, settings: Any) -> dict[str, Any]:
    """What is measured already with these settings on this device."""
    fresh = {"settings": settings, "cases": {}}
    done: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else fresh
    return done if done["settings"] == settings else fresh


def measured(case: Case, weights: Path) -> dict[str, Any]:
    """Figures of each way, or the `error` that there was instead."""
    console.print(f"[bold]{case.name}[/bold]")
    if case.job.is_4bit and not (weights / "model.safetensors.index.json").is_file():
        write_random_weights(weights)
    try:
        with tempfile.TemporaryDirectory() as scratch:
            results = measure(case.lines, case.job, case.ways, 1, Path(scratch))
    except UserError as error:
        console.print(str(error), style="red", markup=False)
        return {"error": str(error).strip().splitlines()[-1]}
    figures = {way: summary(of_way) for way, of_way in results.items()}
    print_figures(case.name, figures)
    return {str(way): of_way for way, of_way in figures.items()}


if __name__ == "__main__":
    run_program(main)
