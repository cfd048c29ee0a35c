"""Mock tools for any row: a call that the row holds gives the row's result, any other one made from the schemas."""

import json
from collections import defaultdict
from typing import Any

from data.mock_tools.service import MockService
from data.row import JsonObject, Row
from eval.environments.recorded_calls import recorded_calls
from eval.json_values import canonical_text


class RecordedTools:
    """The state is the set of calls that succeeded: two runs end alike when they made the same calls, in any order.

    A recorded call repeated gives its next recorded result, and the last one from then on.
    """

    def __init__(self, row: Row) -> None:
        self.tools = [tool.model_dump(exclude_none=True) for tool in row.tools or []]
        self._mock = MockService(self.tools)
        self._recorded: dict[str, list[Any]] = defaultdict(list)
        for name, arguments, result in recorded_calls(row):
            self._recorded[canonical_text([name, arguments])].append(result)
        self.reset()

    def reset(self) -> None:
        self._num_made: dict[str, int] = defaultdict(int)

    def call(self, name: str, arguments: JsonObject) -> JsonObject:
        key = canonical_text([name, arguments])
        results = self._recorded.get(key)
        result = results[min(self._num_made[key], len(results) - 1)] if results else self._mock.call(name, arguments)
        if not (isinstance(result, dict) and "error" in result):
            self._num_made[key] += 1
        return result if isinstance(result, dict) else {"result": result}

    def state(self) -> list[JsonObject]:
        made = sorted(key for key, count in self._num_made.items() if count)
        return [{"name": name, "arguments": arguments} for name, arguments in map(json.loads, made)]
