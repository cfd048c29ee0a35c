"""The one exception for the user's faults, and the wrapper that every program's `main` runs in."""

import sys
from collections.abc import Callable
from typing import NoReturn


class UserError(Exception):
    """Something the user can mend: what is wrong, where, and the fix, in one line.

    >>> str(UserError("no such file", where="rows.jsonl", fix="check the path"))
    'rows.jsonl: no such file (fix: check the path)'
    """

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        self.what, self.where, self.fix = what, where, fix
        super().__init__((f"{where}: " if where else "") + what + (f" (fix: {fix})" if fix else ""))


def run_program(main: Callable[[], int | None]) -> NoReturn:
    """Run `main` and exit with its status: 0 for None, 2 for a UserError (one line, no traceback), 130 for Ctrl-C."""
    try:
        status = main()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        status = 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        status = 130
    sys.exit(status or 0)
