"""Fields of a settings section as options of a program: `--max-tokens` for `max_tokens`."""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterable
from typing import TypeVar

from pydantic import ValidationError

from data.section import Section
from data.user_error import UserError

S = TypeVar("S", bound=Section)


def add_section_options(parser: ArgumentParser, section: type[Section], names: Iterable[str]) -> None:
    for name in names:
        field = section.model_fields[name]
        help_text = f"{field.description or name} (default: {field.default})"
        parser.add_argument(f"--{name.replace('_', '-')}", help=help_text)


def with_section_options(section: S, args: Namespace, names: Iterable[str]) -> S:
    """The section with what the command line gave in place of its own. Raises UserError naming the option."""
    given = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    try:
        return type(section).model_validate({**section.model_dump(), **given})
    except ValidationError as error:
        first = error.errors()[0]
        option = f"--{str(first['loc'][0]).replace('_', '-')}"
        raise UserError(f"{option} {first['input']}: {first['msg']}", where="command line") from error
