"""The serving program, and a real vLLM behind it."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from openai import AuthenticationError, OpenAI
from transformers import AutoTokenizer

from data.row import JsonObject
from tests.conftest import ROOT, TinyServer

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
REQUEST = {"model": "tiny", "messages": [{"role": "user", "content": "Weather in Oslo?"}], "tools": [WEATHER]}


def engine(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "serve.engine", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


def test_a_dry_run_prints_the_command_and_starts_nothing(smollm2: Path) -> None:
    done = engine(str(smollm2), "--port", "0", "--dry-run", "--api-key", "secret")
    assert done.returncode == 0
    assert f"--chat-template {smollm2 / 'chat_template.jinja'}" in done.stdout
    assert "--tool-call-parser hermes" in done.stdout
    assert "secret" not in done.stdout
    assert not (smollm2.parent / "logs").exists()


def test_the_recipe_gives_the_section_and_the_folder(smollm2: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        f"name: {smollm2.parent.name}\nruns: {smollm2.parents[1]}\nsft: {{}}\nserve: {{port: 0, max_num_seqs: 3}}\n"
    )
    done = engine("--recipe", str(recipe), "--dry-run")
    assert done.returncode == 0, done.stderr
    assert f"--model {smollm2} " in done.stdout
    assert "--max-num-seqs 3" in done.stdout


def test_user_errors_are_one_line_and_exit_2(tmp_path: Path) -> None:
    done = engine(str(tmp_path))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "not a model folder" in done.stderr
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("name: x\nserve: {prot: 1}\n")
    done = engine("--recipe", str(recipe))
    assert done.returncode == 2
    assert "unknown key 'serve.prot'" in done.stderr and "did you mean 'port'?" in done.stderr


@pytest.mark.slow
def test_vllm_dying_is_reported_with_its_reason_and_log_and_exits_1(smollm2: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("name: x\nserve: {port: 0, extra_args: [--no-such-flag]}\n")
    done = engine(str(smollm2), "--recipe", str(recipe), "--log", str(tmp_path / "vllm.log"))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "error: vLLM for tiny ended with status 2: error: unrecognized arguments: --no-such-flag; "
        f"log: {tmp_path / 'vllm.log'}"
    )


@pytest.mark.slow
def test_a_real_server_answers_with_tools_streamed_and_not(tiny_server: TinyServer) -> None:
    client = OpenAI(base_url=tiny_server.base_url, api_key=tiny_server.api_key, max_retries=0)
    assert [model.id for model in client.models.list()] == ["tiny"]
    request = {**REQUEST, "temperature": 0, "max_tokens": 8}
    answer = client.chat.completions.create(**request)
    chunks = list(client.chat.completions.create(**request, stream=True))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert answer.usage and answer.usage.completion_tokens == 8
    assert text == answer.choices[0].message.content


@pytest.mark.slow
def test_a_required_call_comes_back_as_a_call(tiny_server: TinyServer) -> None:
    """A random network cannot want a call; the grammar makes it write one, and the parser must read it."""
    client = OpenAI(base_url=tiny_server.base_url, api_key=tiny_server.api_key, max_retries=0)
    one_of_two = {"properties": {"unit": {"enum": ["C", "F"]}}, "required": ["unit"], "additionalProperties": False}
    function = {"name": "get_weather", "strict": True, "parameters": {"type": "object", **one_of_two}}
    tools = [{"type": "function", "function": function}]
    request = {**REQUEST, "tools": tools, "tool_choice": "required", "parallel_tool_calls": False}
    # Sampled: greedily it would repeat the one blank that JSON allows between tokens.
    answer = client.chat.completions.create(**request, temperature=1, seed=0, max_tokens=400)
    calls = answer.choices[0].message.tool_calls or []
    assert [call.function.name for call in calls] == ["get_weather"]
    assert json.loads(calls[0].function.arguments)["unit"] in ("C", "F")


EITHER = {"enum": ["C", "F"]}
OR_NULL = {name: {"anyOf": [EITHER, {"type": "null"}]} for name in ("day", "night")}
STRICT = {
    "name": "get_weather",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {"unit": EITHER, **OR_NULL},
        "required": ["unit", "day", "night"],
        "additionalProperties": False,
    },
}
SAMPLED = {"model": "tiny", "tool_choice": "required", "parallel_tool_calls": False, "temperature": 1}


@pytest.fixture
def no_blanks(smollm2: Path) -> JsonObject:
    """JSON allows any number of blanks between tokens, and a random network would rather write those."""
    tokenizer = AutoTokenizer.from_pretrained(smollm2)
    blank = [token for token in range(len(tokenizer)) if not tokenizer.decode([token]).strip()]
    return {"logit_bias": {str(token): -100 for token in blank}}


def require_strict(arguments: list[JsonObject]) -> None:
    """Whatever the network leaves out of what it may leave out is null for the client."""
    for each in arguments:
        assert list(each) == ["unit", "day", "night"] and each["unit"] in ("C", "F")
    assert 0 < sum(list(each.values()).count(None) for each in arguments) < 2 * len(arguments)


@pytest.mark.slow
def test_a_strict_call_has_every_argument_streamed_and_not(tiny_server: TinyServer, no_blanks: JsonObject) -> None:
    client = OpenAI(base_url=tiny_server.base_url, api_key=tiny_server.api_key, max_retries=0)
    request = REQUEST | SAMPLED | no_blanks | {"tools": [{"type": "function", "function": STRICT}], "max_tokens": 100}
    found = []
    for seed in range(8):
        (call,) = client.chat.completions.create(**request, seed=seed).choices[0].message.tool_calls or []
        found.append(json.loads(call.function.arguments))
        parts = [
            part.function
            for chunk in client.chat.completions.create(**request, seed=seed, stream=True)
            for choice in chunk.choices
            for part in choice.delta.tool_calls or []
        ]
        assert "".join(part.name or "" for part in parts) == "get_weather"
        assert json.loads("".join(part.arguments or "" for part in parts)) == found[-1]
    require_strict(found)


@pytest.mark.slow
def test_the_responses_api_has_them_too(tiny_server: TinyServer, no_blanks: JsonObject) -> None:
    client = OpenAI(base_url=tiny_server.base_url, api_key=tiny_server.api_key, max_retries=0)
    tool = {"type": "function", **STRICT}
    request = SAMPLED | {"input": "Weather in Oslo?", "tools": [tool], "max_output_tokens": 100}
    found = []
    for seed in range(8):
        extra_body = no_blanks | {"seed": seed}
        answer = client.responses.create(**request, extra_body=extra_body)
        (call,) = [item for item in answer.output if item.type == "function_call"]
        found.append(json.loads(call.arguments))
        assert [each.model_dump(exclude_unset=True)["parameters"] for each in answer.tools] == [tool["parameters"]]
        events = list(client.responses.create(**request, extra_body=extra_body, stream=True))
        texts = [event.delta for event in events if event.type == "response.function_call_arguments.delta"]
        assert [json.loads(text) for text in texts] == found[-1:]
        (done,) = [event for event in events if event.type == "response.completed"]
        assert [json.loads(item.arguments) for item in done.response.output] == found[-1:]
    require_strict(found)


@pytest.mark.slow
def test_a_seed_gives_the_same_answer_however_its_prompt_is_read(tiny_server: TinyServer) -> None:
    """All at once, prompts are read in parts; alone and known, in one. Nearly uniform tokens: one may be rounded away,
    but with another draw hardly any would be the same."""
    client = OpenAI(base_url=tiny_server.base_url, api_key=tiny_server.api_key, max_retries=0)

    def draw(number: int) -> str:
        content = f"{number} " + "a word of a long prompt " * 220
        messages = [{"role": "user", "content": content}]
        given = {"model": "tiny", "messages": messages, "temperature": 1, "seed": number, "max_tokens": 1}
        answer = client.chat.completions.create(**given, logprobs=True)  # type: ignore[call-overload]
        return answer.choices[0].logprobs.content[0].token

    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(draw, range(8)))
    alone = list(map(draw, range(8)))
    assert len(set(alone)) > 4
    assert sum(one == other for one, other in zip(together, alone, strict=True)) >= 6


@pytest.mark.slow
def test_a_wrong_key_is_turned_away(tiny_server: TinyServer) -> None:
    client = OpenAI(base_url=tiny_server.base_url, api_key="wrong", max_retries=0)
    with pytest.raises(AuthenticationError):
        client.chat.completions.create(**REQUEST)
