"""Ways of training measured beside each other: their rows, runs in processes of their own in turn, and medians."""

import json
import subprocess
import sys
from pathlib import Path
from random import Random
from statistics import median

from rich.console import Console
from rich.table import Table

from data.exercises.calling import single
from data.exercises.rows import as_row
from data.exercises.scene import PERSONAS, new_stage
from data.reading import read_rows
from data.render import render
from data.row import JsonObject, Row
from data.tokenizer_folder import TokenizerFolder
from data.user_error import UserError
from data.whole_file import write_whole
from train.bench_job import Job, Result, Way

console = Console()
Line = dict[str, list[int]]
"""A row as a job reads it: `input_ids` and `labels`."""
Figures = dict[str, object]


def lines_of(rows: list[Row], folder: TokenizerFolder) -> list[Line]:
    rendered = [render(row, folder.tokenizer, folder.template) for row in rows]
    return [{"input_ids": row.input_ids, "labels": row.labels} for row in rendered]


def long_lines(lines: list[Line], length: int, number: int) -> list[Line]:
    """`number` rows of `length` tokens each, cut from the given ones laid end to end, again and again; every token is
    trained, as in a benchmark of plain text."""
    tokens = [token for line in lines for token in line["input_ids"]]
    tokens *= -(-length * number // len(tokens))
    cut = [tokens[start : start + length] for start in range(0, length * number, length)]
    return [{"input_ids": row, "labels": row} for row in cut]


def narrow_rows(path: Path, num_rows: int) -> list[Row]:
    """Rows of one call each, all with the first twelve tools that `path` has."""
    tools: dict[str, JsonObject] = {}
    for item in read_rows(path):
        for tool in item.row.tools or []:
            if len(tools) < 12:
                tools.setdefault(tool.function.name, tool.model_dump(exclude_none=True))
    if len(tools) < 12:
        raise UserError(f"has {len(tools)} tools", where=str(path), fix="give rows with twelve tools or more")
    stage = new_stage(list(tools.values()), PERSONAS)
    made = [as_row(single(stage, Random(f"bench/{number}")), stage.tools) for number in range(num_rows)]
    return [Row.model_validate(row) for row in made]


def measure(lines: list[Line], job: Job, ways: list[Way], rounds: int, scratch: Path) -> dict[Way, list[Result]]:
    """The runs of each way, in turn; `job` is given their rows here."""
    file = scratch / "rows.jsonl"
    write_whole(file, "".join(json.dumps(line) + "\n" for line in lines))
    results: dict[Way, list[Result]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, found in results.items():
            found.append(result := run(job._replace(way=way, rows=str(file)), scratch))
            each = ", ".join(f"{spent:.1f}" for spent in result.seconds)
            console.print(f"{way}: steps of {each} s, at most {result.peak_bytes / 2**30:.2f} GiB")
    return results


def run(job: Job, scratch: Path) -> Result:
    given, got = scratch / "job.json", scratch / "result.json"
    given.write_text(json.dumps(job._asdict()))
    done = subprocess.run(
        [sys.executable, "-m", "train.bench_run", str(given), str(got)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise UserError(f"{job.way} failed: {done.stderr.strip()[-2000:]}", where="train.bench_run")
    return Result(**json.loads(got.read_text()))


def summary(results: list[Result]) -> Figures:
    """Medians over the steps after the first of each run; the losses of the first run."""

    def rate(counts: str) -> float:
        of_steps = [(getattr(r, counts)[1:], r.seconds[1:]) for r in results]
        middle: float = median(
            count / s for counted, spent in of_steps for count, s in zip(counted, spent, strict=True)
        )
        return round(middle, 3)

    rates = {f"{what}_per_s": rate(what) for what in ("rows", "row_tokens", "computed_tokens", "trained_tokens")}
    return {
        **rates,
        "seconds_per_step": round(median(s for result in results for s in result.seconds[1:]), 2),
        "steps_measured": sum(len(result.seconds) - 1 for result in results),
        "peak_gib": round(max(result.peak_bytes for result in results) / 2**30, 2),
        "losses": [round(loss, 4) for loss in results[0].losses],
    }


def print_figures(name: str, by_way: dict[Way, Figures]) -> None:
    table = Table(title=name)
    columns = ("rows_per_s", "row_tokens_per_s", "computed_tokens_per_s", "trained_tokens_per_s", "peak_gib", "losses")
    for column in ("", *columns):
        table.add_column(column.replace("_", " "))
    for way, figures in by_way.items():
        table.add_row(way, *(str(figures[column]) for column in columns))
    console.print(table)
