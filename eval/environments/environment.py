"""What every environment offers, and which one a row is played in."""

from typing import Any, Protocol

from data.conversation import Call, calls_of
from data.row import JsonObject, Row
from eval.environments.coffee_bar import CoffeeBar
from eval.environments.recorded_tools import RecordedTools
from eval.environments.task_environment import TaskEnvironment
from eval.settings import EnvironmentName


class Environment(Protocol):
    @property
    def tools(self) -> list[JsonObject]:
        """As a request offers them."""

    def reset(self) -> None:
        """Back to what the row starts from."""

    def call(self, name: str, arguments: JsonObject) -> JsonObject:
        """The result, or `{"error": {"code", "message"}}`; whatever a model made up, it never raises."""

    def state(self) -> Any:
        """What calls have changed, as JSON without ids that follow from the order of calls."""


def open_environment(name: EnvironmentName, row: Row) -> Environment:
    """The environment in the state that the row starts from. Raises UserError when the row does not tell it."""
    match name:
        case "task_service":
            return TaskEnvironment(row)
        case "coffee_bar":
            return CoffeeBar(row)
        case "recorded":
            return RecordedTools(row)


def expected_calls(row: Row) -> list[Call]:
    """All calls of the row, in order: failed ones too, since they are what it took."""
    return [call for message in row.messages for call in calls_of(message)]
