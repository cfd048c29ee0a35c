"""What a dpo job's recipe reads beside the pairs: the better answers as chat rows, which are counted and checked."""

from pathlib import Path

from data.reading import read_row_file
from data.rules.severities import FILE_NAME, RuleSeverities
from data.whole_file import whole_file, write_whole


def chosen_file(path: Path) -> Path:
    return path.with_name(f"{path.stem}-chosen.jsonl")


def write_chosen(path: Path, rules: RuleSeverities) -> None:
    """Beside a file of preference rows: its better answers, and the severities that train.dpo reads the pairs under."""
    write_whole(path.with_name(FILE_NAME), rules.model_dump_json(exclude_defaults=True) + "\n")
    line = 1
    with whole_file(chosen_file(path)) as out:
        for pair in read_row_file(path, rules).preferences:
            blank = "\n" * (pair.line - line)  # a fault that is found later names the line of the user's file
            out.write(blank + pair.row.chosen().model_dump_json(exclude_unset=True) + "\n")
            line = pair.line + 1
