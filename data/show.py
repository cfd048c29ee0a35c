"""Show one row as training sees it: what is trained, what is context, and why.

    python -m data.show FILE.jsonl --row N [--tokenizer FOLDER] [--template NAME]

N is the line number that data.check prints. Without a tokenizer only the turns are listed.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from data.conversation import calls_of, content_text
from data.reading import read_row_file
from data.row import Message, Row
from data.tokenizer_folder import TokenizerFolder, open_tokenizer_folder
from data.user_error import UserError, run_program

START_LENGTH = 60


def main() -> None:
    args = _arguments()
    folder = open_tokenizer_folder(args.tokenizer, args.template) if args.tokenizer else None
    row = _row_at(args.file, args.row)
    console = Console(highlight=False, soft_wrap=True)
    num_tokens = _print_coloured(console, row, folder, f"{args.file}:{args.row}") if folder else {}
    console.print(_turns(row, num_tokens))
    if not folder:
        console.print("add --tokenizer FOLDER to see the tokens", style="dim")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m data.show", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="rows: .jsonl or .jsonl.gz")
    parser.add_argument("--row", type=int, required=True, metavar="N", help="its line number, from 1")
    parser.add_argument("--tokenizer", type=Path, metavar="FOLDER", help="any folder with a tokenizer")
    parser.add_argument("--template", metavar="NAME", help="llama3 or chatml (default: the folder's calltune.json)")
    args = parser.parse_args()
    if args.template and not args.tokenizer:
        raise UserError("needs a tokenizer", where="--template", fix="add --tokenizer FOLDER")
    return args


def _row_at(path: Path, line: int) -> Row:
    """The row of a line. Raises UserError with its first fault, or when no row stands there."""
    file = read_row_file(path)
    for finding in file.findings:
        if finding.line == line and finding.is_error:
            raise UserError(finding.fault.reason, where=finding.where, fix=finding.fault.fix)
    for numbered in file.rows:
        if numbered.line == line:
            return numbered.row
    if any(numbered.line == line for numbered in file.preferences):
        raise UserError("a preference row, and only chat rows are shown", where=f"{path}:{line}")
    lines = [row.line for row in file.rows] + [finding.line for finding in file.findings]
    last = max(lines + [row.line for row in file.preferences])
    raise UserError(f"no row in line {line}", where=str(path), fix=f"give --row a number from 1 to {last}")


def _print_coloured(console: Console, row: Row, folder: TokenizerFolder, where: str) -> dict[int, int]:
    """Print the rendered row; returns the tokens of each assistant message by its index."""
    from data.colour import coloured, legend
    from data.render import render

    try:
        rendered = render(row, folder.tokenizer, folder.template)
    except UserError as error:
        raise UserError(error.what, where=where, fix=error.fix) from error
    console.print(coloured(rendered, folder.tokenizer))
    console.print()
    console.print(legend())
    share = rendered.num_trained / len(rendered.input_ids)
    console.print(f"{rendered.num_trained:,} of {len(rendered.input_ids):,} tokens trained ({share:.1%})")
    return {turn.message: turn.end - turn.start for turn in rendered.turns}


def _turns(row: Row, num_tokens: dict[int, int]) -> Table:
    table = Table("message", "role", "loss", "why", "tokens", "starts with")
    for index, message in enumerate(row.messages):
        tokens = f"{num_tokens[index]:,}" if index in num_tokens else ""
        loss = "[bold green]trained[/]" if message.is_trained else "context"
        table.add_row(str(index + 1), message.role, loss, _why(message), tokens, Text(_start(message)))
    return table


def _why(message: Message) -> str:
    if message.role != "assistant":
        return "a tool's result" if message.role == "tool" else f"written by the {message.role}"
    if message.weight == 0:
        return "weight is 0"
    return "the assistant's " + " and ".join(_kinds(message))


def _kinds(message: Message) -> Iterator[str]:
    if content_text(message.content) or message.refusal:
        yield "text"
    if message.tool_calls:
        yield "call" if len(message.tool_calls) == 1 else f"{len(message.tool_calls)} calls"


def _start(message: Message) -> str:
    calls = [f"{call.name}({call.arguments})" for call in calls_of(message)]
    text = " ".join(" ".join([content_text(message.content) or message.refusal or "", *calls]).split())
    return text if len(text) <= START_LENGTH else text[: START_LENGTH - 1] + "…"


if __name__ == "__main__":
    run_program(main)
