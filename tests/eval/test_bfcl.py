"""BFCL's data as items, scored by our matcher and by its own checker."""

import json
import subprocess
import sys
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from data.row import JsonObject
from data.user_error import UserError
from eval.bfcl import CATEGORIES, bfcl_items
from eval.bfcl_schema import read_tool
from eval.expected import Allowed
from eval.item import Item
from eval.matching import score
from eval.settings import EvalSection
from eval.suite import read_suite
from tests.eval.planted_server import planted_server
from tests.eval.test_matching import reply
from tests.eval.test_programs import program

needs_data = pytest.mark.skipif(find_spec("bfcl_eval") is None, reason="bfcl-eval is not installed")
NUM_ITEMS = {
    "simple_python": 400, "simple_java": 100, "simple_javascript": 50, "multiple": 200, "parallel": 200,
    "parallel_multiple": 200, "irrelevance": 240, "live_simple": 258, "live_multiple": 1053, "live_parallel": 16,
    "live_parallel_multiple": 24, "live_irrelevance": 884, "live_relevance": 16,
}  # fmt: skip


def scored(item: Item, calls: list[tuple[str, JsonObject]]) -> tuple[str, bool | None]:
    found = score(item, reply(*calls), 0.8)
    return found.verdict, found.metrics.get("bfcl_ast")


@needs_data
@pytest.mark.parametrize("category", CATEGORIES)
def test_every_item_can_be_asked_and_its_first_answer_is_right(category: str) -> None:
    items = bfcl_items(category)
    assert len(items) == NUM_ITEMS[category] == len({item.id for item in items})
    assert Counter(item.kind for item in items).keys() == {
        "irrelevance": {"no_call"}, "live_irrelevance": {"no_call"}, "live_relevance": {"any_call"},
    }.get(category, {"call"})  # fmt: skip
    for item in items:
        for tool in item.tools.values():
            Draft202012Validator.check_schema(tool["parameters"])
        if item.kind == "call":
            assert scored(item, [(call.name, call.arguments) for call in item.expected_calls]) == ("right", True), item


@needs_data
def test_allowed_values_optional_arguments_and_the_order_of_calls_are_those_of_the_data() -> None:
    (item,) = bfcl_items("simple_python", 1)
    name, base = "calculate_triangle_area", {"base": 10, "height": 5}
    assert item.expected_calls[0].allowed == {
        "base": Allowed(values=[10]), "height": Allowed(values=[5]),
        "unit": Allowed(values=["units", ""], is_optional=True),
    }  # fmt: skip
    assert scored(item, [(name, base)]) == scored(item, [(name, {**base, "unit": "units"})]) == ("right", True)
    assert scored(item, [(name, {**base, "unit": "Units."})]) == ("wrong", True)  # BFCL looks away, exact does not
    assert scored(item, [(name, {**base, "unit": "cm"})]) == ("wrong", False)
    assert scored(item, [(name, {"base": 10})]) == ("wrong", False)
    (songs,) = bfcl_items("parallel", 1)
    calls = [(call.name, call.arguments) for call in songs.expected_calls]
    assert calls[0][0] == "spotify_play"  # spotify.play: the API takes no dots
    assert scored(songs, calls[::-1]) == ("right", True)
    assert scored(songs, [calls[0], calls[0]]) == ("wrong", False)


@needs_data
def test_garbage_is_no_refusal_and_any_call_is_relevant() -> None:
    (refusal,) = bfcl_items("irrelevance", 1)
    assert score(refusal, reply(content="I cannot."), 0.8).metrics == {"should_not_call": True}
    assert score(refusal, reply(), 0.8).verdict == "wrong"
    assert score(refusal, reply(content='<tool_call>\n{"name": "dete'), 0.8).verdict == "unreadable"
    (relevant,) = bfcl_items("live_relevance", 1)
    name = next(iter(relevant.tools))
    assert score(relevant, reply((name, {})), 0.8).metrics["should_call"]
    for answer in (reply(content="No."), reply(("no_such_tool", {})), reply((name, "{"))):
        assert score(relevant, answer, 0.8).metrics["should_call"] is False


def test_types_of_python_and_java_become_json_schema() -> None:
    point = {"type": "tuple", "items": {"type": "float"}, "optional": True, "description": "x, y"}
    parameters = {"type": "dict", "properties": {"p": point, "q": {"type": "any"}, "r": {"type": "String"}}}
    function = {"name": "a.b", "description": "d", "parameters": parameters}
    array = {"type": "array", "items": {"type": "number"}, "description": "x, y"}
    for takes_code, p in ((False, array), (True, {**array, "type": ["array", "string"]})):
        assert read_tool(function, takes_code=takes_code)["function"] == {
            "name": "a_b",
            "description": "d",
            "parameters": {"type": "object", "properties": {"p": p, "q": {}, "r": {"type": "string"}}},
        }


@needs_data
def test_categories_are_suites_by_name_and_in_yaml(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("bfcl: multiple\nlimit: 3\nnormalise: {'*.*': [case]}\n")
    suite = read_suite([Path("bfcl:simple_java"), tmp_path / "s.yaml"], EvalSection(limit=2))
    ids = ["simple_java_0", "simple_java_1", "multiple_0", "multiple_1", "multiple_2"]
    assert [item.id for item in suite.items] == [f"bfcl:{name}" for name in ids]
    with pytest.raises(UserError, match="no single-turn category of BFCL: 'simple'"):
        read_suite([Path("bfcl:simple")], EvalSection())


def test_without_the_package_one_line_says_what_to_install() -> None:
    code = "import sys; sys.modules['bfcl_eval'] = None\nfrom eval.bfcl import bfcl_items\nbfcl_items('multiple')"
    failed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert "UserError: bfcl:multiple: the package bfcl-eval is not installed (fix: pip install" in failed.stderr


@needs_data
def test_a_category_is_asked_and_scored_through_an_endpoint(tmp_path: Path) -> None:
    items = bfcl_items("parallel_multiple", 6)
    with planted_server(items) as url:
        found = program(
            "eval.run", "bfcl:parallel_multiple", "--limit", "6", "--base-url", url, "--model", "right",
            "--out", tmp_path / "eval.json",
        )  # fmt: skip
    assert found.returncode == 0, found.stderr
    metrics = json.loads((tmp_path / "eval.json").read_text())["candidate"]["scores"]["metrics"]
    assert [metrics[name]["rate"] for name in ("exact", "bfcl_ast", "schema_valid")] == [1.0, 1.0, 1.0]


@needs_data
@pytest.mark.parametrize("category", [name for name in CATEGORIES if not name.endswith("relevance")])
def test_every_disagreement_with_its_checker_has_a_reason(category: str) -> None:
    pytest.importorskip("tree_sitter", reason="bfcl-eval's checker needs it")
    from tests.eval.bfcl_disagreements import cases

    found = list(cases(category, seed=1))
    assert sum(case.ours == case.theirs for case in found) > 0.8 * len(found) > 200
    assert {case.ours for case in found} == {case.theirs for case in found} == {True, False}
    assert [(case.item.id, case.change) for case in found if case.ours != case.theirs and not case.why] == []
