"""A row laid out for a reader: its messages, and with a tokenizer its tokens as training sees them."""

import json
from typing import TYPE_CHECKING, NamedTuple

from data.conversation import calls_of, content_text
from data.reading import NumberedRow
from data.row import Message, Row
from data.row_summary import Shape, shape_of
from data.rules.findings import Finding, one_line
from data.tokenizer_folder import TokenizerFolder

if TYPE_CHECKING:  # imports transformers, which a check without a tokenizer never needs
    from data.colour import Run

MAX_REQUEST = 110


class MessageView(NamedTuple):
    role: str
    is_trained: bool
    text: str
    calls: list[str]


class RowView(NamedTuple):
    where: str
    shape: Shape
    request: str
    """The start of what the user says first."""
    tools: list[str]
    messages: list[MessageView]
    runs: "list[Run]"
    """All tokens in order; empty without a tokenizer."""
    num_tokens: int
    num_trained: int
    findings: list[str]


def row_view(numbered: NumberedRow, folder: TokenizerFolder | None, findings: list[Finding]) -> RowView:
    """Raises UserError for a row that cannot be rendered."""
    row = numbered.row
    runs = _runs(row, folder) if folder else []
    return RowView(
        where=f"{numbered.path}:{numbered.line}",
        shape=shape_of(row),
        request=_request(row),
        tools=[tool.function.name for tool in row.tools or []],
        messages=[_message(message) for message in row.messages],
        runs=runs,
        num_tokens=sum(run.end - run.start for run in runs),
        num_trained=sum(run.end - run.start for run in runs if run.is_trained),
        findings=[f"{finding.severity} {finding.fault.rule}: {finding}" for finding in findings],
    )


def _runs(row: Row, folder: TokenizerFolder) -> "list[Run]":
    from data.colour import runs
    from data.render import render

    return list(runs(render(row, folder.tokenizer, folder.template), folder.tokenizer))


def _request(row: Row) -> str:
    said = next((content_text(message.content) for message in row.messages if message.role == "user"), "")
    text = one_line(said[: 2 * MAX_REQUEST])
    return text if len(text) <= MAX_REQUEST else text[: MAX_REQUEST - 1] + "…"


def _message(message: Message) -> MessageView:
    calls = [f"{call.name}({json.dumps(call.arguments, ensure_ascii=False)})" for call in calls_of(message)]
    text = content_text(message.content) or message.refusal or ""
    return MessageView(message.role, message.is_trained, text, calls)
