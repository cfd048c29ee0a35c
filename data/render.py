"""Rows to tokens and labels: the one function that training, the checks, `data.show` and the tests all call.

The text comes from the chat template, the trained spans from its generation markers, and three things are proved
for every row: each trained turn starts with exactly the prompt that a server would build for it (text and token
ids), the labels cover the assistant's text, calls and end token and nothing else, and no tool, argument or result
is missing from the text. What cannot be proved is refused.
"""

import re
from functools import lru_cache
from typing import Any, NamedTuple

from data.contents import lost_of_messages, lost_of_tools
from data.conversation import Conversation, conversation
from data.pieces import Encoded, PieceEncoder
from data.row import JsonObject, Row
from data.strict_json import to_json
from data.template import Template
from data.template_text import render_prompt, render_text
from data.tool_text import tool_line, tool_list_text
from data.user_error import UserError

IGNORE = -100  # torch's cross-entropy skips this label
Tokenizer = Any  # transformers' PreTrainedTokenizerFast, which ships no type hints
MAX_TOOLS = 4096  # remembered


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
        return len(self.labels) - self.labels.count(IGNORE)


class WrittenTool(NamedTuple):
    """What need not be found out anew for each row that has the same tool."""

    special_token: str
    """One that is typed into it, or ""."""
    line: str
    """As a template of ours writes it; "" with another template, or where a macro fails."""
    is_whole: bool
    """Whether that line holds all of the tool."""


def render(row: Row, tokenizer: Tokenizer, template: Template) -> Rendered:
    """Tokens and labels of a row. Raises UserError, naming the loss, for a row that cannot be rendered faithfully."""
    return _renderer(tokenizer, template.name, template.source, template.end_token).render(row)


class Renderer:
    """Renders rows that share tool lists, headers and system prompts, which it works out once."""

    def __init__(self, tokenizer: Tokenizer, template: Template) -> None:
        self._tokenizer, self._template = tokenizer, template
        self._encoder = PieceEncoder(tokenizer)
        self._typed_special = _special_tokens(tokenizer)
        self._written: dict[str, WrittenTool] = {}

    def render(self, row: Row) -> Rendered:
        """As `render`."""
        talk = conversation(row)
        tools = [self._written_tool(tool) for tool in talk.tools or []]
        self._refuse_special_tokens(talk, tools)
        tool_text = (
            tool_list_text([tool.line for tool in tools]) if tools and all(tool.line for tool in tools) else None
        )
        special_tokens = self._tokenizer.special_tokens_map
        text, spans = render_text(talk, self._template, special_tokens, tool_text)
        is_written = tool_text is not None and tool_text in text and all(tool.is_whole for tool in tools)
        lost = "" if is_written else lost_of_tools(talk.tools or [], text)
        if lost := lost or lost_of_messages(talk.messages, text):
            raise UserError(f"the {self._template.name} template loses {lost}", fix="use a template that renders it")
        assistants = [number for number, message in enumerate(talk.messages) if message["role"] == "assistant"]
        for message, (start, end) in zip(assistants, spans, strict=True):
            self._require_end_token(message, text[start:end])
        encoded = self._encoder.encode(text, {place for start, end in spans for place in (start, end - 1)})
        self._refuse_doubled_bos(encoded.ids)
        turns = [
            Turn(message, encoded.token_at[start], encoded.token_at[end - 1] + 1, talk.is_trained[message])
            for message, (start, end) in zip(assistants, spans, strict=True)
        ]
        for turn in turns:
            before = talk.messages[: turn.message]
            prompt = render_prompt(before, talk.tools, self._template, special_tokens, tool_text)
            self._require_prompt(turn, prompt, encoded)
        labels = [IGNORE] * len(encoded.ids)
        for turn in turns:
            if turn.is_trained:
                labels[turn.start : turn.end] = encoded.ids[turn.start : turn.end]
        return Rendered(text, encoded.ids, labels, turns)

    def _require_end_token(self, message: int, marked: str) -> None:
        """A model that never learns to end its turn, or learns what comes after it, cannot be served."""
        if not marked.endswith(self._template.end_token):
            raise UserError(
                f"the {self._template.name} template marks message {message + 1} with another end than "
                f"{self._template.end_token}",
                fix="end the generation markers straight after the token that ends a turn",
            )

    def _require_prompt(self, turn: Turn, prompt: str, encoded: Encoded) -> None:
        """A turn must begin with the very tokens a server would feed: a longer row starts with the shorter ones."""
        if not encoded.text.startswith(prompt) or not self._encoder.is_prefix(encoded, len(prompt), turn.start):
            raise UserError(
                f"message {turn.message + 1} does not follow the prompt that a server would build for it",
                fix="a template that rewrites earlier turns needs one row per turn",
            )

    def _refuse_special_tokens(self, talk: Conversation, tools: list[WrittenTool]) -> None:
        """A special token typed into a row would be read as one: a doubled BOS, the end of a turn, another's start."""
        found = [("the tool list", tool.special_token) for tool in tools]
        for number, message in enumerate(talk.messages, start=1):
            found.append((f"message {number}", self._special_token(to_json(message))))
        for where, token in found:
            if token:
                raise UserError(f"{where} holds {token}, a special token of the tokenizer", fix="take it out")

    def _refuse_doubled_bos(self, ids: list[int]) -> None:
        bos = self._tokenizer.bos_token_id
        if bos is not None and ids[:2] == [bos, bos]:
            raise UserError(
                f"the row starts with {self._tokenizer.bos_token!r} twice",
                fix="take it out of the text or the template",
            )

    def _written_tool(self, tool: JsonObject) -> WrittenTool:
        key = to_json(tool)
        if key not in self._written:
            if len(self._written) >= MAX_TOOLS:
                self._written.clear()
            self._written[key] = self._write_tool(tool, self._special_token(key))
        return self._written[key]

    def _write_tool(self, tool: JsonObject, special_token: str) -> WrittenTool:
        if self._template.without_tool_macros is None:
            return WrittenTool(special_token, "", False)
        try:
            line = tool_line(tool)
        except Exception:  # a macro may raise anything; the rendering of the row will tell it
            return WrittenTool(special_token, "", False)
        return WrittenTool(special_token, line, not lost_of_tools([tool], line))

    def _special_token(self, written: str) -> str:
        found = self._typed_special.search(written)
        return found[0] if found else ""


@lru_cache(maxsize=8)
def _renderer(tokenizer: Tokenizer, name: str, source: str, end_token: str) -> Renderer:
    return Renderer(tokenizer, Template(name, source, [], end_token))


@lru_cache(maxsize=8)
def _special_tokens(tokenizer: Tokenizer) -> re.Pattern[str]:
    added = {str(token) for token in tokenizer.added_tokens_decoder.values() if token.special}
    names = [re.escape(to_json(name)[1:-1]) for name in added | set(tokenizer.all_special_tokens)]
    return re.compile("|".join(sorted(names, reverse=True)) or r"(?!)")
