"""A suite: row files turned into items, one for every assistant turn that the rows were meant to teach.

A YAML suite names row files relative to itself, with options of its own:

    rows: [held_out.jsonl, hard.jsonl.gz]
    environment: task_service
    limit: 100
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from data.chat_request import chat_request
from data.conversation import calls_of, content_text
from data.reading import NumberedRow, read_rows
from data.row import JsonObject, Message
from data.settings import Section, load_settings
from data.user_error import UserError
from eval.functional import check_environment
from eval.settings import EnvironmentName, EvalSection, Record

Kind = Literal["call", "no_call", "answer"]
"""`call`: calls are expected. `no_call`: tools stand ready, the whole row needs none. `answer`: any other text, mostly
a summary of tool results, which is easy and therefore kept apart from `no_call`."""


class ExpectedCall(Record):
    name: str
    arguments: JsonObject


class Item(Record):
    id: str
    """FILE:LINE#MESSAGE, counted from 1."""
    kind: Kind
    request: JsonObject
    """History and tools as an agent sends them: what eval.parity has compared token by token."""
    expected_calls: list[ExpectedCall]
    expected_text: str
    environment: EnvironmentName | None

    @property
    def messages(self) -> list[JsonObject]:
        return list(self.request["messages"])

    @property
    def tools(self) -> dict[str, JsonObject]:
        """Name -> function, as offered."""
        return {tool["function"]["name"]: tool["function"] for tool in self.request.get("tools", [])}


class Suite(Record):
    paths: list[str]
    num_rows: int
    items: list[Item]

    @property
    def sha256(self) -> str:
        """Of what is asked and expected, not of file names: equal exactly when two scores can be compared."""
        content = [item.model_dump(exclude={"id"}) for item in self.items]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


class _SuiteFile(Section):
    rows: list[Path]
    environment: EnvironmentName | None = None
    limit: int | None = None


def read_suite(paths: list[Path], settings: EvalSection) -> Suite:
    """Read row files and YAML suites into one suite. Raises UserError when nothing can be asked."""
    items: list[Item] = []
    num_rows = 0
    for path in paths:
        for row_path, environment, limit in _row_files(path, settings):
            rows = read_rows(row_path)
            rows = rows[:limit] if limit else rows
            num_rows += len(rows)
            items += [item for row in rows for item in row_items(row, environment)]
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
        check_environment(environment, item.messages, where=f"{numbered.path}:{numbered.line}")
        yield item


def _kind(message: Message, messages: list[Message], *, has_tools: bool) -> Kind:
    if message.tool_calls:
        return "call"
    row_calls = any(other.tool_calls for other in messages)
    # Without tools there is nothing to resist: such a row must not lift should_not_call.
    return "no_call" if has_tools and not row_calls else "answer"


def _row_files(path: Path, settings: EvalSection) -> Iterator[tuple[Path, EnvironmentName | None, int]]:
    if path.suffix not in (".yaml", ".yml"):
        yield path, settings.environment, settings.limit
        return
    suite = load_settings(path, [], _SuiteFile)
    for rows in suite.rows:
        limit = settings.limit if suite.limit is None else suite.limit
        yield path.parent / rows, suite.environment or settings.environment, limit
