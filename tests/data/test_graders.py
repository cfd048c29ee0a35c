"""OpenAI's graders on samples in its own shape, and templates that must stay look-ups."""

import pytest
from openai.types.graders import StringCheckGrader, TextSimilarityGrader

from data.graders.grader import grade, read_grader, sample_of
from data.graders.paths import fill, look_up
from data.graders.similarity import text_similarity
from data.row import JsonObject
from data.user_error import UserError

CALL = {"id": "c", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'}}
SAMPLE = sample_of({"role": "assistant", "content": None, "tool_calls": [CALL]})
ITEM = {"tool": "get_weather", "city": "paris", "odd key": [1, {"deep": None}], "n": 1.5}


def check(**fields: object) -> JsonObject:
    return {"type": "string_check", "name": "tool", "operation": "eq", "reference": "{{item.tool}}", **fields}


def similar(**fields: object) -> JsonObject:
    given = {"input": "a b", "reference": "a c", "evaluation_metric": "rouge_1", "pass_threshold": 0.5}
    return {"type": "text_similarity", "name": "alike", **given, **fields}


@pytest.mark.parametrize(
    ("template", "filled"),
    [
        ("{{ sample.output_tools[0].function.name }}", "get_weather"),
        ("{{sample.output_tools[0]['function'][\"arguments\"]}}", '{"city": "Paris"}'),
        ("{{item.city}}/{{ item['odd key'][1].deep }}/{{item.n}}", "paris/null/1.5"),
        ("{{item['odd key']}}", '[1, {"deep": null}]'),
        ("[{{sample.output_text}}]", "[]"),
        ("no template, {item.city}", "no template, {item.city}"),
    ],
)
def test_a_template_is_filled_by_looking_up(template: str, filled: str) -> None:
    assert fill(template, {"item": ITEM, "sample": SAMPLE}) == filled


@pytest.mark.parametrize(
    "path",
    [
        "item.__class__", "item.city.upper", "item.city[0]", "item['odd key'][-1]", "item['odd key'][2]", "item.absent",
        "item.city | upper", "item.city()", "1 + 1", "self", "", ".item", "item..city", "item['city", "os.environ",
    ],
)  # fmt: skip
def test_nothing_but_keys_and_places_can_be_reached(path: str) -> None:
    with pytest.raises(UserError):
        look_up(path, {"item": ITEM, "sample": SAMPLE, "os": {"environ": "secret"}})


@pytest.mark.parametrize(
    ("operation", "text", "reference", "passed"),
    [
        ("eq", "a", "a", True), ("eq", "a", "A", False), ("ne", "a", "A", True), ("ne", "a", "a", False),
        ("like", "a cat", "cat", True), ("like", "cat", "a cat", False), ("like", "a CAT", "cat", False),
        ("ilike", "a CAT", "cat", True), ("ilike", "a dog", "cat", False),
    ],
)  # fmt: skip
def test_string_check(operation: str, text: str, reference: str, passed: bool) -> None:
    grader = read_grader(check(operation=operation, input=text, reference=reference), "x")
    assert grade(grader, {}, {})[1:3] == (float(passed), passed)


def test_a_called_tool_and_a_missing_call_are_graded() -> None:
    grader = read_grader(check(input="{{sample.output_tools[0].function.name}}"), "x")
    assert grade(grader, ITEM, SAMPLE) == ("tool", 1.0, True, "")
    silent = grade(grader, ITEM, sample_of({"content": "I do not know."}))
    assert (silent.passed, silent.why) == (False, "nothing at 0 of 'sample.output_tools[0].function.name'")


def test_what_the_sdk_defines_is_read() -> None:
    checked = StringCheckGrader(type="string_check", name="n", input="{{item.a}}", reference="x", operation="ilike")
    alike = TextSimilarityGrader(
        type="text_similarity", name="n", input="a", reference="b", evaluation_metric="fuzzy_match"
    )
    assert read_grader(checked.model_dump(), "x").name == "n"
    assert read_grader({**alike.model_dump(), "pass_threshold": 0.5}, "x").name == "n"


@pytest.mark.parametrize(
    ("metric", "text", "reference", "score"),
    [
        ("rouge_1", "the cat sat", "The cat, sat!", 1.0),
        ("rouge_1", "the the the", "the cat", 0.4),  # "the" counts once: 1/3 and 1/2
        ("rouge_2", "the cat sat", "the cat lay", 0.5),
        ("rouge_3", "a b", "a b", 0.0),  # too short for any
        ("rouge_l", "a x b y c", "a b c", 0.75),
        ("gleu", "a b c", "a b c", 1.0),
        ("gleu", "a b", "a b c", 0.5),  # 3 of the 6 n-grams
        ("fuzzy_match", "kitten", "kitten", 1.0),
        ("rouge_l", "", "", 0.0),
    ],
)
def test_text_similarity(metric: str, text: str, reference: str, score: float) -> None:
    assert text_similarity(metric, text, reference) == pytest.approx(score)  # type: ignore[arg-type]
    grader = read_grader(similar(evaluation_metric=metric, input=text, reference=reference), "x")
    assert grade(grader, {}, {})[1:3] == (pytest.approx(score), score >= 0.5)


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        ({"type": "python", "source": "..."}, "a grader of type 'python' is not run here"),
        ("x", "a grader of type None"),
        (similar(evaluation_metric="cosine"), "'cosine' is not computed here: it needs OpenAI's embedding model"),
        (check(input="x", operation="neq"), "key 'operation'"),
        (check(input="{{ item.x | upper }}"), "'item.x | upper' is no path"),
        (check(input="x", colour="red"), "key 'colour'"),
        ({k: v for k, v in similar().items() if k != "pass_threshold"}, "key 'pass_threshold': Field required"),
    ],
)
def test_what_cannot_be_graded_is_refused_before_anything_is(definition: object, message: str) -> None:
    with pytest.raises(UserError, match=message.replace("|", r"\|")):
        read_grader(definition, "d.json: testing_criteria[0]")
