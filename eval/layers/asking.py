"""One item asked in one way, with as much as the endpoint tells of what the model wrote."""

import json
import re
from typing import Any, Literal, NamedTuple, get_args

import httpx
import openai

from data.chat_completion import read_completion
from data.preparation.strict_schemas import strict_parameters, without_fillers
from data.row import JsonObject
from data.strict_json import load_json
from eval.client import request
from eval.endpoint import Endpoint
from eval.front_end import Parsed, assembled
from eval.item import Item
from eval.reply import NotRun, RawCall, Reply
from eval.settings import EvalSection

Way = Literal["auto", "streamed", "required", "strict", "strict_functions"]
"""`strict`: the schemas as they are, held to by the server's grammar. `strict_functions`: as client libraries make them
of functions, every argument required, null where none is meant; such a null counts as left out."""
WAYS: tuple[Way, ...] = get_args(Way)
_END_TOKEN = re.compile(r"\s*<\|[A-Za-z_]+\|>\s*$")


class Heard(NamedTuple):
    answer: Reply | NotRun
    raw_text: str | None = None
    """What the model wrote before any parser read it; None where the endpoint does not tell."""


class Asker:
    """Asks one model of one endpoint; whatever the endpoint does, nothing is raised."""

    def __init__(self, client: openai.AsyncOpenAI, endpoint: Endpoint, settings: EvalSection) -> None:
        self._client, self._endpoint, self._settings = client, endpoint, settings

    async def ask(self, item: Item, way: Way) -> Heard:
        body = _body(self._endpoint.model, item, way, self._settings)
        try:
            heard = await (self._streamed(body) if way == "streamed" else self._at_once(body))
            return _as_meant(item, heard) if way == "strict_functions" else heard
        except openai.APITimeoutError:
            return Heard(NotRun(reason=f"slow: no answer within {self._settings.timeout_s:g} s"))
        except openai.APIStatusError as error:
            text = " ".join(error.response.text.split())[:200]
            return Heard(NotRun(reason=f"http_{error.status_code}: {text}", status_code=error.status_code))
        except (openai.OpenAIError, httpx.HTTPError) as error:
            broken = "broken_stream" if way == "streamed" else "no_answer"
            return Heard(NotRun(reason=f"{broken}: {error}: {error.__cause__}"))
        except ValueError as error:
            return Heard(NotRun(reason=f"garbage: {error}"))

    async def _at_once(self, body: JsonObject) -> Heard:
        # vLLM gives the tokens of the very answer that its parser read; other servers leave the field unread.
        raw = await self._client.chat.completions.with_raw_response.create(
            **body, extra_body={"return_token_ids": True}
        )
        choice = read_completion(raw.http_response.content).choices[0]
        calls = [call.function for call in choice.message.tool_calls or []]
        reply = Reply(
            content=choice.message.content or "",
            calls=[RawCall(name=call.name, arguments=_text(call.arguments)) for call in calls],
            finish_reason=choice.finish_reason,
            latency_s=raw.elapsed.total_seconds(),
        )
        return Heard(reply, await self._written(raw.http_response.json()["choices"][0].get("token_ids")))

    async def _written(self, token_ids: Any) -> str | None:
        if not token_ids:
            return None
        root = self._endpoint.base_url.rstrip("/").removesuffix("/v1")
        body = {"model": self._endpoint.model, "tokens": token_ids}
        try:
            answer = await self._client.post(f"{root}/detokenize", body=body, cast_to=httpx.Response)
            return _END_TOKEN.sub("", str(answer.json()["prompt"]))
        except (openai.OpenAIError, ValueError, KeyError):
            return None

    async def _streamed(self, body: JsonObject) -> Heard:
        """Raises OpenAIError or HTTPError when the stream breaks."""
        deltas: list[JsonObject] = []
        finish_reason = None
        async for chunk in await self._client.chat.completions.create(**body, stream=True):
            for choice in chunk.choices:
                deltas.append(choice.delta.model_dump(exclude_none=True))
                finish_reason = choice.finish_reason or finish_reason
        if finish_reason is None:
            return Heard(NotRun(reason="broken_stream: it ended without a finish_reason"))
        return Heard(_reply(assembled(deltas), finish_reason))


def _reply(parsed: Parsed, finish_reason: str) -> Reply:
    calls = [RawCall(name=call.name, arguments=call.arguments) for call in parsed.calls]
    return Reply(content=parsed.text, calls=calls, finish_reason=finish_reason, latency_s=0)


def _body(model: str, item: Item, way: Way, settings: EvalSection) -> dict[str, Any]:
    body = request(model, item, settings)
    if way == "required":
        body["tool_choice"] = "required"
    if way in ("strict", "strict_functions"):
        body["tools"] = [_strict(tool, way) for tool in body.get("tools", [])]
    return body


def _strict(tool: JsonObject, way: Way) -> JsonObject:
    """`strict` alone switches the server's grammar on."""
    function = tool["function"] | {"strict": True}
    if way == "strict_functions":
        parameters = strict_parameters(function.get("parameters"), "signature")
        if parameters is None:  # libraries refuse such a function or send it as it is
            return tool
        function["parameters"] = parameters
    return tool | {"function": function}


def _as_meant(item: Item, heard: Heard) -> Heard:
    if isinstance(heard.answer, NotRun):
        return heard
    calls = [call.model_copy(update={"arguments": _meant(item, call)}) for call in heard.answer.calls]
    return heard._replace(answer=heard.answer.model_copy(update={"calls": calls}))


def _meant(item: Item, call: RawCall) -> str:
    try:
        arguments = load_json(call.arguments)
    except ValueError:
        return call.arguments  # the scorer's to say
    schema = item.tools.get(call.name, {}).get("parameters") or {}
    return json.dumps(without_fillers(arguments, schema))


def _text(arguments: Any) -> str:
    return arguments if isinstance(arguments, str) else json.dumps(arguments)
