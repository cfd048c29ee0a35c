"""Keys of the fine-tuning API: python -m serve.api_keys SETTINGS.yaml add|list|remove [NAME]

    python -m serve.api_keys SETTINGS.yaml add ci --project voice --requests-per-minute 600

prints the key, once: only its hash is kept. Keys of one project share files, jobs, models and stored completions. As
soon as there is one key, nobody comes in without; a running API notices within seconds.
"""

import argparse
from pathlib import Path

from rich.console import Console
from rich.table import Table
from sqlalchemy import select

from data.settings import load_settings
from data.user_error import UserError, run_program
from serve.api_settings import ApiSettings
from serve.storage.database import Database
from serve.storage.tables import ApiKey
from serve.transport.access import new_key


def main() -> None:
    args = _arguments()
    settings = load_settings(args.settings, args.overrides, ApiSettings)
    settings.storage.mkdir(parents=True, exist_ok=True)
    database = Database(settings.database_url)
    if args.action == "add":
        _require_new(database, args.name)
        print(new_key(database, args.name, args.project, args.requests_per_minute))
    elif args.action == "remove":
        _remove(database, args.name)
    else:
        _show(database)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("settings", type=Path, help="settings YAML of the API")
    parser.add_argument("action", choices=["add", "list", "remove"])
    parser.add_argument("name", nargs="?", help="of the key, for the logs")
    parser.add_argument("overrides", nargs="*", help="key=value, as for serve.api")
    parser.add_argument("--project", default="default", help="whose objects the key opens (default: default)")
    parser.add_argument("--requests-per-minute", type=int, help="limit of this key, in all API processes together")
    args = parser.parse_args()
    if args.action != "list" and not args.name:
        raise UserError("no name", where="command line", fix=f"{args.action} NAME")
    if args.requests_per_minute is not None and args.requests_per_minute < 1:
        raise UserError("must be at least 1", where="--requests-per-minute")
    return args


def _require_new(database: Database, name: str) -> None:
    with database.read() as session:
        if session.get(ApiKey, name) is not None:
            raise UserError(
                f"there is a key {name!r}", where="command line", fix="remove it first, or take another name"
            )


def _remove(database: Database, name: str) -> None:
    with database.write() as session:
        key = session.get(ApiKey, name)
        if key is None:
            raise UserError(f"no key {name!r}", where="command line", fix="see `list`")
        session.delete(key)


def _show(database: Database) -> None:
    table = Table("name", "project", "requests a minute")
    with database.read() as session:
        for key in session.scalars(select(ApiKey).order_by(ApiKey.name)):
            table.add_row(key.name, key.project, str(key.requests_per_minute or "any number"))
    Console().print(table)


if __name__ == "__main__":
    run_program(main)
