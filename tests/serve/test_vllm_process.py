"""From a manifest to vLLM's command line, and what is refused before vLLM starts."""

import json
import shutil
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from data.user_error import UserError
from serve.settings import ServeSection
from serve.vllm_process import free_port, plan_vllm


@pytest.fixture
def folder(smollm2: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(smollm2, tmp_path / "merged"))


def spoil_manifest(folder: Path, **changes: Any) -> None:
    path = folder / "calltune.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def refusal(folder: Path, **section: Any) -> str:
    with pytest.raises(UserError) as error:
        plan_vllm(folder, ServeSection(**{"port": 0} | section))
    assert "\n" not in str(error.value)
    return str(error.value)


def test_the_command_follows_from_the_manifest_and_the_section(smollm2: Path) -> None:
    port = free_port("127.0.0.1")
    section = ServeSection(
        port=port,
        api_key="secret",
        dtype="bfloat16",
        enforce_eager=True,
        max_num_seqs=4,
        extra_args=["--seed", "1"],
        max_model_len=2048,
    )
    plan = plan_vllm(smollm2, section)
    assert plan.command == [
        sys.executable, "-m", "serve.cpu_vllm", "--model", str(smollm2),
        "--served-model-name", "tiny", "--chat-template", str(smollm2 / "chat_template.jinja"),
        "--chat-template-content-format", "string",
        "--enable-auto-tool-choice", "--tool-call-parser", "hermes", "--max-model-len", "2048",
        "--host", "127.0.0.1", "--port", str(port), "--dtype", "bfloat16", "--gpu-memory-utilization", "0.9",
        "--disable-uvicorn-access-log", "--enforce-eager", "--max-num-seqs", "4",
        "--middleware", "serve.strict_tools.StrictTools", "--seed", "1",
    ]  # fmt: skip
    assert plan.env["VLLM_API_KEY"] == "secret"
    assert "secret" not in plan.text and "VLLM_ENFORCE_STRICT_TOOL_CALLING" not in plan.env
    assert plan.url == f"http://127.0.0.1:{port}"


def test_the_length_is_the_manifests_unless_given(smollm2: Path) -> None:
    command = plan_vllm(smollm2, ServeSection(port=0)).command
    assert command[command.index("--max-model-len") + 1] == "8192"


def test_strict_tools_may_go_unenforced(smollm2: Path) -> None:
    plan = plan_vllm(smollm2, ServeSection(port=0, enforce_strict_tool_calling=False))
    assert plan.env["VLLM_ENFORCE_STRICT_TOOL_CALLING"] == "0"


@pytest.mark.parametrize(
    ("manifest", "asked", "relaxed"),
    [
        ({}, None, "1"),
        ({"writes_nulls": True}, None, "0"),
        ({"kind": "base"}, None, "0"),  # an adapter that is loaded later brings its own
        ({"writes_nulls": True}, True, "1"),
        ({}, False, None),
    ],
)
def test_strict_tools_are_relaxed_for_a_model_that_was_never_taught_nulls(
    folder: Path, manifest: Any, asked: bool | None, relaxed: str | None
) -> None:
    spoil_manifest(folder, **manifest)
    plan = plan_vllm(folder, ServeSection(port=0, relax_strict_tools=asked))
    assert plan.env.get("CALLTUNE_RELAX_STRICT_TOOLS") == relaxed
    assert ("--middleware" in plan.command) == (relaxed is not None)


def test_a_server_on_all_interfaces_is_reached_through_the_loopback(smollm2: Path) -> None:
    plan = plan_vllm(smollm2, ServeSection(host="0.0.0.0", port=0))
    assert plan.url == f"http://127.0.0.1:{plan.port}"


def test_a_busy_port_is_refused(smollm2: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"port {port} on 127.0.0.1 cannot be used: Address already in use" in refusal(smollm2, port=port)


def test_what_is_no_model_folder_is_refused(tmp_path: Path) -> None:
    assert "no such model folder" in refusal(tmp_path / "nowhere")
    assert "it has no config.json" in refusal(tmp_path)


def test_a_missing_manifest_is_refused(folder: Path) -> None:
    (folder / "calltune.json").unlink()
    assert "no manifest" in refusal(folder)


@pytest.mark.parametrize("text", ["{", "[]", '{"model": "x"}'])
def test_a_foreign_manifest_is_refused(folder: Path, text: str) -> None:
    (folder / "calltune.json").write_text(text)
    assert "foreign manifest" in refusal(folder)


def test_a_template_that_is_not_the_trained_one_is_refused(folder: Path) -> None:
    with (folder / "chat_template.jinja").open("a") as template:
        template.write(" ")
    assert "is not the one of the manifest" in refusal(folder)
    (folder / "chat_template.jinja").unlink()
    assert "is not the one of the manifest" in refusal(folder)


def test_a_parser_that_does_not_read_the_template_is_refused(folder: Path) -> None:
    spoil_manifest(folder, tool_call_parser="llama3_json")
    assert "'llama3_json' does not read what the template 'chatml' writes" in refusal(folder)


@pytest.mark.parametrize("word", ["--chat-template=x", "--tool-call-parser", "--chat_template"])
def test_extra_flags_cannot_undo_the_manifest(smollm2: Path, word: str) -> None:
    assert "comes from the model's manifest" in refusal(smollm2, extra_args=[word])


def test_more_context_than_the_model_takes_is_refused(smollm2: Path) -> None:
    assert "more than the model takes (8192)" in refusal(smollm2, max_model_len=8193)


def test_an_unknown_host_is_refused(smollm2: Path) -> None:
    assert "host no.such.host.invalid" in refusal(smollm2, host="no.such.host.invalid")
