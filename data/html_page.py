"""One look for the pages that are written here: each is one file, and every text of a user is escaped in it."""

from collections.abc import Callable
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template


def page_template(path: Path, filters: dict[str, Callable[..., str]]) -> Template:
    """A template that may also include `page.css`; what it is given is text, not markup."""
    jinja = Environment(
        loader=FileSystemLoader([path.parent, Path(__file__).parent]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    jinja.filters |= filters
    return jinja.get_template(path.name)
