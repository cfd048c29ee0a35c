"""The rules of preference rows (P1 to P8): those of chat rows for the input and each output, and a few of their own."""

from collections.abc import Iterator

from data.conversation import conversation
from data.preference_row import PreferenceRow
from data.row import JsonObject, Message, Row
from data.rules.findings import Fault
from data.rules.rows import row_faults

OUTPUTS = ("preferred_output", "non_preferred_output")
OLDER_NAMES = {"preferred_completion": "preferred_output", "non_preferred_completion": "non_preferred_output"}
# What a row must have to be learned from its messages: an input is only the question.
NOT_OF_AN_INPUT = {"nothing_trained", "ends_without_answer"}


def is_preference(raw: JsonObject) -> bool:
    return "messages" not in raw and any(key in raw for key in ("input", *OUTPUTS, *OLDER_NAMES))


def with_todays_names(raw: JsonObject) -> tuple[JsonObject, list[Fault]]:
    """The row with the keys of the guide and the API; those of the 2025 specification are told (P2)."""
    older = [key for key in raw if key in OLDER_NAMES and OLDER_NAMES[key] not in raw]
    faults = [
        Fault("output_keys", f"{key} is the older name", key=key, fix=f"write {OLDER_NAMES[key]}") for key in older
    ]
    return {OLDER_NAMES[key] if key in older else key: value for key, value in raw.items()}, faults


def with_place_hint(fault: Fault) -> Fault:
    """What belongs to the input is often written beside it (P3)."""
    if fault.rule == "extra_key" and fault.key in Row.model_fields:
        return fault._replace(reason=f"{fault.key} belongs into input", fix="move it there")
    return fault


def preference_faults(row: PreferenceRow) -> list[Fault]:
    return [*_own_faults(row), *_input_faults(row), *_output_faults(row), *_weight_faults(row)]


def _own_faults(row: PreferenceRow) -> Iterator[Fault]:
    last = len(row.input.messages)
    if row.input.messages[-1].role == "assistant":  # P4
        reason = "The last input message must not be from the assistant"
        yield Fault("preference", reason, last, "role", "move it to the outputs")
    for key in OUTPUTS:
        output: list[Message] = getattr(row, key)
        if [message.role for message in output] != ["assistant"]:  # P5
            yield Fault("preference", "Expected exactly one assistant message", key=key, fix="give the answer alone")


def _input_faults(row: PreferenceRow) -> Iterator[Fault]:
    yield from (fault for fault in row_faults(row.with_output([])) if fault.rule not in NOT_OF_AN_INPUT)


def _output_faults(row: PreferenceRow) -> Iterator[Fault]:
    """P6: the rules of assistant messages; P7: outputs that differ only in how they are written teach nothing."""
    if any(len(getattr(row, key)) != 1 for key in OUTPUTS):
        return
    number, faults = len(row.input.messages) + 1, []
    # A worse answer may well name a wrong tool or break the schema: that is its point.
    for key, whole in zip(OUTPUTS, (row.chosen(), row.rejected_as_context()), strict=True):
        own = [fault for fault in row_faults(whole) if fault.message == number and fault.rule != "unanswered_call"]
        faults += [fault._replace(message=None, key=f"{key}[0].{fault.key}") for fault in own]
    yield from faults
    is_readable = not any(fault.rule == "arguments" for fault in faults + list(_input_faults(row)))
    if is_readable and conversation(row.chosen()).messages[-1] == conversation(row.rejected()).messages[-1]:
        reason, fix = "preferred and non-preferred outputs are identical", "drop the row: there is nothing to prefer"
        yield Fault("same_outputs", reason, key=OUTPUTS[1], fix=fix)


def _weight_faults(row: PreferenceRow) -> Iterator[Fault]:
    for number, message in enumerate(row.input.messages, start=1):
        if message.weight is not None:
            yield Fault("ignored_weight", "weight is ignored in a preference row", number, "weight", "drop it")
    for key in OUTPUTS:
        for index, message in enumerate(getattr(row, key)):
            if message.weight is not None:
                place = f"{key}[{index}].weight"
                yield Fault("ignored_weight", "weight is ignored in a preference row", key=place, fix="drop it")
