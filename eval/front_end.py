"""vLLM's front end for a model folder, asked over HTTP: the prompt tokens of a request, and what its parser reads."""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import httpx

from data.row import JsonObject
from serve.server_process import ServerError, ServerProcess
from serve.vllm_process import checked_manifest, free_port, front_end_flags

HOST = "127.0.0.1"
# Of the prompt the detokenizer reads the last few tokens, and without a reasoning parser nobody reads more.
LOOK_BACK = 32


class ParsedCall(NamedTuple):
    name: str
    arguments: str
    """As received: JSON text when all is well."""


class Parsed(NamedTuple):
    """The message that a client receives."""

    text: str
    calls: list[ParsedCall]


class RefusedError(Exception):
    """vLLM answered a request with an error."""


class FrontEnd(ServerProcess):
    """`with FrontEnd(folder, log_path) as front_end:` starts it; the folder needs no weights.

    Raises UserError when the folder or its manifest is unfit.
    """

    def __init__(self, folder: Path, log_path: Path) -> None:
        self.manifest = checked_manifest(folder)
        port = free_port(HOST)
        command = [
            sys.executable, "-m", "eval.render_server",
            *front_end_flags(folder, self.manifest, self.manifest.max_model_len),
            "--host", HOST, "--port", str(port), "--disable-uvicorn-access-log",
        ]  # fmt: skip
        env = {"VLLM_NO_USAGE_STATS": "1", "VLLM_LOGGING_LEVEL": "WARNING"}
        super().__init__(command, f"http://{HOST}:{port}", log_path, env=env, title="vLLM's front end")

    def client(self) -> "FrontEndClient":
        return FrontEndClient(self.url, self.manifest.name)


class FrontEndClient:
    def __init__(self, url: str, model: str) -> None:
        self.model = model
        # Not the proxy of the environment: the front end is on this machine.
        self._http = httpx.AsyncClient(base_url=url, timeout=120, trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def prompt_ids(self, request: JsonObject) -> list[int]:
        """The token ids vLLM would feed the model for this chat completion request."""
        answer = await self._post("/v1/chat/completions/render", request | {"model": self.model})
        ids: list[int] = answer["token_ids"]
        return ids

    async def parse(self, request: JsonObject, prompt_ids: list[int], ids: list[int]) -> Parsed:
        """What a client receives at once when the model writes `ids`, the end token last."""
        # The engine keeps the end token out of the text; here nothing else would.
        choice = {"index": 0, "token_ids": ids[:-1], "finish_reason": "stop"}
        body = {
            "chat_request": _parser_request(request), "prompt_token_ids": prompt_ids[-LOOK_BACK:],
            "generate_response": {"request_id": "parity", "choices": [choice]},
        }  # fmt: skip
        answer = await self._post("/v1/chat/completions/derender", body)
        message = answer["choices"][0]["message"]
        # vLLM leaves `tool_calls` out when there are none.
        calls = [ParsedCall(**_function(call)) for call in message.get("tool_calls") or []]
        return Parsed(message["content"] or "", calls)

    async def parse_streamed(self, request: JsonObject, prompt_ids: list[int], ids: list[int]) -> Parsed:
        """What a client puts together when the model writes `ids`, the end token last, one token a step."""
        body = {"chat_request": _parser_request(request), "prompt_token_ids": prompt_ids[-LOOK_BACK:], "token_ids": ids}
        return assembled(await self._post("/parse_stream", body))

    async def _post(self, path: str, body: JsonObject) -> Any:
        try:
            answer = await self._http.post(path, json=body)
        except httpx.TransportError as error:
            raise ServerError(f"vLLM's front end stopped answering: {error!r}") from error
        if answer.status_code != 200:
            raise RefusedError(f"vLLM answered {answer.status_code}: {_error_text(answer)}")
        return answer.json()


def assembled(deltas: Iterable[JsonObject]) -> Parsed:
    """Streamed deltas put together as the OpenAI SDKs do: text joined, calls by index, argument text joined."""
    text = ""
    calls: dict[int, ParsedCall] = {}
    for delta in deltas:
        text += delta.get("content") or ""
        for part in delta.get("tool_calls") or []:
            name, arguments = calls.get(part["index"], ParsedCall("", ""))
            function = part.get("function") or {}
            calls[part["index"]] = ParsedCall(
                name + (function.get("name") or ""), arguments + (function.get("arguments") or "")
            )
    return Parsed(text, [calls[index] for index in sorted(calls)])


def _parser_request(request: JsonObject) -> JsonObject:
    """What the parser reads of a request: the tools and how they may be called. The messages are only its prompt."""
    return {key: value for key, value in request.items() if key != "messages"} | {"messages": []}


def _function(call: JsonObject) -> JsonObject:
    return {key: call["function"][key] for key in ParsedCall._fields}


def _error_text(answer: httpx.Response) -> str:
    try:
        error = answer.json()["error"]
        return str(error["message"] if isinstance(error, dict) else error)[:300]
    except (json.JSONDecodeError, KeyError, TypeError):
        return answer.text[:300]
