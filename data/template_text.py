"""The text that a chat template writes, with the character spans of the assistant's turns."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from transformers.utils.chat_template_utils import render_jinja_template

from data.conversation import Conversation
from data.row import JsonObject
from data.template import Template, require_markers
from data.user_error import UserError

SpecialTokens = Mapping[str, str]
"""`special_tokens_map` of the tokenizer: templates write some of them by name."""


class Text(NamedTuple):
    text: str
    spans: list[tuple[int, int]]
    """Character spans of the assistant turns, in order."""


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
