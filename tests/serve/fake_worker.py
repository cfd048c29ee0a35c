"""A worker process whose trainings are stand-ins, to be killed: python -m tests.serve.fake_worker SETTINGS."""

import sys
from pathlib import Path

from data.settings import load_settings
from serve.api_settings import ApiSettings
from serve.jobs.worker_loop import WorkerLoop
from serve.storage.database import Database
from serve.storage.file_store import FileStore
from serve.transport.logs import log_to_stderr
from tests.serve.api_server import FAKE_RUN

if __name__ == "__main__":
    log_to_stderr()
    settings = load_settings(Path(sys.argv[1]), [], ApiSettings)
    WorkerLoop(settings, Database(settings.database_url), FileStore(settings.files_url), "", FAKE_RUN).run()
