"""A rendered row in colour: what is trained, what is context, what is a control token."""

from collections.abc import Iterator
from typing import NamedTuple

from rich.text import Text

from data.render import IGNORE, Rendered, Tokenizer

TRAINED, CONTEXT, CONTROL = "bold green", "dim", "magenta"


class Run(NamedTuple):
    """Neighbouring tokens `input_ids[start:end]` of one kind."""

    text: str
    start: int
    end: int
    is_trained: bool
    is_control: bool


def runs(rendered: Rendered, tokenizer: Tokenizer) -> Iterator[Run]:
    """The whole row; the tokens of a run are decoded together, since a character may span several."""
    special = set(tokenizer.all_special_ids) | set(tokenizer.added_tokens_decoder)
    kinds = [
        (label != IGNORE, token in special) for token, label in zip(rendered.input_ids, rendered.labels, strict=True)
    ]
    start = 0
    while start < len(kinds):
        end = start + 1
        while end < len(kinds) and kinds[end] == kinds[start]:
            end += 1
        yield Run(tokenizer.decode(rendered.input_ids[start:end]), start, end, *kinds[start])
        start = end


def coloured(rendered: Rendered, tokenizer: Tokenizer) -> Text:
    """The whole row as rich text: trained tokens green (underlined where they are control tokens)."""
    out = Text()
    for run in runs(rendered, tokenizer):
        out.append(run.text, style=_style(run))
    return out


def legend() -> Text:
    return Text.assemble(("trained", TRAINED), "  ", ("context", CONTEXT), "  ", ("control token", CONTROL))


def _style(run: Run) -> str:
    if run.is_control:
        return f"{TRAINED} underline" if run.is_trained else CONTROL
    return TRAINED if run.is_trained else CONTEXT
