"""Where the teacher's calls are executed."""

from typing import Protocol

from data.conversation import calls_of, content_text
from data.distillation.settings import EnvironmentName
from data.mock_tools.service import MockService
from data.row import JsonObject, Row
from data.task_api.service import TaskService


class Environment(Protocol):
    def call(self, name: str, arguments: JsonObject) -> JsonObject:
        """The result, or `{"error": {"code", "message"}}`; it never raises, whatever a model made up."""

    def state(self) -> JsonObject:
        """What calls have changed; always the same where nothing can be changed."""


def new_environment(name: EnvironmentName, row: Row) -> Environment:
    """The environment as the row's messages leave it. Raises UserError when they do not say what it starts from."""
    if name == "mock":
        return MockService([tool.model_dump(exclude_unset=True) for tool in row.tools or []])
    service = TaskService.from_system_text(
        "\n".join(content_text(message.content) for message in row.messages if message.role in ("system", "developer"))
    )
    for message in row.messages:
        for call in calls_of(message):
            service.call(call.name, call.arguments)
    return service
