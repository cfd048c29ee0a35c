"""vLLM's own front end without a model: messages to prompt tokens, generated tokens to a parsed message. No GPU.

    python -m eval.render_server <vLLM flags>                   # `eval.front_end` starts it with a model folder's flags

It is `vllm launch render` as it stands, with one route more: vLLM's streamed parse wants one HTTP request a token and
replays all earlier ones each time, cubic in the length of the answer. The route here takes all tokens at once and
drives the same parser and the engine's own detokenizer one token a step, as the API server does
(vllm/entrypoints/openai/chat_completion/serving.py, chat_completion_stream_generator, 0.32).
"""

from typing import Any

import uvloop
from fastapi import FastAPI, Request
from pydantic import BaseModel
from vllm.entrypoints.launchers.cli_args import make_arg_parser, validate_parsed_serve_args
from vllm.entrypoints.launchers.render import entry
from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
from vllm.sampling_params import SamplingParams
from vllm.utils.argparse_utils import FlexibleArgumentParser
from vllm.v1.engine import EngineCoreRequest
from vllm.v1.engine.detokenizer import IncrementalDetokenizer

ROUTE = "/parse_stream"


class StreamedTokens(BaseModel):
    chat_request: dict[str, Any]
    prompt_token_ids: list[int]
    """The prompt's last tokens will do."""
    token_ids: list[int]
    """What the model wrote, its end token last."""


def parse_stream(derenderer: Any, body: StreamedTokens) -> list[dict[str, Any]]:
    """The deltas a streaming client receives when the model writes these tokens one by one."""
    tokenizer = derenderer.renderer.get_tokenizer()
    request = ChatCompletionRequest.model_validate(body.chat_request)
    parser = derenderer.parser(tokenizer, request.tools, chat_template_kwargs={}, model_config=derenderer.model_config)
    if request.tool_choice != "none":  # as the front end does (vllm/renderers/online_renderer.py)
        request = parser.adjust_request(request)
    detokenizer = IncrementalDetokenizer.from_new_request(tokenizer, _engine_request(request, body.prompt_token_ids))
    deltas = []
    for position, token in enumerate(body.token_ids, start=1):
        is_last = position == len(body.token_ids)
        detokenizer.update([token], stop_terminated=is_last)  # the end token stops the model and gives no text
        text = detokenizer.get_next_output_text(finished=is_last, delta=True)
        delta = parser.parse_delta(text, [token], request, prompt_token_ids=body.prompt_token_ids, finished=is_last)
        if delta is not None:
            deltas.append(delta.model_dump(exclude_none=True))
    return deltas


def _engine_request(request: Any, prompt_token_ids: list[int]) -> Any:
    params = SamplingParams(
        skip_special_tokens=request.skip_special_tokens,
        spaces_between_special_tokens=request.spaces_between_special_tokens,
    )
    return EngineCoreRequest(
        request_id="parity", prompt_token_ids=prompt_token_ids, mm_features=None, sampling_params=params,
        pooling_params=None, arrival_time=0.0, lora_request=None, cache_salt=None, data_parallel_rank=None,
    )  # fmt: skip


def build_app(args: Any, tasks: Any) -> FastAPI:
    app: FastAPI = _vllm_build_app(args, tasks)

    @app.post(ROUTE)
    def streamed(body: StreamedTokens, request: Request) -> list[dict[str, Any]]:
        return parse_stream(request.app.state.online_derenderer, body)

    return app


# vLLM takes routes only from installed packages (its endpoint plugins), and this project installs nothing.
_vllm_build_app = entry.build_app
entry.build_app = build_app


def main() -> None:
    args = make_arg_parser(FlexibleArgumentParser(description=__doc__)).parse_args()
    validate_parsed_serve_args(args)
    uvloop.run(entry.run_launch_fastapi(args))


if __name__ == "__main__":
    main()
