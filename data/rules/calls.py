"""Calls and the results that answer them (S9 to S14, S17, S18)."""

from collections.abc import Iterator

from data.conversation import arguments_object
from data.row import Message, Row, ToolCall
from data.rules.arguments import argument_faults, broken_schema, schema_text
from data.rules.findings import Fault
from data.rules.text import PARSER_TAGS, arguments_text
from data.user_error import UserError


def call_faults(row: Row) -> Iterator[Fault]:
    schemas = {
        tool.function.name: schema_text(tool.function.parameters or {"type": "object", "properties": {}})
        for tool in row.tools or []
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
    if not isinstance(call.function.arguments, str):  # S10
        reason = "Input should be a valid string: JSON-encode the arguments object"
        yield Fault("object_arguments", reason, key=".arguments", fix="an object is taken here, but not by OpenAI")
    if any(tag in arguments_text(call) for tag in PARSER_TAGS):
        reason = "the arguments hold a <tool_call> tag, which the server's parser would cut at"
        yield Fault("parser_tag", reason, key=".arguments", fix="take the tag out of the value")
    # A failed call that only stands as context may well name a wrong tool or break the schema: that is its point.
    if not is_trained or not schemas:
        return
    if name not in schemas:
        yield Fault("unknown_tool", f"calls {name!r}, which is not in tools", key=".name", fix="list the tool")
    elif not broken_schema(schemas[name]):  # told once, at the tool
        for fault in argument_faults(name, schemas[name], arguments):
            yield fault._replace(key=f".arguments{fault.key}")


def answer_faults(row: Row) -> Iterator[Fault]:
    """Results must answer the calls before them, all of them, in the order of the calls (S13).

    The order counts because ids are not rendered: to the model the first result belongs to the first call.
    """
    open_ids: list[str] = []
    for number, message in enumerate(row.messages, start=1):
        if message.role == "tool":
            yield from _result_faults(number, message, open_ids)
            continue
        yield from _unanswered(number, open_ids, "add the result before this message")
        open_ids = [call.id for call in message.tool_calls or []]
        if len(set(open_ids)) < len(open_ids):
            yield Fault("tool_call_id", "two calls of the turn share an id", number, "tool_calls", "make ids unique")
    if row.messages[-1].role == "tool":  # a row may end on its calls, but not on half of their results
        yield from _unanswered(len(row.messages), open_ids, "add the result, in the order of the calls")


def _result_faults(number: int, message: Message, open_ids: list[str]) -> Iterator[Fault]:
    """Takes the answered id out of `open_ids`."""
    key, call_id = "tool_call_id", message.tool_call_id
    if not call_id:
        yield Fault(key, "Field required", number, key, "name the call it answers")  # S12
    elif call_id not in open_ids:
        reason = f'tool_call_id "{call_id}" does not match a preceding tool call'
        yield Fault(key, reason, number, key, "name an unanswered call of the turn before")
    else:
        if call_id != open_ids[0]:
            reason = "results are not in the order of the calls, and ids are not rendered"
            yield Fault("result_order", reason, number, key, "put the results in the order of the calls")
        open_ids.remove(call_id)


def _unanswered(number: int, open_ids: list[str], fix: str) -> Iterator[Fault]:
    for missing in open_ids:
        reason = f'Missing tool message for tool_call_id "{missing}"'
        yield Fault("unanswered_call", reason, number, "tool_call_id", fix)
