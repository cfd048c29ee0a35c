"""How a program ends: one line and a status, whatever becomes of its output."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
START = "from data.user_error import run_program; from pathlib import Path; "
PRINTS = START + "run_program(lambda: print('a line of output\\n' * 9999))"
FAILS = START + "run_program(lambda: Path('/nowhere/at/all').write_text(''))"


def test_a_reader_that_went_away_costs_no_traceback() -> None:
    program = subprocess.Popen([sys.executable, "-c", PRINTS], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert program.stdout and program.stderr
    assert program.stdout.readline() == b"a line of output\n"
    program.stdout.close()
    assert (program.stderr.read(), program.wait()) == (b"", 141)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_an_output_without_room_is_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([sys.executable, "-c", PRINTS], cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (
        2,
        "error: the output cannot be written: No space left on device (fix: make room)\n",
    )


def test_any_other_fault_of_ours_keeps_its_traceback() -> None:
    done = subprocess.run([sys.executable, "-c", FAILS], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.rstrip().endswith("No such file or directory: '/nowhere/at/all'")
