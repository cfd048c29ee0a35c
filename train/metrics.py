"""Training metrics into the run folder: one JSON line a log, beside whatever `report_to` names."""

import json
import time
from pathlib import Path
from typing import Any

from transformers import TrainerCallback


class MetricsFile(TrainerCallback):
    """Appends every log to events.jsonl with the step and the wall clock; a resumed run continues the file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        if state.is_world_process_zero:
            event = {"time": round(time.time(), 3), "step": state.global_step, **(logs or {})}
            with self.path.open("a") as file:
                file.write(json.dumps(event) + "\n")
