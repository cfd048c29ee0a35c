"""Rows that were changed and are more than memory should hold."""

from data.row import Row
from data.stored_texts import StoredTexts


class ScratchRows:
    def __init__(self) -> None:
        self._texts = StoredTexts()

    def add(self, row: Row) -> int:
        """The number by which `row_at` finds the row again. Raises UserError for a full disk."""
        return self._texts.append(row.model_dump_json(exclude_unset=True))

    def row_at(self, number: int) -> Row:
        return Row.model_validate_json(self._texts[number])
