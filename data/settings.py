"""Recipes: a YAML file, dotted overrides from the command line, and a typed, frozen class that rejects unknown keys."""

import difflib
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any, Literal, Self, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from data.preparation.settings import Augment, Balance, Dedupe, Hard, Source, Split
from data.rules.severities import RuleSeverities
from data.section import Section as Section  # every room takes it from here
from data.user_error import UserError

Settings = TypeVar("Settings", bound=BaseModel)


class Synthesize(Section):
    """Rows made by `data.synthesize` for the task API."""

    train: int = Field(default=400, gt=0)
    test: int = Field(default=240, gt=0)
    seed: int = 7
    level: Literal["basic", "full"] = "full"
    """`basic`: plain requests that a very small model learns from some hundred rows (`data.task_api.scene`)."""


class DataSection(Section):
    """Which rows are trained on and which are held out; `data.preparation.stages` has the order of what is done."""

    train: list[Path] = []
    """JSONL files of training rows, each row once; `mixture` takes their place where sources are weighted."""
    test: list[Path] = []
    """JSONL files of held-out rows: never trained on, scored by `eval.run`."""
    synthesize: Synthesize | None = None
    """Make the rows instead of reading them."""
    mixture: list[Source] = []
    """Sources of training rows with how much of each is taken."""
    seed: int = 0
    """Of every draw below; `synthesize` has its own."""
    dedupe: Dedupe = "off"
    """Leave out training rows that are an earlier one again, or (`near`) make the same calls in nearly the same words
    as an earlier or a held-out one. Off by default, as in other trainers: the rows are what the files hold. The data
    card counts the copies."""
    split: Split | None = None
    """Hold out a part of the training rows."""
    hard: Hard | None = None
    """Take the rows that an evaluation got wrong, or take them more often."""
    balance: Balance | None = None
    """Cap over-represented tools or personas."""
    augment: Augment = Augment()
    """Change training rows in ways that keep their truth."""
    too_long: Literal["drop", "fail"] = "drop"
    """A row longer than `sft.max_length`: drop it whole (counted and listed), or stop. Never cut."""
    rules: RuleSeverities = RuleSeverities()
    """`RULE: error|warning|off` for rules that shall count otherwise than by default."""

    @property
    def files(self) -> list[Path]:
        """Every file whose bytes shape the rows."""
        mixed = [path for source in self.mixture for path in source.files]
        return [*self.train, *self.test, *mixed, *([self.hard.eval] if self.hard else [])]

    @model_validator(mode="after")
    def _no_two_ways(self) -> Self:
        if self.split and self.split.test and (self.test or self.synthesize):
            other = "data.test" if self.test else "data.synthesize"
            reason = f"data.split.test and {other} both give the test rows: take one out, or set data.split.test=0"
            raise PydanticCustomError("two_ways", reason)
        if self.train and self.mixture:
            reason = "data.train and data.mixture both give training rows: move the former into the latter"
            raise PydanticCustomError("two_ways", reason)
        return self

    @model_validator(mode="after")
    def _usable_mixture(self) -> Self:
        files = [path for source in self.mixture for path in source.files]
        for what, given in (("name", [source.label for source in self.mixture]), ("file", files)):
            if twice := [item for item, number in Counter(given).items() if number > 1]:
                raise PydanticCustomError("mixture", f"data.mixture has the {what} {twice[0]} twice: give it once")
        shares = [source.share for source in self.mixture if source.share]
        if sum(shares) >= 1:
            raise PydanticCustomError("mixture", f"the shares of data.mixture sum to {sum(shares):g}: keep below 1")
        if shares and len(shares) == len(self.mixture) and not self.synthesize:
            reason = "every source of data.mixture has a share: give the main one a weight"
            raise PydanticCustomError("mixture", reason)
        return self


class DataRecipe(Section):
    """A recipe as the data room's programs read it: their own sections, the others as they are."""

    model_config = ConfigDict(extra="ignore")
    name: str
    runs: Path = Path("runs")
    template: str
    data: DataSection
    sft: dict[str, Any] = {}


DEFAULT_EPOCHS = 3.0
"""TRL's own default of `sft.num_train_epochs`."""


def row_length_limit(sft: dict[str, Any]) -> int:
    """Longest row in tokens: TRL's `sft.max_length`, whose own default of 1024 is short for tool lists."""
    return int(sft.get("max_length", 2048))


def num_epochs(sft: dict[str, Any]) -> float:
    """Epochs of a recipe's run. Raises UserError for what is no number of them."""
    given = sft.get("num_train_epochs", DEFAULT_EPOCHS)
    if isinstance(given, bool) or not isinstance(given, int | float) or given <= 0:
        raise UserError(f"{given!r} is no number of epochs", where="sft.num_train_epochs", fix="give one above 0")
    return float(given)


def load_settings(path: Path, overrides: list[str], cls: type[Settings]) -> Settings:
    """Read a YAML recipe and apply `section.key=value` overrides (values are YAML too).

    Raises UserError naming the file and the key for anything that `cls` does not take.
    """
    settings = _read_yaml(path)
    for override in overrides:
        _apply(settings, override)
    try:
        return cls.model_validate(settings)
    except ValidationError as error:
        raise _settings_error(path, error, cls) from error


class _RecipeLoader(yaml.SafeLoader):
    """Refuses a key written twice: YAML would drop the first one, and a whole section with it.

    1e-4 is a number, as in YAML 1.2 and JSON (a run's recipe.json is read too); PyYAML's YAML 1.1 wants 1.0e-4.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                reason = f"key {key.value!r} comes twice in one section"
                raise yaml.constructor.ConstructorError(None, None, reason, key.start_mark)
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


_RecipeLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("+-0123456789")
)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        settings = yaml.load(path.read_text(), _RecipeLoader)
    except OSError as error:
        what = "no such recipe" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
        raise UserError(what, where=str(path), fix="give the path of a YAML file, as in recipes/") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"not a YAML recipe: {' '.join(str(error).split())}", where=str(path)) from error
    if not isinstance(settings, dict):
        raise UserError("a recipe is a mapping of sections", where=str(path), fix="start with `name: ...`")
    return {key: value for key, value in settings.items() if value is not None}  # `sft:` with nothing under it


def _apply(settings: dict[str, Any], override: str) -> None:
    key, equals, value = override.partition("=")
    if not equals:
        raise UserError(
            f"{override!r} is not KEY=VALUE", where="command line", fix="for example sft.learning_rate=1e-4"
        )
    *sections, last = key.split(".")
    for section in sections:
        settings = settings.setdefault(section, {})
        if not isinstance(settings, dict):
            raise UserError(f"{section!r} in {key!r} is a value, not a section", where="command line")
    try:
        settings[last] = parse_scalar(value)
    except yaml.YAMLError as error:
        raise UserError(f"{value!r} is no YAML value", where=f"command line, {key}", fix="put it in quotes") from error


def parse_scalar(value: str) -> Any:
    """A command-line value, as it would be read in a recipe."""
    return yaml.load(value, _RecipeLoader)


def unknown_key_fix(key: str, known: list[str]) -> str:
    """The fix for an unknown key: the nearest known one, or all of them."""
    close = difflib.get_close_matches(key, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known keys: {', '.join(sorted(known))}"


def _settings_error(path: Path, error: ValidationError, cls: type[BaseModel]) -> UserError:
    first = error.errors()[0]
    location = [part for part in first["loc"] if isinstance(part, str)]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = _fields_at(cls, location[:-1])
        return UserError(f"unknown key {key!r}", where=str(path), fix=unknown_key_fix(location[-1], known))
    got = json.dumps(first["input"], default=str)[:80]
    return UserError(f"key {key!r}: {first['msg']} (got {got})", where=str(path))


def _fields_at(cls: type[BaseModel], location: list[str]) -> list[str]:
    """The field names of the section that `location` leads to."""
    for part in location:
        field = cls.model_fields.get(part)
        annotation = field.annotation if field else None
        candidates = get_args(annotation) or (annotation,)  # of `Section | None` and `list[Section]` the parts
        nested = [c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)]
        if not nested:
            return []
        cls = nested[0]
    return list(cls.model_fields)
