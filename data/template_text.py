"""The text that a chat template writes, with the character spans of the assistant's turns."""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from jinja2 import Environment
from transformers.utils.chat_template_utils import render_jinja_template

from data.conversation import Conversation
from data.row import JsonObject
from data.template import TOOL_MACROS, Template, require_markers
from data.user_error import UserError

SpecialTokens = Mapping[str, str]
"""`special_tokens_map` of the tokenizer: templates write some of them by name."""


class Text(NamedTuple):
    text: str
    spans: list[tuple[int, int]]
    """Character spans of the assistant turns, in order."""


def tool_line(tool: JsonObject) -> str:
    """The line of one tool in the tool list of every template of ours: most of the work of a row, and often shared."""
    head, tail = _tool_list_frame()
    return _tool_list([tool])[len(head) : -len(tail)]


def tool_list_text(lines: list[str]) -> str:
    """The tool list of these lines: the macro writes each tool by itself."""
    head, tail = _tool_list_frame()
    return head + "".join(lines) + tail


@lru_cache(maxsize=1)
def _tool_list_frame() -> tuple[str, str]:
    """What stands before and after the tools: where the list of none and the list of one part."""
    none, one = _tool_list([]), _tool_list([{"type": "function", "function": {"name": "one"}}])
    end_of_head = next(place for place, letter in enumerate(none) if letter != one[place])
    return none[:end_of_head], none[end_of_head:]


def _tool_list(tools: list[JsonObject]) -> str:
    return str(_tool_macros().tool_list(tools))


@lru_cache(maxsize=1)
def _tool_macros() -> Any:
    """Compiled as transformers compiles templates, but without its sandbox: the file is ours, and twice as fast."""
    environment = Environment(trim_blocks=True, lstrip_blocks=True)
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    return environment.from_string(TOOL_MACROS).module


def render_text(
    talk: Conversation, template: Template, special_tokens: SpecialTokens, tool_text: str | None = None
) -> Text:
    """The rendered text and the spans of its assistant turns; `tool_text` spares one of ours its tool list."""
    require_markers(template)
    source, extra = _with_tool_text(template, tool_text)
    try:
        texts, spans = render_jinja_template(
            conversations=[talk.messages],
            tools=talk.tools,
            chat_template=source,
            return_assistant_tokens_mask=True,
            **special_tokens,
            **extra,
        )
    except Exception as error:  # a template may raise anything: it is a program
        reason = " ".join(str(error).split())
        raise UserError(f"Cannot be rendered with the {template.name} template: {reason}") from error
    num_assistants = sum(message["role"] == "assistant" for message in talk.messages)
    if len(spans[0]) != num_assistants:
        raise UserError(
            f"the {template.name} template marks {len(spans[0])} assistant turns of {num_assistants}",
            fix="put the generation markers around every assistant turn",
        )
    return Text(texts[0], spans[0])


def render_prompt(
    messages: list[JsonObject],
    tools: list[JsonObject] | None,
    template: Template,
    special_tokens: SpecialTokens,
    tool_text: str | None = None,
) -> str:
    """The prompt a server builds for the turn after `messages`."""
    source, extra = _with_tool_text(template, tool_text)
    return _rendered(source, messages, tools, {**special_tokens, **extra}, add_generation_prompt=True)


def _with_tool_text(template: Template, tool_text: str | None) -> tuple[str, JsonObject]:
    """The template without the macros that write tools, and what stands in for them."""
    source = template.without_tool_macros
    if tool_text is None or source is None:
        return template.source, {}
    return source, {"tool_list": lambda _: tool_text}


def _rendered(
    source: str,
    messages: list[JsonObject],
    tools: list[JsonObject] | None,
    variables: Mapping[str, Any],
    **options: Any,
) -> str:
    texts, _ = render_jinja_template(
        conversations=[messages], tools=tools, chat_template=source, **options, **variables
    )
    return str(texts[0])
