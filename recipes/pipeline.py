"""What each step of a run does: programs of the rooms, each in a process of its own."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import torch

from data.child_command import ending_with_us
from recipes.recipe import Recipe
from recipes.steps import Step
from serve.settings import with_overrides
from serve.vllm_process import VllmProcess

ACCELERATE = Path(__file__).parents[1] / "train" / "accelerate"
# glibc returns each freed activation to the system and faults it in again: kept, a CPU step took about 15 % less time.
CPU_MALLOC = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "-1", "MALLOC_TOP_PAD_": str(1 << 28)}
QUIET = {"TOKENIZERS_PARALLELISM": "false"}


class StepError(Exception):
    """A step's program ended with this status; its own message stands above."""

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(f"exit status {status}")


class Pipeline:
    """The run of one recipe. Every program gets the resolved recipe that was written to the run folder."""

    def __init__(self, recipe: Recipe, *, restart: bool = False) -> None:
        self.recipe = recipe
        self.restart = restart
        self.folder = recipe.folder
        self.file = recipe.folder / "recipe.json"

    def steps(self) -> list[Step]:
        shape = ("model", "template", "data")
        training = ("lora", "quantization", "sft", "share_prefix")
        return [
            Step("base", ("name", "model", "template"), (), ("base/calltune.json",), self.base),
            Step("rows", shape, ("base",), ("rows/train.jsonl", "rows/test.jsonl", "rows/key.sha256"), self.rows),
            Step("parity", (), ("rows",), ("parity.json",), self.parity),
            Step("baseline", ("serve", "eval"), ("rows",), ("baseline.json",), self.baseline),
            Step("train", training, ("rows",), ("adapter/adapter_model.safetensors",), self.train),
            Step("merge", ("name", "merge"), ("train",), ("merged/calltune.json",), self.merge),
            Step("score", ("serve", "eval"), ("merge", "baseline"), ("eval.json",), self.score),
            Step("gate", ("gate",), ("score",), ("verdict.json", "report.html"), self.gate),
        ]

    def base(self) -> None:
        self._python("train.base", self.file)

    def rows(self) -> None:
        self._python("data.prepare", self.file)

    def parity(self) -> None:
        """Before the first training step: are the bytes trained on the bytes that will be served?"""
        out = self.folder / "parity.json"
        rows = self.folder / "rows" / "test.jsonl"
        self._python("eval.parity", rows, "--model", self.folder / "base", "--limit", "32", "--json", out)

    def baseline(self) -> None:
        self._serve_and_score("base", "--out", self.folder / "baseline.json")

    def train(self) -> None:
        config = "one-gpu.yaml" if torch.cuda.is_available() else "cpu.yaml"
        config_file = self.recipe.accelerate or ACCELERATE / config
        launch = ("-m", "accelerate.commands.launch", "--quiet", "--config_file", config_file)
        restart = ["--restart"] if self.restart else []
        # accelerate's child is not ours: it has to end with accelerate, as accelerate does with us.
        training = ending_with_us([sys.executable, "-m", "train.sft", str(self.file), *restart])
        env = {} if torch.cuda.is_available() else CPU_MALLOC
        self._run(*launch, "--no_python", *training, env=env)

    def merge(self) -> None:
        self._python("train.merge", self.folder / "adapter", self.folder / "merged", "--recipe", self.file)

    def score(self) -> None:
        baseline = self.folder / "baseline.json"
        self._serve_and_score("merged", "--baseline-file", baseline, "--out", self.folder / "eval.json")

    def gate(self) -> None:
        report = self.folder / "report.html"
        self._python("eval.gate", self.folder / "eval.json", "--recipe", self.file, "--report", report, ok=(0, 1, 3))

    def _serve_and_score(self, name: str, *options: str | Path) -> None:
        section = with_overrides(self.recipe.serve, {"port": 0})  # beside whatever the user serves already
        suites = self.recipe.eval.suites or [self.folder / "rows" / "test.jsonl"]
        with VllmProcess(self.folder / name, section, self.folder / "logs" / f"{name}-vllm.log") as server:
            key = ["--api-key", section.api_key] if section.api_key else []
            address = ["--base-url", server.base_url, "--model", server.model, *key]
            self._python("eval.run", *suites, *address, "--recipe", self.file, *options)

    def _python(self, module: str, *arguments: str | Path, ok: tuple[int, ...] = (0,)) -> None:
        self._run("-m", module, *arguments, ok=ok)

    def _run(self, *arguments: str | Path, ok: tuple[int, ...] = (0,), env: dict[str, str] | None = None) -> None:
        command = ending_with_us([sys.executable, *map(str, arguments)])
        # A group of its own: accelerate starts the training as its child, and both must end with us.
        with subprocess.Popen(command, env={**QUIET, **os.environ, **(env or {})}, start_new_session=True) as program:
            try:
                status = program.wait()
            except BaseException:
                os.killpg(program.pid, signal.SIGTERM)
                raise
        if status not in ok:
            raise StepError(status)
