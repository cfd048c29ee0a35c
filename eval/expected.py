"""The calls that an item expects: exact arguments, or for each argument the values that are allowed."""

from typing import Any

from pydantic import Field

from data.row import JsonObject
from eval.settings import Record


class Allowed(Record):
    """What one argument, or one field of an object in it, may be: anything listed here is right."""

    # Factories: pydantic copies a default of its own with copy.deepcopy, for every argument that is compared.
    values: list[Any] = Field(default_factory=list)
    """Whole JSON values."""
    objects: list[dict[str, "Allowed"]] = Field(default_factory=list)
    """Objects, each field with allowed values of its own."""
    lists: list[list["Allowed"]] = Field(default_factory=list)
    """Lists, each place with allowed values of its own."""
    is_optional: bool = False
    """It may be left out."""

    @property
    def must_be_absent(self) -> bool:
        return not (self.values or self.objects or self.lists)


class ExpectedCall(Record):
    name: str
    arguments: JsonObject
    """Right arguments; where `allowed` is given, its first choice."""
    allowed: dict[str, Allowed] | None = None
    """Argument -> allowed values, in place of `arguments`."""

    def allowed_arguments(self) -> dict[str, Allowed]:
        if self.allowed is not None:
            return self.allowed
        return {key: Allowed(values=[value]) for key, value in self.arguments.items()}
