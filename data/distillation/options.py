"""The teacher's settings as options of a program."""

import argparse
from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from data.distillation.settings import DistillSection
from data.user_error import UserError


def add_setting_options(parser: argparse.ArgumentParser, names: Iterable[str]) -> None:
    for name in names:
        field = DistillSection.model_fields[name]
        words = ["-n"] if name == "samples" else []
        default = "none" if field.default is None else field.default
        text = f"{' '.join((field.description or '').split())} (default: {default})".strip()
        parser.add_argument(*words, _option(name), dest=name, help=text)


def settings_of(args: argparse.Namespace, **fixed: Any) -> DistillSection:
    """The settings that the options give. Raises UserError naming the option that is wrong."""
    given = {name: vars(args).get(name) for name in DistillSection.model_fields}
    given = {name: value for name, value in given.items() if value is not None}
    try:
        return DistillSection.model_validate(given | fixed)
    except ValidationError as error:
        first = error.errors()[0]
        what = first["msg"].removeprefix("Value error, ")
        if first["loc"]:
            what = f"{_option(str(first['loc'][0]))} {first['input']}: {what}"
        raise UserError(what, where="command line") from error


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
