"""A suite: row files and BFCL categories turned into items, one for every turn that a model is asked for.

Any row file is a suite. A YAML suite names row files relative to itself, with options of its own
(`eval.suite_file`); `bfcl:CATEGORY` is a category of the installed bfcl-eval package (`eval.bfcl`).
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from data.chat_request import chat_request
from data.conversation import calls_of, content_text
from data.reading import NumberedRow, read_rows
from data.row import Message
from data.user_error import UserError
from eval.bfcl import bfcl_items
from eval.expected import ExpectedCall
from eval.functional import check_environment
from eval.item import Item as Item  # readers of a suite take it from here
from eval.item import Kind as Kind
from eval.settings import EnvironmentName, EvalSection, Record
from eval.suite_file import SuiteFile, check_comparison, read_suite_file


class Suite(Record):
    paths: list[str]
    num_rows: int
    items: list[Item]

    @property
    def sha256(self) -> str:
        """Of what is asked and expected, not of file names: equal exactly when two scores can be compared."""
        content = [item.model_dump(exclude={"id"}, exclude_defaults=True) for item in self.items]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def read_suite(paths: list[Path], settings: EvalSection) -> Suite:
    """Read row files and YAML suites into one suite. Raises UserError when nothing can be asked."""
    items: list[Item] = []
    num_rows = 0
    for path in paths:
        file = read_suite_file(path, settings)
        rows = [row for row_path in file.rows for row in _first(read_rows(row_path), file.limit)]
        from_rows = [item for row in rows for item in row_items(row, file.environment)]
        from_bfcl = [item for category in file.bfcl for item in bfcl_items(category, file.limit)]
        num_rows += len(rows) + len(from_bfcl)
        own = [_with_options(item, file) for item in [*from_rows, *from_bfcl]]
        check_comparison(file, own, where=str(path))
        items += [sample for item in own for sample in _samples(item, file, settings, path)]
    if not items:
        where = ", ".join(map(str, paths))
        raise UserError("no assistant turn to ask for", where=where, fix="give rows with a trained assistant message")
    return Suite(paths=[str(path) for path in paths], num_rows=num_rows, items=items)


def row_items(numbered: NumberedRow, environment: EnvironmentName | None = None) -> Iterator[Item]:
    """One item for each trained assistant turn, with the true history before it (teacher forcing)."""
    row = numbered.row
    for index, message in enumerate(row.messages):
        if not message.is_trained or index == 0:
            continue
        item = Item(
            id=f"{numbered.path}:{numbered.line}#{index + 1}",
            kind=_kind(message, row.messages, has_tools=bool(row.tools)),
            request=chat_request(row, index),
            expected_calls=[ExpectedCall(name=name, arguments=arguments) for name, arguments in calls_of(message)],
            expected_text=content_text(message.content) or message.refusal or "",
            environment=environment,
        )
        check_environment(environment, item.request, where=f"{numbered.path}:{numbered.line}")
        yield item


def _kind(message: Message, messages: list[Message], *, has_tools: bool) -> Kind:
    if message.tool_calls:
        return "call"
    row_calls = any(other.tool_calls for other in messages)
    # Without tools there is nothing to resist: such a row must not lift should_not_call.
    return "no_call" if has_tools and not row_calls else "answer"


def _first(rows: Sequence[NumberedRow], limit: int) -> Sequence[NumberedRow]:
    return rows[:limit] if limit else rows


def _with_options(item: Item, file: SuiteFile) -> Item:
    return item.model_copy(update={"options": file.options, "comparison": file.comparison})


def _samples(item: Item, file: SuiteFile, settings: EvalSection, path: Path) -> list[Item]:
    if file.samples == 1:
        return [item]
    if settings.with_options(file.options).temperature == 0:
        fix = "set temperature, for example 0.7"
        raise UserError(f"samples: {file.samples} at temperature 0 are all the same", where=str(path), fix=fix)
    return [item.as_sample(number) for number in range(1, file.samples + 1)]
