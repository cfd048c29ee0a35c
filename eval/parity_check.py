"""One row against vLLM's front end: are the trained tokens the served ones, and does its parser read back the row?"""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from data.chat_request import chat_request
from data.conversation import Call, calls_of, content_text
from data.reading import NumberedRow
from data.render import Rendered, Tokenizer, Turn, render
from data.row import JsonObject, Message
from data.template import Template
from data.user_error import UserError
from eval.front_end import FrontEndClient, Parsed, RefusedError
from eval.json_values import same_json

CONTEXT = 12  # tokens shown on each side of a difference


class Difference(NamedTuple):
    where: str
    """`FILE:LINE: message M`."""
    check: str
    """"prompt", "end", "parse" or "streamed parse"."""
    detail: str

    def __str__(self) -> str:
        return f"{self.where}: {self.check}: {self.detail}"


@dataclass
class Tally:
    """Sums over all rows; every row is either compared or named in `refused`."""

    rows: int = 0
    turns: int = 0
    prompts_equal: int = 0
    turns_parsed: int = 0
    """The trained turns: only what is trained must parse back."""
    parses_equal: int = 0
    streamed_parses_equal: int = 0
    refused: list[str] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)

    @property
    def is_equal(self) -> bool:
        """No data is no proof."""
        return self.turns > 0 and not self.differences


class Renderer(NamedTuple):
    tokenizer: Tokenizer
    template: Template
    max_model_len: int


class TurnCheck(NamedTuple):
    where: str
    request: JsonObject
    prompt_ids: list[int]
    turn: Turn
    written: list[int]
    """The tokens of the turn."""
    message: Message


async def check_row(numbered: NumberedRow, renderer: Renderer, client: FrontEndClient, tally: Tally) -> None:
    """Compare every assistant turn of a row, and add what was found to the tally."""
    where = f"{numbered.path}:{numbered.line}"
    try:
        rendered = render(numbered.row, renderer.tokenizer, renderer.template)
        _require_fit(rendered, renderer.max_model_len)
    except UserError as error:
        tally.refused.append(f"{where}: {error}")
        return
    tally.rows += 1
    checks = [_turn_check(where, numbered, rendered, turn) for turn in rendered.turns]
    await asyncio.gather(*[_check_turn(check, renderer, client, tally) for check in checks])


def _turn_check(where: str, numbered: NumberedRow, rendered: Rendered, turn: Turn) -> TurnCheck:
    return TurnCheck(
        f"{where}: message {turn.message + 1}", chat_request(numbered.row, turn.message),
        rendered.input_ids[: turn.start], turn, rendered.input_ids[turn.start : turn.end],
        numbered.row.messages[turn.message],
    )  # fmt: skip


def _require_fit(rendered: Rendered, max_model_len: int) -> None:
    if len(rendered.input_ids) > max_model_len:
        raise UserError(
            f"{len(rendered.input_ids)} tokens, more than the model's {max_model_len}", fix="shorten the row"
        )


async def _check_turn(check: TurnCheck, renderer: Renderer, client: FrontEndClient, tally: Tally) -> None:
    tally.turns += 1
    if found := await _prompt_difference(check, renderer.tokenizer, client):
        tally.differences.append(Difference(check.where, "prompt", found))
    else:
        tally.prompts_equal += 1
    if not check.turn.is_trained:
        return
    tally.turns_parsed += 1
    if found := _end_difference(check, renderer):
        tally.differences.append(Difference(check.where, "end", found))
    if found := await _parse_difference(client.parse, check):
        tally.differences.append(Difference(check.where, "parse", found))
    else:
        tally.parses_equal += 1
    if found := await _parse_difference(client.parse_streamed, check):
        tally.differences.append(Difference(check.where, "streamed parse", found))
    else:
        tally.streamed_parses_equal += 1


async def _prompt_difference(check: TurnCheck, tokenizer: Tokenizer, client: FrontEndClient) -> str:
    try:
        served = await client.prompt_ids(check.request)
    except RefusedError as error:
        return str(error)
    return first_token_difference(check.prompt_ids, served, tokenizer)


def _end_difference(check: TurnCheck, renderer: Renderer) -> str:
    """A model that is not trained to write the end token never stops."""
    end = renderer.tokenizer.convert_tokens_to_ids(renderer.template.end_token)
    if check.written[-1:] == [end]:
        return ""
    return f"the turn ends with {renderer.tokenizer.decode(check.written[-3:])!r}, not {renderer.template.end_token}"


async def _parse_difference(parse: Any, check: TurnCheck) -> str:
    try:
        return message_difference(check.message, await parse(check.request, check.prompt_ids, check.written))
    except RefusedError as error:
        return str(error)


def first_token_difference(trained: list[int], served: list[int], tokenizer: Tokenizer) -> str:
    """Where two token lists part, with the text around it, or ""."""
    if trained == served:
        return ""
    pairs = enumerate(zip(trained, served, strict=False))
    at = next((index for index, (a, b) in pairs if a != b), min(len(trained), len(served)))
    before = tokenizer.decode(trained[max(0, at - CONTEXT) : at])
    trained_text, served_text = (tokenizer.decode(ids[at : at + CONTEXT]) for ids in (trained, served))
    return (
        f"token {at} differs, after {before!r}: trained {trained_text!r} {trained[at : at + 3]}, "
        f"served {served_text!r} {served[at : at + 3]}"
    )


def message_difference(message: Message, parsed: Parsed) -> str:
    """What of a trained message the server's parser does not give back, or ""."""
    text = (content_text(message.content) or message.refusal or "").strip()
    if parsed.text.strip() != text:
        return f"text {text!r} is read as {parsed.text.strip()!r}"
    calls = calls_of(message)
    if len(calls) != len(parsed.calls):
        return f"{len(calls)} calls are read as {len(parsed.calls)}"
    for number, (call, (name, arguments)) in enumerate(zip(calls, parsed.calls, strict=True), start=1):
        if call.name != name or not _same_json(call, arguments):
            return f"call {number} {call.name}({json.dumps(call.arguments)}) is read as {name}({arguments})"
    return ""


def _same_json(call: Call, arguments: str) -> bool:
    try:
        return same_json(call.arguments, json.loads(arguments))
    except json.JSONDecodeError:
        return False
