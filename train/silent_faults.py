"""What plain TRL trains where it is wrong without a word, and what is trained here, both computed now:

    python -m train.silent_faults [--llama3 FOLDER] [--chatml FOLDER] [--markdown OUT]

FOLDER holds a tokenizer of that family, for example runs/NAME/base. Faults of other trainers, which are not installed
here, are left out, and so are those of a family whose folder is not given. Exit 0: ours is right in every line; 1: not.
"""

import argparse
from importlib.metadata import version
from pathlib import Path

from datasets import disable_progress_bars
from rich.console import Console
from rich.table import Table
from rich.text import Text
from transformers.utils import logging

from data.tokenizer_folder import open_tokenizer_folder
from data.user_error import UserError, run_program
from data.whole_file import write_whole
from train import preparation_faults, template_faults
from train.fault_line import Line

LLAMA3 = (
    template_faults.tools_dropped,
    template_faults.end_token_alone,
    template_faults.arguments_encoded_twice,
    template_faults.text_dropped,
    template_faults.live_date,
    preparation_faults.bos_doubled,
    preparation_faults.end_token_never_trained,
)
CHATML = (
    template_faults.end_token_untrained,
    template_faults.header_trained,
    template_faults.tools_as_they_come,
    preparation_faults.everything_trained,
    preparation_faults.every_label_masked,
    preparation_faults.rows_lost,
    preparation_faults.arguments_filled,
    preparation_faults.numbers_rounded,
)
HEADINGS = ("fault", f"TRL {version('trl')} trains", "calltune trains, or refuses", "right")
LEFT_OUT = (
    "Left out: faults of trainers that are not installed here (axolotl, LLaMA-Factory, ms-swift, torchtune, unsloth)."
)


def main() -> int:
    args = _arguments()
    disable_progress_bars()
    logging.set_verbosity_error()
    lines: list[Line] = []
    for folder, template, cases in ((args.llama3, "llama3", LLAMA3), (args.chatml, "chatml", CHATML)):
        if folder:
            opened = open_tokenizer_folder(folder, template)
            lines += [case(opened) for case in cases]
    _print(lines)
    if args.markdown:
        write_whole(args.markdown, markdown(lines))
    return 0 if all(line.is_right for line in lines) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m train.silent_faults", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--llama3", type=Path, metavar="FOLDER", help="a Llama 3 tokenizer")
    parser.add_argument("--chatml", type=Path, metavar="FOLDER", help="a tokenizer with ChatML's tokens")
    parser.add_argument("--markdown", type=Path, metavar="OUT", help="write the table here")
    args = parser.parse_args()
    if not (args.llama3 or args.chatml):
        raise UserError("no tokenizer", where="command line", fix="give --llama3 FOLDER, --chatml FOLDER or both")
    return args


def _print(lines: list[Line]) -> None:
    table = Table(*HEADINGS, show_lines=True)
    for line in lines:
        table.add_row(*map(Text, _cells(line)))
    console = Console()
    console.print(table)
    console.print(LEFT_OUT, highlight=False)


def markdown(lines: list[Line]) -> str:
    """The table as it stands in a README."""
    rows = [HEADINGS, ("---",) * len(HEADINGS), *map(_cells, lines)]
    written = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(written) + f"\n\n{LEFT_OUT}\n"


def _cells(line: Line) -> tuple[str, ...]:
    return line.fault, line.trl + ("" if line.is_seen else " (no fault)"), line.ours, "yes" if line.is_right else "NO"


if __name__ == "__main__":
    run_program(main)
