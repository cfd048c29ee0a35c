"""Which model of which endpoint a program asks, as its options, and the command to run again without the key."""

import argparse
import os
import shlex
from itertools import pairwise


def add_endpoint_options(parser: argparse.ArgumentParser, model: str, *, required: bool = True) -> None:
    """`model`: whose served name `--model` is."""
    parser.add_argument("--base-url", required=required, metavar="URL", help="of the endpoint, usually ending in /v1")
    parser.add_argument("--model", required=required, metavar="NAME", help=f"{model}'s served name")
    key = os.environ.get("OPENAI_API_KEY") or "none"
    parser.add_argument("--api-key", default=key, help="default: $OPENAI_API_KEY, or `none`")


def command_without_key(program: str, argv: list[str]) -> str:
    """For files that are passed on.

    >>> command_without_key("eval.run", ["run.py", "a.jsonl", "--api-key", "secret"])
    "python -m eval.run a.jsonl --api-key '***'"
    """
    words = ["***" if before == "--api-key" else word for before, word in pairwise(argv)]
    words = ["--api-key=***" if word.startswith("--api-key=") else word for word in words]
    return shlex.join(["python", "-m", program, *words])
