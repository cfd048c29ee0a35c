"""Preference rows from a model's mistakes: python -m data.pairs EVAL.json... --held-out TEST.jsonl --out PAIRS.jsonl

EVAL.json is what eval.run wrote of the model on TRAINING rows. Each wrong answer becomes the worse output of a
preference row whose better output is the row's own. Exit status 2 where nothing was wrong: there is nothing to prefer.
"""

import argparse
from collections import Counter
from pathlib import Path

from data.pairing import pairs_of_mistakes
from data.reading import read_rows
from data.user_error import UserError, run_program
from data.whole_file import refuse_overwriting, write_whole


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("evaluations", type=Path, nargs="+", metavar="EVAL.json", help="of training rows, by eval.run")
    parser.add_argument("--held-out", type=Path, required=True, metavar="FILE", help="rows that must not be learned")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="preference rows to write")
    args = parser.parse_args()
    refuse_overwriting([*args.evaluations, args.held_out], [args.out])
    pairing = pairs_of_mistakes(args.evaluations, read_rows(args.held_out))
    if not pairing.num_items:
        raise UserError("no item was answered", where=str(args.evaluations[0]), fix="run eval.run again")
    if not pairing.pairs:
        what = f"{pairing.num_items} answers gave no pair (dropped: {_counts(pairing.dropped)})"
        raise UserError(what, where=str(args.evaluations[0]), fix="a model without mistakes needs no preference stage")
    write_whole(args.out, "".join(pair.model_dump_json(exclude_unset=True) + "\n" for pair in pairing.pairs))
    print(
        f"{len(pairing.pairs)} pairs of {pairing.num_items} answers: {_counts(pairing.mistakes)}; "
        f"dropped: {_counts(pairing.dropped)}"
    )
    print(f"preference rows: {args.out}")


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{number} {name}" for name, number in counter.most_common()) or "none"


if __name__ == "__main__":
    run_program(main)
