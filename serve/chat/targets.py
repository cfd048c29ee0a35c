"""What a model name stands for: a base, an alias, or a tuned model of the caller's project."""

import time

from fastapi.concurrency import run_in_threadpool
from sqlalchemy import select

from serve.api_settings import ApiSettings
from serve.chat.engines import Target
from serve.jobs.base_folder import base_folder
from serve.storage.database import Database
from serve.storage.tables import Model

FRESH_S = 2.0
MAX_REMEMBERED = 10_000


class Targets:
    """Tuned models are remembered for two seconds, so that the chat path rarely asks the database."""

    def __init__(self, settings: ApiSettings, database: Database) -> None:
        self._settings, self._database = settings, database
        self._seen: dict[tuple[str, str], tuple[float, Target]] = {}

    async def find(self, project: str, name: str) -> Target | None:
        """None for a model that is not ours."""
        target = name if name in self._settings.bases else self._settings.base_of_alias(name) or name
        if target in self._settings.bases:
            return Target(target, None, target, None)
        at, known = self._seen.get((project, target), (0.0, None))
        if known and time.monotonic() - at < FRESH_S:
            return known
        found = await run_in_threadpool(self._tuned, project, target)
        if found:
            if len(self._seen) > MAX_REMEMBERED:
                self._seen.clear()
            self._seen[project, target] = (time.monotonic(), found)
        return found

    def forget(self, project: str, name: str) -> None:
        """It was deleted."""
        self._seen.pop((project, name), None)

    def _tuned(self, project: str, name: str) -> Target | None:
        with self._database.read() as session:
            model = session.scalar(select(Model).where(Model.project == project, Model.id == name))
        if model is None:
            return None
        is_own = model.base == str(base_folder(self._settings, model.base_model))
        return Target(model.base_model, None if is_own else model.base, model.id, model.adapter)
