"""The task service in the state that a row's system text tells."""

from data.conversation import content_text
from data.row import JsonObject, Row
from data.task_api.service import TASK_TOOLS, TaskService


class TaskEnvironment:
    def __init__(self, row: Row) -> None:
        """Raises UserError when the system text holds no workspace."""
        self._system_text = "\n".join(
            content_text(message.content) for message in row.messages if message.role in ("system", "developer")
        )
        self.tools = TASK_TOOLS
        self.reset()

    def reset(self) -> None:
        self._service = TaskService.from_system_text(self._system_text)

    def call(self, name: str, arguments: JsonObject) -> JsonObject:
        return self._service.call(name, arguments)

    def state(self) -> JsonObject:
        return self._service.state()
