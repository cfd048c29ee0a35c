"""OpenAI's `string_check` and `text_similarity` graders (openai SDK, types/graders) on an item and a sample."""

from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, TypeAdapter, ValidationError

from data.graders.paths import check_template, fill
from data.graders.similarity import NOT_HERE, Metric, text_similarity
from data.row import JsonObject
from data.section import Section
from data.user_error import UserError

_RUNS_HERE = ("string_check", "text_similarity")


class Grade(NamedTuple):
    name: str
    score: float
    """0 to 1."""
    passed: bool
    why: str = ""
    """Why it could not be graded, which counts as not passed."""


class StringCheck(Section):
    type: Literal["string_check"]
    name: str
    input: str
    reference: str
    operation: Literal["eq", "ne", "like", "ilike"]
    """Equal, not equal, contains, contains without regard to case: does `input` so to `reference`?"""

    def score(self, text: str, reference: str) -> tuple[float, bool]:
        outcomes = {
            "eq": text == reference,
            "ne": text != reference,
            "like": reference in text,
            "ilike": reference.casefold() in text.casefold(),
        }
        return float(outcomes[self.operation]), outcomes[self.operation]


class TextSimilarity(Section):
    type: Literal["text_similarity"]
    name: str
    input: str
    reference: str
    evaluation_metric: Metric
    pass_threshold: float = Field(ge=0, le=1)

    def score(self, text: str, reference: str) -> tuple[float, bool]:
        score = text_similarity(self.evaluation_metric, text, reference)
        return score, score >= self.pass_threshold


Grader = Annotated[StringCheck | TextSimilarity, Field(discriminator="type")]
_GRADER: TypeAdapter[StringCheck | TextSimilarity] = TypeAdapter(Grader)


def read_grader(definition: Any, where: str) -> StringCheck | TextSimilarity:
    """One entry of an eval's `testing_criteria`. Raises UserError for what is wrong or cannot be run here."""
    kind = definition.get("type") if isinstance(definition, dict) else None
    metric = definition.get("evaluation_metric") if isinstance(definition, dict) else None
    if kind not in _RUNS_HERE:
        raise UserError(f"a grader of type {kind!r} is not run here", where=where, fix=f"use {' or '.join(_RUNS_HERE)}")
    if kind == "text_similarity" and metric in NOT_HERE:
        fix = "use fuzzy_match, gleu or rouge_l"
        raise UserError(f"the metric {metric!r} is not computed here: {NOT_HERE[metric]}", where=where, fix=fix)
    try:
        grader = _GRADER.validate_python(definition)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"][1:])
        raise UserError(f"key {key!r}: {first['msg']}", where=where) from error
    for template in (grader.input, grader.reference):
        check_template(template, where)
    return grader


def grade(grader: StringCheck | TextSimilarity, item: JsonObject, sample: JsonObject) -> Grade:
    """A template that finds nothing (no call was made, say) is a grade of 0, with the reason."""
    namespaces = {"item": item, "sample": sample}
    try:
        text, reference = fill(grader.input, namespaces), fill(grader.reference, namespaces)
    except UserError as error:
        return Grade(grader.name, 0.0, passed=False, why=error.what)
    return Grade(grader.name, *grader.score(text, reference))


def sample_of(message: JsonObject) -> JsonObject:
    """The `sample` of a chat completion's message: `output_text` and `output_tools`."""
    return {"output_text": message.get("content") or "", "output_tools": message.get("tool_calls") or []}
