"""A vLLM for the fine-tuning API, run by hand: python -m serve.replica SETTINGS.yaml BASE [--port 8000] [key=value ...]

As the API would start it, under the same name and with adapters that are loaded while it runs; its address then stands
under `engines` of the settings. Ctrl-C or SIGTERM end it cleanly (exit 0). Exit 2: what was asked cannot be served;
exit 1: vLLM died.
"""

import argparse
import os
from pathlib import Path

from data.settings import load_settings
from data.user_error import UserError, run_program
from serve.api_settings import ApiSettings
from serve.chat.engine import plan_engine
from serve.jobs.base_folder import base_recipe, ensure_base
from serve.server_process import ServerProcess
from serve.settings import ServeSection, with_overrides


def main() -> int:
    args = _arguments()
    settings = load_settings(args.settings, args.overrides, ApiSettings)
    if args.base not in settings.bases:
        raise UserError(f"{args.base} is not in bases", where=str(args.settings), fix="take one of its bases")
    folder = ensure_base(settings, args.base)
    section = ServeSection.model_validate(base_recipe(settings, args.base).serve or {})
    key = os.environ.get(settings.engines_key_variable or "")
    section = with_overrides(section, {"host": args.host, "port": args.port, "api_key": key})
    plan = plan_engine(folder, args.base, section, lora_rank=settings.max_lora_rank, max_loras=settings.max_loras)
    if args.dry_run:
        print(plan.text)
        return 0
    log = folder.parent / "logs" / f"replica-{plan.port}.log"
    server = ServerProcess(
        plan.command, plan.url, log, env=plan.env, title=f"vLLM for {args.base}",
        startup_timeout_s=section.startup_timeout_s,
    )  # fmt: skip
    return server.serve(lambda: print(f"ready  {plan.url}/v1  log {log}", flush=True))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("settings", type=Path, help="settings YAML of the API")
    parser.add_argument("base", help="one of its bases")
    parser.add_argument("overrides", nargs="*", help="key=value, as for serve.api")
    parser.add_argument("--host", help="address to listen on (default 127.0.0.1: this machine only)")
    parser.add_argument("--port", type=int, help="port (default 8000; 0 picks a free one)")
    parser.add_argument("--dry-run", action="store_true", help="print vLLM's command line, start nothing")
    return parser.parse_args()


if __name__ == "__main__":
    run_program(main)
