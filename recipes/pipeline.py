"""What each step of a run does: programs of the rooms, each in a process of its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from data.child_command import ending_with_us
from recipes.recipe import Recipe
from recipes.steps import Step
from serve.settings import with_overrides
from serve.vllm_process import VllmProcess

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
        training = ("lora", "quantization", "sft", "pack_tokens", "dpo", "preferences")
        # Of a preference stage the base is the tuned model, so the baseline is what it was before.
        pairs = Step("pairs", ("serve", "eval", "preferences"), ("rows",), ("rows/pairs.jsonl",), self.pairs)
        asks_itself = self.recipe.dpo is not None and self.recipe.preferences.samples > 0
        return [
            Step("base", ("name", "model", "template"), (), ("base/calltune.json",), self.base),
            Step("rows", shape, ("base",), ("rows/train.jsonl", "rows/test.jsonl", "rows/key.sha256"), self.rows),
            Step("parity", (), ("rows",), ("parity.json",), self.parity),
            Step("baseline", ("serve", "eval"), ("rows",), ("baseline.json",), self.baseline),
            *([pairs] if asks_itself else []),
            Step(
                "train",
                training,
                ("pairs" if asks_itself else "rows",),
                ("adapter/adapter_model.safetensors",),
                self.train,
            ),
            Step("merge", ("name", "merge"), ("train",), ("merged/calltune.json",), self.merge),
            Step("score", ("serve", "eval"), ("merge", "baseline"), ("eval.json",), self.score),
            Step("gate", ("gate",), ("score",), ("verdict.json", "report.html"), self.gate, reads=("eval.json",)),
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

    def pairs(self) -> None:
        """The tuned model's own mistakes on training rows, beside the rows' answers."""
        wanted, rows, answers = self.recipe.preferences, self.folder / "rows", self.folder / "mistakes.json"
        sampling = ["--temperature", str(wanted.temperature), "--samples", str(wanted.samples)]
        with self._served("base") as address:
            self._python("eval.run", rows / "train.jsonl", *address, "--recipe", self.file, *sampling, "--out", answers)
        self._python("data.pairs", answers, "--held-out", rows / "test.jsonl", "--out", rows / "pairs.jsonl")

    def train(self) -> None:
        program = "train.sft" if self.recipe.dpo is None else "train.dpo"
        training = [program, str(self.file), *(["--restart"] if self.restart else [])]
        if self.recipe.accelerate is None:
            # One process on one device: accelerate would start the same, and turn its exit status 2 into 1.
            devices = os.environ.get("CUDA_VISIBLE_DEVICES", "0")
            env = {"CUDA_VISIBLE_DEVICES": devices.split(",")[0]} if torch.cuda.is_available() else CPU_MALLOC
            self._run("-m", *training, env=env)
            return
        # accelerate's child is not ours: it has to end with accelerate, as accelerate does with us.
        launch = ("-m", "accelerate.commands.launch", "--quiet", "--config_file", self.recipe.accelerate)
        self._run(*launch, "--no_python", *ending_with_us([sys.executable, "-m", *training]))

    def merge(self) -> None:
        self._python("train.merge", self.folder / "adapter", self.folder / "merged", "--recipe", self.file)

    def score(self) -> None:
        baseline = self.folder / "baseline.json"
        self._serve_and_score("merged", "--baseline-file", baseline, "--out", self.folder / "eval.json")

    def gate(self) -> None:
        pages = ("--report", "report.html"), ("--junit", "junit.xml"), ("--model-card", "model_card.md")
        options = [part for option, name in pages for part in (option, self.folder / name)]
        self._python("eval.gate", self.folder / "eval.json", "--recipe", self.file, *options, ok=(0, 1, 3))

    def _serve_and_score(self, name: str, *options: str | Path) -> None:
        suites = self.recipe.eval.suites or [self.folder / "rows" / "test.jsonl"]
        with self._served(name) as address:
            self._python("eval.run", *suites, *address, "--recipe", self.file, *options)

    @contextmanager
    def _served(self, name: str) -> Iterator[list[str]]:
        """A model of the run, served: the options that lead `eval.run` to it."""
        section = with_overrides(self.recipe.serve, {"port": 0})  # beside whatever the user serves already
        with VllmProcess(self.folder / name, section, self.folder / "logs" / f"{name}-vllm.log") as server:
            key = ["--api-key", section.api_key] if section.api_key else []
            yield ["--base-url", server.base_url, "--model", server.model, *key]

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
