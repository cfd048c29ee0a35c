"""Serve a model folder with vLLM, with the flags it was trained for, behind an OpenAI-compatible endpoint.

    python -m serve.engine runs/NAME/merged [--port 8000] [--api-key KEY]
    python -m serve.engine --recipe recipes/quickstart.yaml
    python -m serve.engine runs/NAME/merged --dry-run           # show vLLM's command line and stop

Stays in the foreground until Ctrl-C or SIGTERM, which end it cleanly (exit 0). Exit 2: what was asked cannot be
served; exit 1: vLLM died.
"""

import argparse
import os
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from data.settings import load_settings
from data.user_error import UserError, run_program
from serve.settings import ServeRecipe, ServeSection, with_overrides
from serve.vllm_process import VllmProcess, plan_vllm

SNIPPET = """from openai import OpenAI
client = OpenAI(base_url="{base_url}", api_key={key})
client.chat.completions.create(model="{model}", messages=messages, tools=tools, temperature=0)"""


class Job(NamedTuple):
    folder: Path
    section: ServeSection
    log_path: Path


def main() -> int:
    args = _arguments()
    job = _job(args)
    if args.dry_run:
        print(plan_vllm(job.folder, job.section).text)
        return 0
    server = VllmProcess(job.folder, job.section, job.log_path)
    return server.serve(lambda: _announce(server, job))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="a model folder with a manifest, such as runs/NAME/merged")
    parser.add_argument(
        "--recipe", type=Path, help="take the serve section of this recipe, and its merged model if no folder is given"
    )
    parser.add_argument("--host", help="address to listen on (default 127.0.0.1: this machine only)")
    parser.add_argument("--port", type=int, help="port (default 8000; 0 picks a free one)")
    parser.add_argument(
        "--api-key", help="clients must send it; better set as CALLTUNE_API_KEY: a command line is readable by all"
    )
    parser.add_argument("--max-model-len", type=int, help="longest prompt + answer in tokens (default: the manifest's)")
    parser.add_argument(
        "--no-strict", action="store_true", help="do not hold calls of strict tools to their schemas (docs/clients.md)"
    )
    parser.add_argument("--log", type=Path, help="vLLM's log (default: logs/ beside the model folder)")
    parser.add_argument(
        "--dry-run", action="store_true", help="check everything, print vLLM's command line, start nothing"
    )
    return parser.parse_args()


def _job(args: argparse.Namespace) -> Job:
    recipe = load_settings(args.recipe, [], ServeRecipe) if args.recipe else None
    folder = args.folder or (recipe.runs / recipe.name / "merged" if recipe else None)
    if folder is None:
        raise UserError("no model folder", where="command line", fix="give runs/NAME/merged or --recipe FILE")
    section = with_overrides(
        recipe.serve if recipe else ServeSection(),
        {
            "host": args.host, "port": args.port, "max_model_len": args.max_model_len,
            "api_key": args.api_key or os.environ.get("CALLTUNE_API_KEY"),
            "enforce_strict_tool_calling": False if args.no_strict else None,
        },
    )  # fmt: skip
    return Job(folder, section, args.log or folder.absolute().parent / "logs" / f"{folder.name}-vllm.log")


def _announce(server: VllmProcess, job: Job) -> None:
    console = Console(highlight=False, soft_wrap=True)
    key = 'os.environ["CALLTUNE_API_KEY"]' if job.section.api_key else '"none"'
    console.print(f"[bold green]ready[/]  base_url [bold]{server.base_url}[/]  model [bold]{server.model}[/]")
    console.print(f"log    {job.log_path}\n")
    console.print(SNIPPET.format(base_url=server.base_url, key=key, model=server.model), markup=False)


if __name__ == "__main__":
    run_program(main)
