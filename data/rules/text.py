"""Text that would not stay text: control tokens and the tags of the server's parser."""

import json
import re
from collections.abc import Iterator

from data.conversation import arguments_object, content_text
from data.row import Row, ToolCall
from data.rules.findings import Fault
from data.user_error import UserError

# The hermes parser looks for these in what the model writes: inside a call they would cut it.
PARSER_TAGS = ("<tool_call>", "</tool_call>")
# Text that a tokenizer reads as control tokens ends a turn or starts another, wherever it stands. What a tokenizer
# has beyond these is refused where its rows are rendered.
CONTROL_TOKENS = re.compile(
    r"<\|(?:begin_of_text|end_of_text|start_header_id|end_header_id|eot_id|eom_id|python_tag|finetune_right_pad_id"
    r"|reserved_special_token_\d+|im_start|im_end|im_sep|endoftext|endofprompt)\|>"
)


def text_faults(row: Row) -> Iterator[Fault]:
    # Few rows hold these letters, or an escape that may hide them; the others need not be looked through part by part.
    whole = row.model_dump_json()
    if "<|" in whole or "\\u" in whole or any(tag in whole for tag in PARSER_TAGS):
        yield from _faults_of_parts(row)


def _faults_of_parts(row: Row) -> Iterator[Fault]:
    for index, tool in enumerate(row.tools or []):
        yield from _control_faults(json.dumps(tool.model_dump(), ensure_ascii=False), None, f"tools[{index}]")
    for number, message in enumerate(row.messages, start=1):
        text = content_text(message.content) or message.refusal or ""
        key = "content" if message.content else "refusal"
        yield from _control_faults(text, number, key)
        for index, call in enumerate(message.tool_calls or []):
            yield from _control_faults(arguments_text(call), number, f"tool_calls[{index}].function.arguments")
        if message.role == "assistant" and any(tag in text for tag in PARSER_TAGS):
            reason = "holds a <tool_call> tag as text, which the server would parse as a call"
            yield Fault("parser_tag", reason, number, key, "move the call to tool_calls")


def arguments_text(call: ToolCall) -> str:
    """The arguments as they are rendered: what is hidden behind escapes (`\\u003c`) comes to light."""
    try:
        return json.dumps(arguments_object(call.function.arguments), ensure_ascii=False)
    except UserError:
        return str(call.function.arguments)


def _control_faults(text: str, number: int | None, key: str) -> Iterator[Fault]:
    for token in dict.fromkeys(CONTROL_TOKENS.findall(text)):
        reason = f"holds the control token {token}, which would end or start a turn"
        yield Fault("control_token", reason, number, key, "take it out")
