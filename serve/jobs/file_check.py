"""A job's file against the contract's rules, with what is wrong in the words that OpenAI's clients read."""

import re
from pathlib import Path
from typing import Any, Literal, NamedTuple

from data.reading import read_row_file
from data.rules.findings import Finding
from data.rules.severities import RuleSeverities
from data.user_error import UserError

MAX_TOLD = 100
PREFIX = "The job failed due to an invalid {kind} file. "
Kind = Literal["training", "validation"]


_FOUND_LATER = re.compile(r"(training|validation)(?:-chosen)?\.jsonl:(\d+): (.*)")


class RowError(NamedTuple):
    code: str
    text: str
    """One line, without the prefix."""
    finding: Finding

    def as_json(self) -> dict[str, Any]:
        fault = self.finding.fault
        return {
            "line": self.finding.line, "message": fault.message, "key": fault.key or None, "code": self.code,
            "detail": fault.reason,
        }  # fmt: skip


class FileFault(NamedTuple):
    """Why a job fails for one of its files."""

    code: str
    message: str
    param: str
    data: dict[str, Any]
    """`errors` of up to a hundred rows, and `n_bad_lines`."""


class CheckedFile(NamedTuple):
    num_rows: int
    fault: FileFault | None
    warnings: list[str]


def check_file(
    path: Path, file_id: str, kind: Kind, method: str, rules: RuleSeverities, min_rows: int
) -> CheckedFile:  # fmt: skip
    try:
        file = read_row_file(path, rules)
    except UserError as error:
        return CheckedFile(0, _fault("invalid_file_format", f"Invalid file format. {error.what}", kind), [])
    errors = [row_error(finding) for finding in file.findings if finding.is_error]
    num_rows = file.num_lines
    if errors:
        return CheckedFile(num_rows, _row_fault(errors, kind), [])
    if misfit := _misfit(bool(file.preferences), method, file_id):
        return CheckedFile(num_rows, _fault("invalid_training_file", misfit, kind), [])
    if num_rows < min_rows:
        few = f"{kind.title()} file has {num_rows} example(s), but must have at least {min_rows} examples"
        return CheckedFile(num_rows, FileFault("invalid_n_examples", few, f"{kind}_file", {}), [])
    return CheckedFile(num_rows, None, _warnings(file.findings))


def fault_of_rows(cause: str) -> FileFault | None:
    """What the job's first step found in a line, which takes a tokenizer (S25), in the same words."""
    if not (found := _FOUND_LATER.fullmatch(cause)):
        return None
    kind: Kind = "training" if found[1] == "training" else "validation"
    return _fault("invalid_training_file", f"Invalid file format. Line {found[2]}: {found[3]}", kind)


def row_error(finding: Finding) -> RowError:
    fault, line = finding.fault, finding.line
    if fault.rule == "broken_json":
        text = f"Example {line} cannot be parsed. Error: line contains invalid json: {fault.reason} (line {line})"
        return RowError("invalid_file_format", text, finding)
    if fault.rule == "file_format":
        wrong = "Unexpected file format, expected either prompt/completion pairs or chat messages."
        return RowError("invalid_training_file", wrong, finding)
    if fault.reason.startswith("missing key ") and fault.message is None:
        text = f"Invalid file format. Example {line} is {fault.reason}."
        return RowError("invalid_file_format", text, finding)
    if fault.rule == "extra_key" and fault.message is None and "." not in fault.key:
        text = f'Invalid file format. Example {line} contains an extra "{fault.key}".'
        return RowError("invalid_file_format", text, finding)
    place = [f"Line {line}"] + ([f"message {fault.message}"] if fault.message else [])
    place += [f'key "{fault.key}"'] if fault.key else []
    return RowError("invalid_training_file", f"Invalid file format. {', '.join(place)}: {fault.reason}", finding)


def _row_fault(errors: list[RowError], kind: Kind) -> FileFault:
    lines = {error.finding.line for error in errors}
    more = f" (+{len(errors) - 1} more, see events)" if len(errors) > 1 else ""
    data = {"errors": [error.as_json() for error in errors[:MAX_TOLD]], "n_bad_lines": len(lines)}
    return _fault(errors[0].code, errors[0].text + more, kind, data)


def _fault(code: str, text: str, kind: Kind, data: dict[str, Any] | None = None) -> FileFault:
    code = "invalid_validation_file" if kind == "validation" else code
    return FileFault(code, PREFIX.format(kind=kind) + text, f"{kind}_file", data or {})


def _misfit(has_preferences: bool, method: str, file_id: str) -> str | None:
    wanted, layout = ("dpo", "fine-tune-preference") if has_preferences else ("supervised", "fine-tune-chat")
    if method == wanted:
        return None
    return (
        f"Input file {file_id} is in the {layout} format, but the specified fine-tuning job is not using "
        f"'{wanted}' as the training method (provided method={method})."
    )


def _warnings(findings: list[Finding]) -> list[str]:
    """One line a rule: how many rows, and the first lines."""
    lines: dict[tuple[str, str], list[int]] = {}
    for finding in findings:
        lines.setdefault((finding.fault.rule, finding.fault.reason), []).append(finding.line)
    by_rule: dict[str, tuple[str, list[int]]] = {}
    for (rule, reason), found in lines.items():
        by_rule.setdefault(rule, (reason, []))[1].extend(found)
    return [
        f"{len(found)} warning(s) of {rule}, lines {', '.join(map(str, sorted(set(found))[:20]))}; the first: {reason}"
        for rule, (reason, found) in by_rule.items()
    ]
