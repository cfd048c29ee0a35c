"""Recipes: what is read, what is overridden, and what is refused with which words."""

import json
from pathlib import Path
from typing import Any

import pytest

from data.settings import DataSection, Section, Synthesize, load_settings, parse_scalar
from data.user_error import UserError


class Sft(Section):
    learning_rate: float = 2e-4
    max_steps: int = -1


class Untyped(Section):
    sft: dict[str, Any]


class Recipe(Section):
    name: str
    data: DataSection = DataSection()
    sft: Sft = Sft()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text("name: try\nsft: {learning_rate: 1.0e-3}\ndata:\n  train: [a.jsonl]\n")
    return path


def load(path: Path, *overrides: str) -> Recipe:
    return load_settings(path, list(overrides), Recipe)


def refusal(path: Path, *overrides: str) -> str:
    with pytest.raises(UserError) as error:
        load(path, *overrides)
    return str(error.value)


def test_the_command_line_wins_over_the_recipe_and_the_recipe_over_the_defaults(path: Path) -> None:
    assert load(path) == Recipe(name="try", data=DataSection(train=[Path("a.jsonl")]), sft=Sft(learning_rate=1e-3))
    overridden = load(path, "sft.learning_rate=1e-4", "sft.max_steps=2", "data.synthesize.seed=3", "data.test=[b, c]")
    assert overridden == Recipe(
        name="try",
        data=DataSection(train=[Path("a.jsonl")], test=[Path("b"), Path("c")], synthesize=Synthesize(seed=3)),
        sft=Sft(learning_rate=1e-4, max_steps=2),
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("2E3", 2000.0),
        ("7", 7),
        ("1.5", 1.5),
        ("true", True),
        ("null", None),
        ("recipe", "recipe"),
        ("[a, 1e-4]", ["a", 1e-4]),
        ("-5e-06", -5e-6),
        ("1e-4 m", "1e-4 m"),
        ("", None),
        ("a=b", "a=b"),
    ],
)
def test_values_are_yaml_and_1e_4_is_a_number(text: str, value: Any) -> None:
    assert parse_scalar(text) == value
    assert type(parse_scalar(text)) is type(value)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("sft.learning_rat=1", "unknown key 'sft.learning_rat' (fix: did you mean 'learning_rate'?)"),
        ("data.synthesize.sed=1", "unknown key 'data.synthesize.sed' (fix: did you mean 'seed'?)"),
        ("zzz=1", "unknown key 'zzz' (fix: known keys: data, name, sft)"),
        (
            "sft.max_steps=x",
            "key 'sft.max_steps': Input should be a valid integer, unable to parse string as an integer (got \"x\")",
        ),
        ("data.too_long=cut", "key 'data.too_long': Input should be 'drop' or 'fail' (got \"cut\")"),
        ("data.synthesize.train=0", "key 'data.synthesize.train': Input should be greater than 0 (got 0)"),
    ],
)
def test_a_wrong_key_or_value_is_told_with_the_file_and_the_way_out(path: Path, override: str, expected: str) -> None:
    assert refusal(path, override) == f"{path}: {expected}"


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("sft", "command line: 'sft' is not KEY=VALUE (fix: for example sft.learning_rate=1e-4)"),
        ("name.first=x", "command line: 'name' in 'name.first' is a value, not a section"),
        ("name=[x", "command line, name: '[x' is no YAML value (fix: put it in quotes)"),
    ],
)
def test_a_wrong_override_is_told(path: Path, override: str, expected: str) -> None:
    assert refusal(path, override) == expected


def test_small_numbers_of_a_recipe_are_numbers_also_when_it_was_written_as_json(path: Path) -> None:
    path.write_text("sft: {learning_rate: 1e-4}\n")
    assert load_settings(path, [], Untyped).sft == {"learning_rate": 1e-4}
    path.write_text(json.dumps({"sft": {"learning_rate": 5e-6}}))
    assert load_settings(path, [], Untyped).sft == {"learning_rate": 5e-6}


def test_a_section_with_nothing_under_it_has_its_defaults(path: Path) -> None:
    path.write_text("name: try\ndata:\nsft:\n")
    assert load(path).sft == Sft()
    assert load(path, "sft.max_steps=3").sft.max_steps == 3


def test_a_missing_key_is_told(path: Path) -> None:
    path.write_text("sft: {}\n")
    assert refusal(path) == f"{path}: key 'name': Field required (got {{\"sft\": {{}}}})"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- a\n", "a recipe is a mapping of sections (fix: start with `name: ...`)"),
        ("", "a recipe is a mapping of sections (fix: start with `name: ...`)"),
        (
            "name: [\n",
            "not a YAML recipe: while parsing a flow node expected the node content, but found '<stream end>'"
            ' in "<unicode string>", line 2, column 1: ^',
        ),
        (
            "name: a\nname: b\n",
            "not a YAML recipe: key 'name' comes twice in one section in \"<unicode string>\", line 2, column 1: "
            "name: b ^",
        ),
    ],
)
def test_what_is_no_recipe_is_told_in_one_line(path: Path, text: str, expected: str) -> None:
    path.write_text(text)
    assert refusal(path) == f"{path}: {expected}"


def test_what_cannot_be_read_is_told_in_one_line(path: Path) -> None:
    fix = "(fix: give the path of a YAML file, as in recipes/)"
    assert refusal(path.with_name("absent.yaml")) == f"{path.with_name('absent.yaml')}: no such recipe {fix}"
    assert refusal(path / "inside.yaml") == f"{path}/inside.yaml: cannot be read: Not a directory {fix}"
    assert refusal(path.parent) == f"{path.parent}: cannot be read: Is a directory {fix}"


def test_settings_are_frozen(path: Path) -> None:
    with pytest.raises(ValueError, match="frozen"):
        load(path).sft.max_steps = 3  # type: ignore[misc]
