"""Whose fault it is that a recipe run ended with status 2: a row's, the file's, or that of what the job asks for."""

import re

from serve.jobs.ending import Failure
from serve.jobs.file_check import fault_of_rows

_OF_A_FILE = re.compile(r"(training|validation)(?:-chosen)?\.jsonl\b")


def blamed(cause: str) -> Failure:
    """`cause` is the last line of the log, without the path of the job's folder."""
    if fault := fault_of_rows(cause):
        return Failure(fault.code, fault.message, fault.param)
    if found := _OF_A_FILE.match(cause):
        return Failure(f"invalid_{found[1]}_file", cause, f"{found[1]}_file")
    if cause.startswith("model.path: ") and "was not tuned" in cause:
        what = cause.removeprefix("model.path: ").partition(" (fix: ")[0]
        advice = "train a supervised job on it first, and give that job's fine_tuned_model as the model of this one"
        return Failure("model_not_tuned", f"Preferences cannot be learnt from this base model: {what}; {advice}")
    return Failure("invalid_job", cause)
