"""A rendered row in colour: what is trained, what is context, what is a control token."""

from rich.text import Text

from data.render import IGNORE, Rendered, Tokenizer

TRAINED, CONTEXT, CONTROL = "bold green", "dim", "magenta"


def coloured(rendered: Rendered, tokenizer: Tokenizer) -> Text:
    """The whole row as rich text: trained tokens green (underlined where they are control tokens)."""
    special = set(tokenizer.all_special_ids) | set(tokenizer.added_tokens_decoder)
    out = Text()
    start = 0
    while start < len(rendered.input_ids):
        style = _style(rendered, start, special)
        end = start + 1
        # Runs of one style are decoded together: a character may span several tokens.
        while end < len(rendered.input_ids) and _style(rendered, end, special) == style:
            end += 1
        out.append(tokenizer.decode(rendered.input_ids[start:end]), style=style)
        start = end
    return out


def legend() -> Text:
    return Text.assemble(("trained", TRAINED), "  ", ("context", CONTEXT), "  ", ("control token", CONTROL))


def _style(rendered: Rendered, position: int, special: set[int]) -> str:
    is_trained = rendered.labels[position] != IGNORE
    if rendered.input_ids[position] in special:
        return f"{TRAINED} underline" if is_trained else CONTROL
    return TRAINED if is_trained else CONTEXT
