"""The commands and settings of docs/scale-out.md, with the addresses of a test in place of its own."""

import re
from typing import Any

import yaml

from tests.conftest import ROOT

GUIDE = (ROOT / "docs" / "scale-out.md").read_text()


def command(start: str, **instead: str) -> str:
    """The line that begins so."""
    (found,) = re.findall(rf"^{re.escape(start)}.*$", "\n".join(_blocks("sh")), re.MULTILINE)
    return _with(found, instead)


def settings(key: str, **instead: str) -> dict[str, Any]:
    """The block that has this key."""
    (found,) = [block for block in _blocks("yaml") if f"\n{key}:" in f"\n{block}"]
    read: dict[str, Any] = yaml.safe_load(_with(found, instead))
    return read


def _blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", GUIDE, re.DOTALL)


def _with(text: str, instead: dict[str, str]) -> str:
    for old, new in instead.items():
        assert old in text, f"{old} is not in the guide's {text!r}"
        text = text.replace(old, new)
    return text
