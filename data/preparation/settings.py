"""What `data` of a recipe may say about the rows between the files and the training."""

import math
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from data.section import Section


def _yaml_off(value: Any) -> Any:
    """YAML 1.1 reads a bare `off` as false."""
    return "off" if value is False else value


def _share_or_rows(value: Any) -> Any:
    is_rows = type(value) is int and value >= 0
    if not is_rows and not (type(value) is float and 0 <= value < 1):
        raise PydanticCustomError("size", "Input should be a share below 1 or a whole number of rows")
    return value


Dedupe = Annotated[Literal["exact", "near", "off"], BeforeValidator(_yaml_off)]
Size = Annotated[int | float, BeforeValidator(_share_or_rows)]
"""A share of the rows (0.1) or a number of rows (200)."""
Part = Annotated[float, Field(ge=0, le=1)]


class Split(Section):
    """Held-out rows taken out of the training rows; copies and near copies of a row stay on its side."""

    by: Literal["row", "tool", "template"] = "row"
    """`tool`: no tool that a held-out row calls is called or listed by a training row. `template`: requests that are
    the same up to the values of their calls' arguments stay on one side."""
    test: Size = 0.1
    """0 where `data.test` or `data.synthesize` gives the test rows."""
    validation: Size = 0
    """Written to validation.jsonl; train.sft gives their loss after each epoch, or as `sft.eval_strategy` says."""

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.test and not self.validation:
            raise PydanticCustomError("nothing", "test and validation are both 0: give one of them, or leave split out")
        return self


class Source(Section):
    """One source of training rows and how much of it is taken: by `weight`, unless `rows` or `share` is given."""

    files: list[Path] = Field(min_length=1)
    name: str = ""
    """In the summary and the data card; the first file's path where none is given."""
    weight: float | None = Field(default=None, gt=0, le=1000)
    """0.5: half of the rows; 1 (the default): each row once; 2: each row twice."""
    rows: int | None = Field(default=None, gt=0)
    """That many rows, each at most once."""
    share: float | None = Field(default=None, gt=0, lt=1)
    """Of the final training rows, each at most once: 0.1 to 0.15 of general instructions is the usual guard against
    forgetting. Rows of such a source are taken as they are: never held out, balanced or augmented."""
    licence: str = ""
    source: str = ""
    """Where the files come from, for the data card."""

    @model_validator(mode="after")
    def _one_amount(self) -> Self:
        given = [key for key in ("weight", "rows", "share") if getattr(self, key) is not None]
        if len(given) > 1:
            raise PydanticCustomError("amount", f"{' and '.join(given)} both say how much is taken: give one of them")
        return self

    @property
    def label(self) -> str:
        return self.name or str(self.files[0])


class Hard(Section):
    """Rows that an evaluation of the training files got wrong."""

    eval: Path
    """eval.json of `python -m eval.run TRAINING_FILE ...`."""
    weight: float = Field(default=1, gt=0, le=1000)
    """How often each such row is taken: 2 for twice."""
    rest: Part = 0
    """Share of the other rows that stays; 0 selects the hard rows alone."""


class Balance(Section):
    by: Literal["tool", "persona"]
    """A persona is the first line of the system text."""
    max_ratio: float = Field(ge=1)
    """No tool or persona keeps more rows than this many times the median one."""


class Augment(Section):
    """Changes that keep the truth of a row, each with the share of training rows that it is made on."""

    shuffle_tools: Part = 0
    """The tool list in another order."""
    rename_tools: Part = 0
    """Tools under other names, in the list and in the calls."""
    rename_arguments: Part = 0
    """Arguments under other names, in the schemas and in the calls."""
    distractor_tools: Part = 0
    """One to three tools of unrelated rows added to the list."""
    shorten_descriptions: Part = 0
    """Tool descriptions cut after their first sentence."""
    strict_tools: Part = 0
    """Strict schemas, as the Agents SDK's `function_tool` sends them: every argument required, null where nothing is
    meant, in the list and in the calls. Needless behind `serve.engine` and `serve.api`, and a small model that learns
    both ways mixes them up (`docs/clients.md`)."""
    drop_called_tool: Part = 0
    """Added rows: the called tool and those beside it are replaced by tools of unrelated rows, and the assistant says
    that it has none for this."""

    @property
    def is_on(self) -> bool:
        return any(share > 0 for share in self.model_dump().values())


def count_of(size: float, num_rows: int) -> int:
    """A `Size` in rows; a share above 0 is at least one row."""
    if isinstance(size, int):
        return size
    return max(1, math.floor(size * num_rows + 0.5)) if size else 0
