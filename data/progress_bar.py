"""A progress bar over items, on standard error when that is a terminal."""

from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import track

T = TypeVar("T")


@contextmanager
def progress_over(items: Iterable[T], title: str, total: int | None = None) -> Iterator[Iterator[T]]:
    """`with progress_over(rows, "reading") as tracked: for row in tracked: ...`

    The bar ends with the block. rich's generator alone, left behind by an error, is closed when Python collects it:
    that may be while another bar is drawn, and then each waits for the other for ever.
    """
    console = Console(stderr=True)
    bar = track(items, title, total, transient=True, console=console, disable=not console.is_terminal)
    with closing(bar) as tracked:  # type: ignore[type-var]  # typed as Iterable, it is a generator
        yield iter(tracked)
