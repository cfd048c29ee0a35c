"""The task service in the state that a row's system text tells."""

from data.conversation import content_text
from data.row import JsonObject, Row
from data.task_api.service import TASK_TOOLS, TaskService
from eval.json_values import canonical_text


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
        self._first_ids = {task["task_id"] for task in self._service.state()["tasks"]}

    def call(self, name: str, arguments: JsonObject) -> JsonObject:
        return self._service.call(name, arguments)

    def state(self) -> JsonObject:
        """New tasks without their ids: those follow from the order of parallel calls, which libraries run at once."""
        tasks = self._service.state()["tasks"]
        new = [task | {"task_id": "new"} for task in tasks if task["task_id"] not in self._first_ids]
        return {
            "tasks": [task for task in tasks if task["task_id"] in self._first_ids],
            "new": sorted(new, key=canonical_text),
        }
