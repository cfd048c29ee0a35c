"""Chat templates: our own two, or any file with generation markers."""

import hashlib
import re
from pathlib import Path
from typing import Literal, NamedTuple

from data.user_error import UserError

FOLDER = Path(__file__).parent / "templates"
TemplateName = Literal["llama3", "chatml"]
MARKER = re.compile(r"\{%-?\s*generation\s*-?%\}")
TOOL_MACROS = (FOLDER / "tools.jinja").read_text()
"""`tool_list(tools)`, which every template of ours begins with: the text of a tool list depends on nothing else."""

# What each family writes around a turn: the header tokens, and the token that ends a turn.
_TOKENS = {
    "llama3": (["<|start_header_id|>", "<|end_header_id|>"], "<|eot_id|>"),
    "chatml": (["<|im_start|>"], "<|im_end|>"),
}


class Template(NamedTuple):
    name: str
    source: str
    """The Jinja text, complete: what is written into the tokenizer and what vLLM runs."""
    header_tokens: list[str]
    end_token: str
    tool_call_parser: str = "hermes"

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.source.encode()).hexdigest()

    @property
    def without_tool_macros(self) -> str | None:
        """The source for whoever brings a `tool_list` of their own; None where it does not begin with ours."""
        return self.source.removeprefix(TOOL_MACROS) if self.source.startswith(TOOL_MACROS) else None


def load_template(name: str) -> Template:
    """One of our templates by name (`llama3`, `chatml`).

    Raises UserError for an unknown name.
    """
    if name not in _TOKENS:
        raise UserError(f"unknown template {name!r}", fix=f"use one of {', '.join(_TOKENS)}")
    source = TOOL_MACROS + (FOLDER / "assistant_text.jinja").read_text() + (FOLDER / f"{name}.jinja").read_text()
    header_tokens, end_token = _TOKENS[name]
    return Template(name, source, header_tokens, end_token)


def require_markers(template: Template) -> None:
    """Refuse a template that does not mark what the assistant writes: without markers nothing can be trained."""
    if not MARKER.search(template.source):
        raise UserError(
            f"template {template.name!r} has no {{% generation %}} markers, so no token could be trained",
            fix="wrap the assistant's text in {% generation %}...{% endgeneration %}, or take llama3 or chatml",
        )
