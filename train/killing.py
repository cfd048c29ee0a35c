"""Trainings and merges killed at random moments: what they leave, and how they end when they are begun again.

A program runs in a process forked from one that has its libraries: to load those anew would take longer than the run.
"""

import hashlib
import json
import multiprocessing
import runpy
import shutil
import sys
import time
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from random import Random
from typing import NamedTuple

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["train.sft", "train.dpo", "train.merge"])
LONGEST_S = 1200.0


class Kill(NamedTuple):
    moment_s: float
    """After the start."""
    left: str
    """What lay there afterwards."""


def start(module: str, *arguments: Path | str, out: Path) -> BaseProcess:
    """A program of ours, `python -m MODULE ARGUMENTS`; what it prints goes to `out`."""
    process = PROCESSES.Process(target=run_module, args=(module, [str(argument) for argument in arguments], out, out))
    process.start()
    return process


def run_module(module: str, arguments: list[str], out: Path, error: Path) -> None:
    """In a process of its own: `python -m MODULE ARGUMENTS`, what it prints into files, appended."""
    sys.argv = [module, *arguments]
    sys.stdout, sys.stderr = out.open("a"), error.open("a")  # left open: what it fails with is printed after it
    runpy.run_module(module, run_name="__main__")


def finish(module: str, *arguments: Path | str, out: Path, longest_s: float = LONGEST_S) -> float:
    """Seconds that the program took to its end, which must be a good one."""
    begin = time.monotonic()
    process = start(module, *arguments, out=out)
    process.join(longest_s)
    if process.is_alive():  # which this program would wait for at its own end
        process.kill()
        raise TimeoutError(f"{module} still ran after {longest_s:g} s; it had printed:\n{out.read_text()}")
    assert process.exitcode == 0, f"{module} ended with exit status {process.exitcode}:\n{out.read_text()}"
    return time.monotonic() - begin


def kill_at(moment_s: float, module: str, *arguments: Path | str, out: Path) -> bool:
    """Whether it was still running then."""
    process = start(module, *arguments, out=out)
    process.join(moment_s)
    was_running = process.is_alive()
    process.kill()
    process.join()
    assert was_running or process.exitcode == 0, out.read_text()
    return was_running


def kill_trainings(recipe: Path, run: Path, whole: Path, within_s: float, kills: int, seed: int) -> Iterator[Kill]:
    """Kill the training of `recipe`, whose run folder is `run`, at random moments of `within_s` seconds, again and
    again; each time that it comes to its end it must be the undisturbed run `whole`, and begins anew."""
    random, out, num_killed = Random(seed), run.with_suffix(".out"), 0
    while num_killed < kills:
        moment_s = random.uniform(0, within_s)
        if kill_at(moment_s, "train.sft", recipe, out=out):
            num_killed += 1
            checkpoints = sorted(int(path.name[11:]) for path in run.glob("checkpoints/checkpoint-*"))
            yield Kill(moment_s, f"checkpoint {checkpoints[-1]}" if checkpoints else "no checkpoint")
        else:
            require_same_training(run, whole)
            shutil.rmtree(run)
    finish("train.sft", recipe, out=out)
    require_same_training(run, whole)


def require_same_training(run: Path, whole: Path) -> None:
    name = "adapter_model.safetensors"
    assert final_loss(run) == final_loss(whole), f"{final_loss(run)} and not {final_loss(whole)}"
    assert file_hashes(run / "adapter")[name] == file_hashes(whole / "adapter")[name], "another adapter"


def final_loss(run: Path) -> float:
    log = json.loads((run / "adapter" / "training.json").read_text())["log"]
    return float([entry["loss"] for entry in log if "loss" in entry][-1])


def kill_merges(adapter: Path, old: Path, new: Path, within_s: float, kills: int, seed: int) -> Iterator[Kill]:
    """Kill the merge of `adapter` over a copy of the model `old` at random moments: that must stay whole, or be the
    merged model `new`; the merge that then comes to its end leaves `new` and nothing beside it."""
    random, target = Random(seed), old.with_name("target")
    out, names = target.with_suffix(".out"), {str(file_hashes(old)): "old model", str(file_hashes(new)): "new model"}
    num_killed = 0
    while num_killed < kills:
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(old, target)
        moment_s = random.uniform(0, within_s)
        was_running = kill_at(moment_s, "train.merge", adapter, target, out=out)
        left = names.get(str(file_hashes(target)))
        assert left, f"killed after {moment_s:.1f} s it left neither the old model nor the new one whole"
        if was_running:
            num_killed += 1
            yield Kill(moment_s, left)
    finish("train.merge", adapter, target, out=out)
    assert names[str(file_hashes(target))] == "new model"
    assert not [path for path in target.parent.glob("target.*") if path != out], "something lies beside the model"


def file_hashes(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}
