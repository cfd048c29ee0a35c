"""Row rules: what would teach a wrong thing although it has the form of a row.

Numbers in brackets are the rules of OpenAI's fine-tuning file contract that a check stands for (S1-S25).
"""

import json
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from data.conversation import arguments_object, content_text
from data.row import Message, Row, ToolCall
from data.user_error import UserError

# The hermes parser looks for these in what the model writes: inside a call they would cut it.
PARSER_TAGS = ("<tool_call>", "</tool_call>")
# Text that a tokenizer reads as control tokens ends a turn or starts another, wherever it stands.
CONTROL_TOKENS = (
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|python_tag|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|endoftext|>",
)


class Finding(NamedTuple):
    path: Path
    line: int
    rule: str
    """One word for counting."""
    reason: str
    message: int | None = None
    """1-based number of the message."""
    key: str = ""
    fix: str = ""
    severity: Literal["error", "warning"] = "error"

    @property
    def is_error(self) -> bool:
        return self.severity == "error"

    @property
    def where(self) -> str:
        """`FILE:LINE: message M, key "K"`."""
        place = [f"message {self.message}"] if self.message else []
        place += [f'key "{self.key}"'] if self.key else []
        return f"{self.path}:{self.line}" + (": " + ", ".join(place) if place else "")

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}" + (f" (fix: {self.fix})" if self.fix else "")


class Fault(NamedTuple):
    """A finding before it knows its file and line."""

    rule: str
    reason: str
    message: int | None = None
    key: str = ""
    fix: str = ""
    severity: Literal["error", "warning"] = "error"


def row_findings(path: Path, line: int, row: Row) -> list[Finding]:
    """Every fault of a row that has the form of one."""
    faults = [*_tool_faults(row), *_turn_faults(row), *_call_faults(row), *_answer_faults(row), *_text_faults(row)]
    # Names, ids and other libraries' messages may hold line breaks; a finding is one line.
    return [
        Finding(path, line, *fault)._replace(reason=" ".join(fault.reason.split()), key=" ".join(fault.key.split()))
        for fault in faults
    ]


def _tool_faults(row: Row) -> Iterator[Fault]:
    names = [tool.function.name for tool in row.tools or []]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield Fault("tools", f"tool {name!r} is listed twice", key="tools", fix="list it once")  # S15
    for index, tool in enumerate(row.tools or []):
        key = f"tools[{index}].function.parameters"
        if reason := _schema_fault(json.dumps(tool.function.parameters or {})):
            yield Fault("tools", f"not a JSON Schema: {reason}", key=key, fix="mend the schema")  # S16
    if not row.tools and any(message.tool_calls for message in row.messages):
        yield Fault(
            "missing_tools",
            "the row has tool calls but no tools",
            key="tools",
            fix="give every row the tools array that production sends",
        )


@lru_cache(maxsize=4096)  # rows share their tools: checking each row's anew took 20 s for 2,700 rows
def _schema_fault(schema: str) -> str:
    try:
        Draft202012Validator.check_schema(json.loads(schema))
    except SchemaError as error:
        return error.message
    except RecursionError:
        return "it is nested too deeply"
    return ""


@lru_cache(maxsize=4096)
def _validator(schema: str) -> Draft202012Validator:
    return Draft202012Validator(json.loads(schema))


def _turn_faults(row: Row) -> Iterator[Fault]:
    if not any(message.is_trained for message in row.messages):
        yield Fault("nothing_trained", "no assistant message to train on", fix="add one, or drop weight 0")  # S3
    if row.messages[-1].role != "assistant":
        yield Fault("ends_without_answer", "the row does not end on the assistant", severity="warning")  # S24
    for number, message in enumerate(row.messages, start=1):
        yield from _message_faults(number, message)


def _message_faults(number: int, message: Message) -> Iterator[Fault]:
    is_assistant = message.role == "assistant"
    if message.weight is not None and not is_assistant:
        yield Fault("weight", "weight is only allowed on assistant messages", number, "weight", "drop it")  # S4
    if message.tool_calls and not is_assistant:
        yield Fault("role", f"a {message.role} message cannot call tools", number, "tool_calls", "drop it")
    if message.role == "tool" and not message.tool_call_id:
        yield Fault("tool_call_id", "is required", number, "tool_call_id", "name the call it answers")  # S12
    if message.content is None and not is_assistant:
        yield Fault("content", "is required", number, "content", "write the text")  # S5, S12
    if is_assistant and not (content_text(message.content).strip() or message.refusal or message.tool_calls):
        yield Fault("content", "content is required unless tool_calls is given", number, "content", "write it")  # S7
    if message.refusal and message.content:
        yield Fault("refusal", "content and refusal cannot both be set", number, "refusal", "keep one")
    for key in ("refusal", "annotations"):
        if getattr(message, key) and not (is_assistant and key == "refusal"):
            yield Fault("unrendered", "is not rendered here, so it would be lost", number, key, "drop it")
    if message.tool_call_id and message.role != "tool":
        yield Fault("role", f"a {message.role} message answers no call", number, "tool_call_id", "drop it")
    if message.name and message.role != "tool":
        yield Fault("name", "name is not rendered", number, "name", severity="warning")  # S19


def _call_faults(row: Row) -> Iterator[Fault]:
    schemas = {
        tool.function.name: json.dumps(tool.function.parameters or {"type": "object"}) for tool in row.tools or []
    }
    for number, message in enumerate(row.messages, start=1):
        calls = message.tool_calls or []
        if not row.parallel_tool_calls and len(calls) > 1:  # S14
            reason = f"parallel_tool_calls is false but message has {len(calls)} tool calls"
            yield Fault("parallel", reason, number, "tool_calls", "split the turn, or allow parallel calls")
        for index, call in enumerate(calls):
            for fault in _one_call_faults(call, schemas, is_trained=message.is_trained):
                yield fault._replace(message=number, key=f"tool_calls[{index}].function{fault.key}")


def _one_call_faults(call: ToolCall, schemas: dict[str, str], *, is_trained: bool) -> Iterator[Fault]:
    name = call.function.name
    try:
        arguments = arguments_object(call.function.arguments)
    except UserError as error:  # S11
        yield Fault("arguments", error.what, key=".arguments", fix=error.fix)
        return
    if any(tag in _arguments_text(call) for tag in PARSER_TAGS):
        reason = "the arguments hold a <tool_call> tag, which the server's parser would cut at"
        yield Fault("parser_tag", reason, key=".arguments", fix="take the tag out of the value")
    # A failed call that only stands as context may well name a wrong tool or break the schema: that is its point.
    if not is_trained or not schemas:
        return
    if name not in schemas:
        yield Fault("unknown_tool", f"calls {name!r}, which is not in tools", key=".name", fix="list the tool")
        return
    if _schema_fault(schemas[name]):  # told once, at the tool
        return
    try:
        fault = next(iter(_validator(schemas[name]).iter_errors(arguments)), None)
    except Exception as error:  # an unresolvable $ref or a broken pattern raises whatever its library raises
        yield Fault("tools", f"the schema of {name!r} cannot be used: {error}", key=".arguments", fix="mend the schema")
        return
    if fault:
        path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in fault.absolute_path)
        reason = f"breaks the schema of {name!r}: {fault.message}"
        yield Fault("schema", reason, key=f".arguments{path}", fix="correct the call or the schema")


def _answer_faults(row: Row) -> Iterator[Fault]:
    """Results must answer the calls before them, all of them, in the order of the calls (S13).

    The order counts because ids are not rendered: to the model the first result belongs to the first call.
    """
    open_ids: list[str] = []
    for number, message in enumerate(row.messages, start=1):
        if message.role == "tool":
            if message.tool_call_id not in open_ids:
                reason = f'tool_call_id "{message.tool_call_id}" does not match a preceding tool call'
                yield Fault(
                    "tool_call_id", reason, number, "tool_call_id", "name an unanswered call of the turn before"
                )
                continue
            if message.tool_call_id != open_ids[0]:
                reason = "results are not in the order of the calls, and ids are not rendered"
                yield Fault("result_order", reason, number, "tool_call_id", "put the results in the order of the calls")
            open_ids.remove(message.tool_call_id or "")
            continue
        for missing in open_ids:
            reason = f'Missing tool message for tool_call_id "{missing}"'
            yield Fault("unanswered_call", reason, number, "tool_call_id", "add the result before this message")
        open_ids = [call.id for call in message.tool_calls or []]
        if len(set(open_ids)) < len(open_ids):
            yield Fault("tool_call_id", "two calls of the turn share an id", number, "tool_calls", "make ids unique")


def _text_faults(row: Row) -> Iterator[Fault]:
    for index, tool in enumerate(row.tools or []):
        yield from _control_faults(tool.model_dump_json(), None, f"tools[{index}]")
    for number, message in enumerate(row.messages, start=1):
        text = content_text(message.content) or message.refusal or ""
        key = "content" if message.content else "refusal"
        yield from _control_faults(text, number, key)
        for index, call in enumerate(message.tool_calls or []):
            yield from _control_faults(_arguments_text(call), number, f"tool_calls[{index}].function.arguments")
        if message.role == "assistant" and any(tag in text for tag in PARSER_TAGS):
            reason = "holds a <tool_call> tag as text, which the server would parse as a call"
            yield Fault("parser_tag", reason, number, key, "move the call to tool_calls")


def _control_faults(text: str, number: int | None, key: str) -> Iterator[Fault]:
    for token in CONTROL_TOKENS:
        if token in text:
            reason = f"holds the control token {token}, which would end or start a turn"
            yield Fault("control_token", reason, number, key, "take it out")


def _arguments_text(call: ToolCall) -> str:
    """The arguments as they are rendered: what is hidden behind escapes (`\\u003c`) comes to light."""
    try:
        return json.dumps(arguments_object(call.function.arguments), ensure_ascii=False)
    except UserError:
        return str(call.function.arguments)
