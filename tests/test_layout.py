"""The house rules that a reader relies on: rooms, programs, sizes, and what is imported without need."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ["data", "train", "serve", "eval", "recipes"]
FILES = sorted(path for folder in [*ROOMS, "tests"] for path in (ROOT / folder).rglob("*.py"))
ROOM_FILES = [path for path in FILES if path.relative_to(ROOT).parts[0] in ROOMS]
MAX_LINES, MAX_FUNCTION_LINES = 300, 50


def module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def is_program(path: Path) -> bool:
    return 'if __name__ == "__main__":' in path.read_text()


def imports(path: Path) -> set[str]:
    """Modules named by any import, also one inside a function; `from a import b` names a and a.b."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_from_rooms_to_its_left(room: str) -> None:
    hidden = {*ROOMS[ROOMS.index(room) + 1 :], "tests"}
    wrong = {
        f"{module(path)} imports {name}"
        for path in (ROOT / room).rglob("*.py")
        for name in imports(path)
        if name.split(".")[0] in hidden
    }
    assert wrong == set()


def test_no_file_imports_a_program() -> None:
    programs = {module(path) for path in ROOM_FILES if is_program(path)}
    assert {"data.check", "data.show", "eval.run", "eval.gate"} <= programs
    wrong = {f"{module(path)} imports {name}" for path in ROOM_FILES for name in imports(path) & programs}
    assert wrong == set()


def test_every_program_says_how_it_is_started() -> None:
    silent = [
        module(path)
        for path in ROOM_FILES
        if is_program(path) and f"-m {module(path)}" not in (ast.get_docstring(ast.parse(path.read_text())) or "")
    ]
    assert silent == []


@pytest.mark.parametrize("program", ["data.check", "data.convert", "data.show", "eval.run", "eval.gate"])
def test_a_program_that_needs_no_torch_imports_none(program: str) -> None:
    code = f"import {program}, sys; print(*sorted({{'torch', 'transformers', 'vllm'}} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert (loaded.returncode, loaded.stdout, loaded.stderr) == (0, "\n", "")


def test_files_and_functions_stay_short() -> None:
    long = []
    for path in FILES:
        text = path.read_text()
        if (lines := text.count("\n")) > MAX_LINES:
            long.append(f"{path.relative_to(ROOT)}: {lines} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or 0) - node.lineno + 1
                if lines > MAX_FUNCTION_LINES:
                    long.append(f"{path.relative_to(ROOT)}: {node.name} has {lines} lines")
    assert long == []


def test_a_file_is_named_by_what_it_holds() -> None:
    vague = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "base_class"}
    names = {path.stem for path in ROOM_FILES} - {"__init__"}
    assert names & vague == set()
    assert names & set(sys.stdlib_module_names) == set()
