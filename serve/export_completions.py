"""Stored completions as a file: python -m serve.export_completions SETTINGS.yaml --out FILE.jsonl [--model M]

    python -m serve.export_completions api.yaml --out traces.jsonl --metadata team=voice
    python -m data.convert traces.jsonl --out rows.jsonl

One JSON object a line, the request beside the answer, which data.convert turns into training rows.
"""

import argparse
import json
from pathlib import Path

from sqlalchemy import select
from starlette.datastructures import QueryParams

from data.settings import load_settings
from data.user_error import UserError, run_program
from data.whole_file import whole_file
from serve.api_settings import ApiSettings
from serve.chat.stored_objects import dump
from serve.storage.database import Database
from serve.storage.tables import StoredCompletion
from serve.transport.metadata import with_metadata


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("settings", type=Path, help="settings YAML of the API")
    parser.add_argument("overrides", nargs="*", help="key=value, as for serve.api")
    parser.add_argument("--out", type=Path, required=True, help="file to write")
    parser.add_argument("--project", default="default", help="whose completions (default: default)")
    parser.add_argument("--model", help="of this model alone, as clients named it")
    parser.add_argument(
        "--metadata", action="append", default=[], metavar="KEY=VALUE", help="with this pair; may be repeated"
    )
    args = parser.parse_args()
    settings = load_settings(args.settings, args.overrides, ApiSettings)
    rows = select(StoredCompletion).where(StoredCompletion.project == args.project).order_by(StoredCompletion.seq)
    rows = rows.where(StoredCompletion.model == args.model) if args.model else rows
    rows = with_metadata(rows, StoredCompletion, QueryParams([_pair(pair) for pair in args.metadata]))
    count = 0
    with Database(settings.database_url).read() as session, whole_file(args.out, errors="surrogatepass") as file:
        for stored in session.scalars(rows.execution_options(yield_per=500)):
            file.write(json.dumps(dump(stored), ensure_ascii=False) + "\n")
            count += 1
    print(f"{count} stored completions: {args.out}")


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise UserError(f"{text!r} is not KEY=VALUE", where="--metadata")
    return f"metadata[{key}]", value


if __name__ == "__main__":
    run_program(main)
