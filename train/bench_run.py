"""One run of `train.bench` in a process of its own: python -m train.bench_run JOB.json RESULT.json

Trains LoRA on prepared rows in one way and writes the time of each step, the losses and the largest memory.
JOB.json is a `train.bench_job.Job`, RESULT.json a `Result`.
"""

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, TrainerCallback

from data.user_error import run_program
from data.whole_file import write_whole
from train.bench_job import Job, Result, load_model, make_trainer, peak_memory


class StepClock(TrainerCallback):
    """Seconds from the start to the end of each optimiser step."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.started = 0.0

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self.started = _now()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.seconds.append(_now() - self.started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("job", type=Path, metavar="JOB.json")
    parser.add_argument("result", type=Path, metavar="RESULT.json")
    args = parser.parse_args()
    job = Job(**json.loads(args.job.read_text()))
    if not torch.cuda.is_available():
        torch.set_num_threads(os.cpu_count() or 1)
    clock = StepClock()
    trainer, rows_of_step = make_trainer(job, load_model(job), AutoTokenizer.from_pretrained(job.model), clock)
    trainer.train()
    log = [event for event in trainer.state.log_history if "loss" in event]
    result = Result(
        seconds=clock.seconds,
        losses=[event["loss"] for event in log],
        peak_bytes=peak_memory(),
        **rows_of_step(),
    )
    write_whole(args.result, json.dumps(result._asdict()) + "\n")


def _now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


if __name__ == "__main__":
    run_program(main)
