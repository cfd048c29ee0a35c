"""How severe each rule is; `data.rules` of a recipe and `--rule NAME=off` of `data.check` may change it."""

import difflib
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic_core import PydanticCustomError

from data.user_error import UserError

Severity = Literal["error", "warning"]
FILE_NAME = "rules.json"
"""Rows that were prepared under other severities than the defaults carry them beside them, under this name."""


def _yaml_off(value: Any) -> Any:
    """YAML 1.1 reads a bare `off` as false."""
    return "off" if value is False else value


def _fixed(value: Any) -> Any:
    if value != "error":
        raise PydanticCustomError(
            "fixed_rule", "stays an error: without it a row could not be rendered, learned and read back"
        )
    return value


Setting = Annotated[Literal["error", "warning", "off"], BeforeValidator(_yaml_off)]
Fixed = Annotated[Literal["error"], BeforeValidator(_fixed)]


class RuleSeverities(BaseModel):
    """One field a rule, with its default. S and P numbers are those of OpenAI's fine-tuning file contract."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    broken_json: Fixed = "error"
    """The line is no JSON object, or one that loses something when it is read (NaN, a key twice)."""
    file_format: Fixed = "error"
    """The line is neither a chat row nor a preference row, or a file holds both."""
    form: Fixed = "error"
    """A key is missing, or its value has the wrong type (S1, S2, S4 to S10, S12, S14 to S16, S20, S21, P1, P3)."""
    extra_key: Setting = "error"
    """A key that the layout does not have (S22, P1); with `warning` or `off` it is left out of the row."""
    nothing_trained: Fixed = "error"
    """No assistant message to train on (S3)."""
    weight: Setting = "error"
    """A weight on another message than the assistant's (S4)."""
    role: Fixed = "error"
    """A message with what only another role may have."""
    content: Fixed = "error"
    """A message without content (S5, S7, S8, S12)."""
    refusal: Fixed = "error"
    """Content and refusal both set."""
    unrendered: Setting = "error"
    """What no template writes (annotations), so it would be lost."""
    arguments: Fixed = "error"
    """Arguments that are no JSON object (S11)."""
    control_token: Fixed = "error"
    """Text that the tokenizer reads as a control token, or a doubled BOS."""
    parser_tag: Fixed = "error"
    """A tag of the server's parser in text or arguments."""
    tool_call_id: Setting = "error"
    """A result that answers no call of the turn before, or two calls with one id (S12, S13)."""
    unanswered_call: Setting = "error"
    """A call without its result (S13)."""
    result_order: Setting = "error"
    """Results in another order than their calls: ids are not rendered."""
    parallel: Setting = "error"
    """Several calls in a turn of a row that says parallel_tool_calls false (S14)."""
    duplicate_tool: Setting = "error"
    """Two tools of one name (S15)."""
    tool_schema: Setting = "error"
    """Parameters that are no JSON Schema object (S16)."""
    missing_tools: Setting = "error"
    """Calls in a row without tools (S17, where OpenAI only warns)."""
    unknown_tool: Setting = "error"
    """A trained call to a tool that is not in tools (S17, where OpenAI only warns)."""
    argument_schema: Setting = "error"
    """Arguments of a trained call that break the tool's JSON Schema (S18)."""
    argument_format: Setting = "error"
    """An argument that is not of its schema's `format` (date, date-time, time, email, phone, uuid, uri, IP)."""
    unknown_argument: Setting = "error"
    """An argument that the tool's schema does not list, where it does not say that others may come."""
    null_argument: Setting = "error"
    """A null that the schema does not allow: what table libraries fill in."""
    preference: Fixed = "error"
    """A preference row whose input ends on the assistant, or whose outputs are not one assistant message (P4, P5)."""
    same_outputs: Setting = "error"
    """Preferred and other output are the same (P7)."""
    render: Fixed = "error"
    """The chat template cannot render the row, or loses a part of it (S25)."""
    too_long: Setting = "error"
    """More tokens than --max-length (a recipe decides by `data.too_long`)."""
    leak: Setting = "error"
    """A held-out row that is also a training row."""
    object_arguments: Setting = "warning"
    """Arguments given as an object: taken here, refused by OpenAI (S10)."""
    name: Setting = "warning"
    """A name, which is not rendered (S19)."""
    ends_without_answer: Setting = "warning"
    """The row does not end on the assistant (S24)."""
    empty_text: Setting = "warning"
    """A system or user message of nothing but blanks."""
    repeated_answer: Setting = "warning"
    """An assistant message straight after another: a request was lost, or its role is wrong (legal by S23)."""
    no_user: Setting = "warning"
    """A row in which nobody asks."""
    strict_schema: Setting = "warning"
    """A tool with `strict: true` whose schema is not strict: additionalProperties false, everything required."""
    uneven_tools: Setting = "warning"
    """A row without tools in a file whose other rows have them."""
    contradiction: Setting = "warning"
    """The same messages and tools as in an earlier row, then other calls."""
    duplicate: Setting = "warning"
    """The same row as an earlier one."""
    near_duplicate: Setting = "warning"
    """The same calls in nearly the same words as an earlier row."""
    output_keys: Setting = "warning"
    """The older names preferred_completion and non_preferred_completion (P2)."""
    ignored_weight: Setting = "warning"
    """A weight in a preference row (P8)."""

    def of(self, rule: str) -> Literal["error", "warning", "off"]:
        setting: Literal["error", "warning", "off"] = getattr(self, rule)
        return setting

    def errors_alone(self) -> "RuleSeverities":
        """The same with every warning off: for whoever stops at errors and prints no warning."""
        quiet = {rule: "off" for rule in type(self).model_fields if self.of(rule) == "warning"}
        return self.model_copy(update=quiet)


DEFAULTS = RuleSeverities()


def with_options(severities: RuleSeverities, options: list[str]) -> RuleSeverities:
    """`NAME=SEVERITY` options of the command line over the settings of a recipe. Raises UserError for a wrong one."""
    chosen = severities.model_dump(exclude_defaults=True)
    for option in options:
        name, _, severity = option.partition("=")
        if name not in RuleSeverities.model_fields:
            close = difflib.get_close_matches(name, RuleSeverities.model_fields, n=1)
            fix = f"did you mean {close[0]!r}?" if close else f"known rules: {', '.join(RuleSeverities.model_fields)}"
            raise UserError(f"no rule {name!r}", where="--rule", fix=fix)
        chosen[name] = severity
    try:
        return RuleSeverities.model_validate(chosen)
    except ValidationError as error:
        fault = error.errors()[0]
        raise UserError(
            f"{fault['loc'][0]} {fault['msg']}" if fault["type"] == "fixed_rule" else fault["msg"],
            where=f"--rule {fault['loc'][0]}",
            fix="leave it out" if fault["type"] == "fixed_rule" else "write NAME=error, NAME=warning or NAME=off",
        ) from error


def severities_beside(path: Path) -> RuleSeverities:
    """The severities under which the rows in `path` were prepared; the defaults where nothing else is written."""
    beside = path.with_name(FILE_NAME)
    if not beside.is_file():
        return DEFAULTS
    try:
        return RuleSeverities.model_validate(yaml.safe_load(beside.read_text()))
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"cannot be read: {reason}", where=str(beside), fix="run data.prepare again") from error
