"""Train the fine-tuning API's jobs: python -m serve.worker SETTINGS.yaml [key=value ...] [--device N]

One worker for each GPU (or one on the CPU); `serve.api` starts them beside itself, and on further machines they are
started by hand with the same database, storage and files. With a Ray cluster (`runner.ray`) one worker follows all of
its jobs, and a second one only stands by. Ctrl-C or SIGTERM stop it within seconds (exit 0): the job goes on at the
next start, from its last checkpoint; a job on a cluster goes on meanwhile.
"""

import argparse
import os
import signal
import threading
from pathlib import Path
from types import FrameType

from data.settings import load_settings
from data.user_error import run_program
from serve.api_settings import ApiSettings
from serve.jobs.worker_loop import WorkerLoop
from serve.storage.database import Database
from serve.storage.file_store import FileStore
from serve.transport.logs import log_to_stderr

PARENT_LOOK_S = 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("settings", type=Path, help="settings YAML of the API")
    parser.add_argument("overrides", nargs="*", help="key=value, as for serve.api")
    parser.add_argument("--device", default="", help="CUDA_VISIBLE_DEVICES of the trainings (default: as it is)")
    parser.add_argument("--parent", type=int, help="stop when the process of this id ends")
    args = parser.parse_args()
    settings = load_settings(args.settings, args.overrides, ApiSettings)
    settings.storage.mkdir(parents=True, exist_ok=True)
    log_to_stderr()
    loop = WorkerLoop(settings, Database(settings.database_url), FileStore(settings.files_url), args.device)

    def stop(signum: int, frame: FrameType | None) -> None:
        loop.stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    if args.parent:
        threading.Thread(target=_stop_with, args=(args.parent, loop), daemon=True).start()
    loop.run()


def _stop_with(parent: int, loop: WorkerLoop) -> None:
    """An API that was killed cannot end its workers."""
    while os.getppid() == parent and not loop.stopping.wait(PARENT_LOOK_S):
        pass
    loop.stopping.set()


if __name__ == "__main__":
    run_program(main)
