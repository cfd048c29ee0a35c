"""Rows to tokens and labels: the one function that training, the checks, `data.show` and the tests all call.

The text comes from the chat template, the trained spans from its generation markers, and three things are proved
for every row: each trained turn starts with exactly the prompt that a server would build for it (text and token
ids), the labels cover the assistant's text, calls and end token and nothing else, and no tool, argument or result
is missing from the text. What cannot be proved is refused.
"""

import json
import re
from functools import lru_cache
from typing import Any, NamedTuple

from transformers.utils.chat_template_utils import render_jinja_template

from data.contents import lost_contents
from data.conversation import Conversation, conversation
from data.row import JsonObject, Row
from data.template import Template, require_markers
from data.user_error import UserError

IGNORE = -100  # torch's cross-entropy skips this label
Tokenizer = Any  # transformers' PreTrainedTokenizerFast, which ships no type hints


class Turn(NamedTuple):
    """One assistant turn: `input_ids[start:end]` are its text, calls and end token."""

    message: int
    start: int
    end: int
    is_trained: bool


class Rendered(NamedTuple):
    text: str
    input_ids: list[int]
    labels: list[int]
    """`input_ids` where loss is taken, IGNORE elsewhere; same length."""
    turns: list[Turn]

    @property
    def num_trained(self) -> int:
        return sum(label != IGNORE for label in self.labels)


class Text(NamedTuple):
    text: str
    spans: list[tuple[int, int]]
    """Character spans of the assistant turns, in order."""


def render(row: Row, tokenizer: Tokenizer, template: Template) -> Rendered:
    """Tokens and labels of a row. Raises UserError, naming the loss, for a row that cannot be rendered faithfully."""
    talk = conversation(row)
    _refuse_special_tokens(talk, tokenizer)
    text, spans = render_text(talk, tokenizer, template)
    if lost := lost_contents(talk, text):
        raise UserError(f"the {template.name} template loses {lost}", fix="use a template that renders it")
    encoding = tokenizer(text, add_special_tokens=False)
    ids: list[int] = encoding["input_ids"]
    _refuse_doubled_bos(ids, tokenizer)
    assistants = [i for i, message in enumerate(talk.messages) if message["role"] == "assistant"]
    turns = [
        Turn(message, encoding.char_to_token(start), encoding.char_to_token(end - 1) + 1, talk.is_trained[message])
        for message, (start, end) in zip(assistants, spans, strict=True)
    ]
    _require_prompts(talk, text, ids, turns, tokenizer, template)
    labels = [IGNORE] * len(ids)
    for turn in turns:
        if turn.is_trained:
            labels[turn.start : turn.end] = ids[turn.start : turn.end]
    return Rendered(text, ids, labels, turns)


def render_text(talk: Conversation, tokenizer: Tokenizer, template: Template) -> Text:
    """The rendered text and the character spans of its assistant turns."""
    require_markers(template)
    try:
        texts, spans = render_jinja_template(
            conversations=[talk.messages],
            tools=talk.tools,
            chat_template=template.source,
            return_assistant_tokens_mask=True,
            **tokenizer.special_tokens_map,
        )
    except Exception as error:  # a template may raise anything: it is a program
        reason = " ".join(str(error).split())
        raise UserError(f"Cannot be rendered with the {template.name} template: {reason}") from error
    num_assistants = sum(message["role"] == "assistant" for message in talk.messages)
    if len(spans[0]) != num_assistants:
        raise UserError(
            f"the {template.name} template marks {len(spans[0])} assistant turns of {num_assistants}",
            fix="put the generation markers around every assistant turn",
        )
    return Text(texts[0], spans[0])


def render_prompt(
    messages: list[JsonObject], tools: list[JsonObject] | None, tokenizer: Tokenizer, template: Template
) -> str:
    """The prompt a server builds for the turn after `messages`."""
    texts, _ = render_jinja_template(
        conversations=[messages],
        tools=tools,
        chat_template=template.source,
        add_generation_prompt=True,
        **tokenizer.special_tokens_map,
    )
    return str(texts[0])


def _require_prompts(
    talk: Conversation, text: str, ids: list[int], turns: list[Turn], tokenizer: Tokenizer, template: Template
) -> None:
    """Each turn must begin with the very tokens a server would feed: a longer row starts with the shorter ones."""
    if not turns:
        return
    prompts = [render_prompt(talk.messages[: turn.message], talk.tools, tokenizer, template) for turn in turns]
    prompt_ids = tokenizer(prompts, add_special_tokens=False)["input_ids"]
    for turn, prompt, expected in zip(turns, prompts, prompt_ids, strict=True):
        if not text.startswith(prompt) or ids[: turn.start] != expected:
            raise UserError(
                f"message {turn.message + 1} does not follow the prompt that a server would build for it",
                fix="a template that rewrites earlier turns needs one row per turn",
            )


def _refuse_special_tokens(talk: Conversation, tokenizer: Tokenizer) -> None:
    """A special token typed into a row would be read as one: a doubled BOS, the end of a turn, the start of another."""
    special = _special_tokens(tokenizer)
    places = [("the tool list", talk.tools), *((f"message {i}", m) for i, m in enumerate(talk.messages, start=1))]
    for where, content in places:
        if found := special.search(json.dumps(content, ensure_ascii=False)):
            raise UserError(f"{where} holds {found[0]}, a special token of the tokenizer", fix="take it out")


@lru_cache(maxsize=8)
def _special_tokens(tokenizer: Tokenizer) -> re.Pattern[str]:
    added = {str(token) for token in tokenizer.added_tokens_decoder.values() if token.special}
    names = [
        re.escape(json.dumps(name, ensure_ascii=False)[1:-1]) for name in added | set(tokenizer.all_special_tokens)
    ]
    return re.compile("|".join(sorted(names, reverse=True)) or r"(?!)")


def _refuse_doubled_bos(ids: list[int], tokenizer: Tokenizer) -> None:
    bos = tokenizer.bos_token_id
    if bos is not None and ids[:2] == [bos, bos]:
        raise UserError(
            f"the row starts with {tokenizer.bos_token!r} twice", fix="take it out of the text or the template"
        )
