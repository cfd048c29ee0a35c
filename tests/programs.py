"""The real programs of training, each in a process of its own, forked from one that has their libraries.

To load those anew takes ten times as long as most of what the tests run.
"""

import tempfile
from pathlib import Path
from subprocess import CompletedProcess

from train.killing import LONGEST_S, PROCESSES, run_module


def run(module: str, *arguments: str | Path) -> CompletedProcess[str]:
    """As `subprocess.run([python, "-m", module, ...], capture_output=True)` does it, from the same folder."""
    given = [str(argument) for argument in arguments]
    with tempfile.TemporaryDirectory() as folder:
        out, error = Path(folder) / "out", Path(folder) / "error"
        process = PROCESSES.Process(target=run_module, args=(module, given, out, error))
        process.start()
        process.join(LONGEST_S)
        assert process.exitcode is not None, f"{module} still runs after {LONGEST_S} s"
        return CompletedProcess(given, process.exitcode, out.read_text(), error.read_text())
