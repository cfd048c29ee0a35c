"""OpenAI's fine-tuning API on your own machine: files, jobs, models, chat and stored completions.

    python -m serve.api SETTINGS.yaml [key=value ...] [--no-worker]

Clients change their base_url to http://HOST:PORT/v1 and nothing else. SETTINGS.yaml names at least one base model and
its recipe: `bases: {meta-llama/Meta-Llama-3-8B-Instruct: recipes/llama3-8b-lora.yaml}` (serve/api_settings.py has the
rest). Jobs are trained by workers (serve.worker), started beside the API unless --no-worker is given. Ctrl-C or
SIGTERM let open answers end (exit 0); what was accepted is kept, and trainings go on at the next start.
"""

import argparse
import ipaddress
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import NoReturn

import uvicorn
from sqlalchemy import select

from data.settings import load_settings
from data.user_error import UserError, run_program
from serve.api_settings import ApiSettings
from serve.storage.database import Database
from serve.storage.tables import ApiKey
from serve.transport.app import create_app
from serve.transport.listening import listening_socket
from serve.transport.logs import log_to_stderr
from serve.webhooks.signing import read_secret
from serve.worker_processes import WorkerProcesses


def main() -> None:
    args = _arguments()
    settings = load_settings(args.settings, args.overrides, ApiSettings)
    settings.storage.mkdir(parents=True, exist_ok=True)
    database = Database(settings.database_url)
    _require_keys(settings, database)
    if settings.webhook and not args.no_worker:
        read_secret(settings.webhook.secret_variable)  # the workers would end with the same fault, again and again
    if args.dry_run:
        print(settings.model_dump_json(indent=2))
        return
    log_to_stderr()
    app = create_app(settings, database)
    sock = listening_socket(settings.host, settings.port)
    server = uvicorn.Server(
        uvicorn.Config(
            app, log_config=None, access_log=False, timeout_graceful_shutdown=settings.shutdown_grace_s, lifespan="on",
            server_header=False,
        )
    )  # fmt: skip
    # uvicorn lets open streams end, then raises the signal again: what else there is must end as well, not just die.
    signal.signal(signal.SIGTERM, _exit)
    with WorkerProcesses(args.settings, args.overrides, settings, wanted=not args.no_worker):
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        print(f"ready  base_url http://{host}:{sock.getsockname()[1]}/v1", flush=True)
        server.run(sockets=[sock])
    database.close()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("settings", type=Path, help="settings YAML")
    parser.add_argument("overrides", nargs="*", help="key=value, for example port=9000 or capture.store=always")
    parser.add_argument("--no-worker", action="store_true", help="train nothing here: workers run elsewhere")
    parser.add_argument("--dry-run", action="store_true", help="check the settings, print them in full, stop")
    return parser.parse_args()


def _require_keys(settings: ApiSettings, database: Database) -> None:
    """Without keys everyone may come in who reaches the port, so that only this machine may reach it."""
    with database.read() as session:
        if session.scalar(select(ApiKey.name).limit(1)) is not None:
            return
    try:
        is_loopback = settings.host == "localhost" or ipaddress.ip_address(settings.host).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
        raise UserError(
            "other machines could reach the API, and no key is needed", where=f"host {settings.host}",
            fix="make a key with `python -m serve.api_keys SETTINGS.yaml add NAME`, or listen on 127.0.0.1",
        )  # fmt: skip
    print("no API keys: every program of this machine may use the API", file=sys.stderr)


def _exit(signum: int, frame: FrameType | None) -> NoReturn:
    sys.exit(0)


if __name__ == "__main__":
    run_program(main)
