"""Which client libraries pass against an endpoint: each script run by the clients' Python, a JSON file and a table.

    python -m tests.clients.matrix --base-url http://127.0.0.1:8000/v1 --model quickstart \
        --rows runs/quickstart/rows/test.jsonl [--python .venv-clients/bin/python] [--markdown docs/clients.md]
"""

import argparse
import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from data.row import JsonObject

SCRIPTS = ("openai_sdk", "agents_sdk", "litellm_client", "langchain_client", "pydantic_ai_client")
OF_VLLM = ("agents_sdk responses",)
"""What the scripted endpoint of the tests does not speak."""
ROOT = Path(__file__).parents[2]


class Client(NamedTuple):
    library: str
    version: str
    ways: list[JsonObject]
    features: list[JsonObject]
    fault: str
    """Why the script ended before its end; "" if it did not."""


def main() -> None:
    args = _parser().parse_args()
    job = [args.base_url, args.model, str(args.rows.absolute()), str(args.limit)]
    with ThreadPoolExecutor(args.at_once) as pool:
        clients = list(pool.map(lambda script: run_client(args.python, script, job, args.timeout_s), args.scripts))
    args.json.write_text(json.dumps([client._asdict() for client in clients], indent=1) + "\n")
    table = markdown(clients)
    if args.markdown:
        args.markdown.write_text(table)
    print(table)


def run_client(python: Path, script: str, job: list[str], timeout_s: float) -> Client:
    module, *options = script.split()
    command = [str(python), "-m", f"tests.clients.{module}", *job, *options]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    try:
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=timeout_s)
        out, fault = done.stdout, done.stderr.strip().splitlines()[-1] if done.returncode else ""
    except subprocess.TimeoutExpired as late:
        told = late.stdout or b""
        out, fault = told if isinstance(told, str) else told.decode(), f"not done within {timeout_s:g} s"
    lines = [json.loads(line) for line in out.splitlines()]
    head = next((line for line in lines if "library" in line), {"library": script, "version": "?"})
    ways = [line for line in lines if "way" in line]
    features = [line for line in lines if "feature" in line]
    return Client(head["library"], head["version"], ways, features, fault)


def markdown(clients: list[Client]) -> str:
    lines = ["| client | tools as | end states right |", "|---|---|---|"]
    for client in clients:
        name = f"{client.library} {client.version}"
        lines += [f"| {name} | {way['way']} | {way['right']} of {way['of']} |" for way in client.ways]
        lines += [f"| {name} | | {client.fault} |"] if client.fault else []
    lines += ["", "| client | feature | works |", "|---|---|---|"]
    for client in clients:
        for feature in client.features:
            works = "yes" if feature["works"] else f"no: {_cell(feature['why'])}"
            lines.append(f"| {client.library} {client.version} | {feature['feature']} | {works} |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")[:160]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base-url", required=True, metavar="URL")
    parser.add_argument("--model", required=True, metavar="NAME")
    parser.add_argument("--rows", type=Path, required=True, metavar="FILE", help="held-out rows of the task API")
    parser.add_argument("--python", type=Path, default=Path(".venv-clients/bin/python"), metavar="PATH")
    parser.add_argument(
        "--scripts", nargs="+", default=[*SCRIPTS, *OF_VLLM], metavar="NAME", help="default: all of them"
    )
    parser.add_argument("--limit", type=int, default=20, metavar="N", help="rows for each way (default: %(default)s)")
    parser.add_argument("--at-once", type=int, default=1, metavar="N", help="scripts run at once (default: 1)")
    parser.add_argument("--timeout-s", type=float, default=600, metavar="S", help="for one script (default: 600)")
    parser.add_argument("--json", type=Path, default=Path("clients.json"), metavar="FILE")
    parser.add_argument("--markdown", type=Path, metavar="FILE")
    return parser


if __name__ == "__main__":
    main()
