"""The one exception for the user's faults, and the wrapper that every program's `main` runs in."""

import os
import select
import sys
from collections.abc import Callable
from contextlib import suppress
from errno import ENOSPC
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
    """Run `main` and exit with its status: 0 for None, 2 for a UserError (one line, no traceback), 130 for Ctrl-C,
    141 where whoever read the output went away (`| head`)."""
    try:
        status = main()
        sys.stdout.flush()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        status = 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        status = 130
    except BrokenPipeError:
        if not _is_reader_gone():
            raise
        status = 141
        _drop_output()
    except OSError as error:
        if error.errno != ENOSPC:
            raise
        _drop_output()
        print(f"error: the output cannot be written: {error.strerror} (fix: make room)", file=sys.stderr)
        status = 2
    sys.exit(status or 0)


def _is_reader_gone() -> bool:
    """Of standard output; a connection that broke is another matter."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), select.POLLOUT)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _drop_output() -> None:
    """What is left of it: Python would try to write it once more at its end."""
    with suppress(OSError):
        sys.stdout.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
