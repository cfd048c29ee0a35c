"""Messages by themselves: who may say what, and what is trained (S3 to S8, S12, S19, S22, S24)."""

from collections.abc import Iterator

from data.conversation import content_text
from data.row import Message, RefusalPart, Row
from data.rules.findings import Fault


def message_faults(row: Row) -> Iterator[Fault]:
    roles = [message.role for message in row.messages]
    if not any(message.is_trained for message in row.messages):
        yield Fault("nothing_trained", "No assistant message to train on", fix="add one, or drop weight 0")  # S3
    if roles[-1] != "assistant":
        yield Fault("ends_without_answer", "the row does not end on the assistant")  # S24
    if "user" not in roles:
        yield Fault("no_user", "the row has no user message", fix="keep the request that is answered")
    for number, message in enumerate(row.messages, start=1):
        faults = _assistant_faults(message) if message.role == "assistant" else _other_faults(message)
        for fault in (*faults, *_common_faults(message)):
            yield fault._replace(message=number)
        if roles[max(number - 2, 0) : number] == ["assistant"] * 2 and not row.messages[number - 2].tool_calls:
            reason = "an assistant message follows an assistant message, which no server asks for"
            yield Fault("repeated_answer", reason, number, "role", "restore the request between them, or join the two")


def _assistant_faults(message: Message) -> Iterator[Fault]:
    if not (content_text(message.content).strip() or message.refusal or message.tool_calls):  # S7
        yield Fault("content", "content is required unless tool_calls is given", key="content", fix="write it")
    if message.refusal and message.content:
        yield Fault("refusal", "content and refusal cannot both be set", key="refusal", fix="keep one")
    parts = message.content if isinstance(message.content, list) else []
    if len(parts) > 1 and any(isinstance(part, RefusalPart) for part in parts):  # S8
        yield Fault("content", "Expected text parts or one refusal part", key="content", fix="keep one kind")


def _other_faults(message: Message) -> Iterator[Fault]:
    role = message.role
    if message.weight is not None:  # S4
        yield Fault("weight", "weight is only allowed on assistant messages", key="weight", fix="drop it")
    if message.tool_calls:
        yield Fault("role", f"a {role} message cannot call tools", key="tool_calls", fix="drop it")
    if message.refusal:
        yield Fault("role", f"a {role} message cannot refuse", key="refusal", fix="write it as content")
    if message.content is None:  # S5, S12
        reason = "Field required" if role == "tool" else "Input should be a valid string"
        yield Fault("content", reason, key="content", fix="write the text")
    elif role != "tool" and not content_text(message.content).strip():
        yield Fault("empty_text", "is empty", key="content", fix="write the text, or drop the message")
    parts = message.content if isinstance(message.content, list) else []
    if any(isinstance(part, RefusalPart) for part in parts):
        yield Fault("role", f"a {role} message cannot refuse", key="content", fix="write it as text")


def _a(role: str) -> str:
    return f"an {role}" if role == "assistant" else f"a {role}"


def _common_faults(message: Message) -> Iterator[Fault]:
    if message.annotations:
        yield Fault("unrendered", "is not rendered here, so it would be lost", key="annotations", fix="drop it")
    if message.tool_call_id and message.role != "tool":
        yield Fault("role", f"{_a(message.role)} message answers no call", key="tool_call_id", fix="drop it")
    if message.name and message.role != "tool":
        yield Fault("name", "name is not rendered", key="name")  # S19
