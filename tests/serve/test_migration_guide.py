"""docs/openai-migration.md, word for word: its shell and Python blocks, in order, against a fresh server.

Only the port, the model server (planted answers) and the training (a stand-in) differ; test_api_real has the real ones.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT
from tests.serve.api_server import running_worker, start_server

GUIDE = ROOT / "docs" / "openai-migration.md"
BASE = "HuggingFaceTB/SmolLM2-135M-Instruct"


def blocks() -> list[tuple[str, str]]:
    return re.findall(r"```(sh|python)\n(.*?)```", GUIDE.read_text(), re.DOTALL)


def test_the_guide_is_followed_word_for_word(planted: str, tmp_path: Path) -> None:
    (tmp_path / "recipes").symlink_to(ROOT / "recipes")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(ROOT)}

    def shell(command: str) -> None:
        done = subprocess.run(
            ["bash", "-euc", command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr

    (first, settings), *rest = blocks()
    assert first == "sh" and "api.yaml" in settings
    shell(settings)
    (tmp_path / "storage" / "bases" / "HuggingFaceTB-SmolLM2-135M-Instruct" / "base").mkdir(parents=True)
    (tmp_path / "storage" / "bases" / "HuggingFaceTB-SmolLM2-135M-Instruct" / "base" / "calltune.json").write_text("{}")
    api = tmp_path / "api.yaml"
    storage = f'storage: "{tmp_path / "storage"}"\n'
    text = api.read_text().replace("recipes/", f"{ROOT}/recipes/")  # the tests' server runs in the clone, not here
    api.write_text(f'{text}{storage}port: 0\nengines: {{{BASE}: "{planted}/v1"}}\n')
    server = start_server(api, "--no-worker")
    names: dict[str, object] = {}
    os.chdir(tmp_path)
    try:
        with running_worker(server.settings):
            for kind, block in rest:
                if kind == "sh":
                    shell(block)
                else:
                    exec(block.replace("http://127.0.0.1:8080/v1", server.base_url), names)
    finally:
        os.chdir(ROOT)
        server.process.kill()
        server.process.wait()
    assert names["job"].status == "succeeded"  # type: ignore[attr-defined]
    assert names["run"].result_counts.passed == 1  # type: ignore[attr-defined]
    assert names["stored_run"].result_counts.passed == 1  # type: ignore[attr-defined]
    assert (tmp_path / "stored-rows.jsonl").read_text().count("\n") == 1  # no splitlines: the answer holds U+2028
