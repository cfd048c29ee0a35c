"""What is proved for every rendered row, and what is refused because it cannot be."""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from data.conversation import calls_of, content_text, conversation
from data.reading import read_rows
from data.render import IGNORE, render
from data.row import Message, Row
from data.task_api.scenarios import synthesize
from data.template import Template, load_template
from data.template_text import render_prompt
from data.user_error import UserError
from tests.data.rows import PING, PING_TEXT, ping, result, row, says, user
from tests.eval.tricky_rows import DIALECTS, TRICKY_ROWS
from tests.models import package_folder

CHAIN = row(
    {"role": "developer", "content": "Be brief."}, user("Ping a"),
    says("On it.", ping(), ping('{"host": "b"}', "c2")), result("up"), result("down", "c2"), says("Done."),
    user("Again"), says(None, ping()), result("up again"), says("Fine."),
)  # fmt: skip


def mutated(old: str, new: str, name: str = "chatml") -> Template:
    """Our template with one piece of its Jinja text replaced."""
    template = load_template(name)
    assert old in template.source
    return template._replace(name="mutant", source=template.source.replace(old, new))


def refusal(row: Row, tokenizer: Any, template: Template) -> str:
    with pytest.raises(UserError) as error:
        render(row, tokenizer, template)
    return str(error.value)


def written(message: Message, end_token: str) -> str:
    """What the assistant writes, put together without a template."""
    calls = [
        f'<tool_call>\n{{"name": "{name}", "arguments": {json.dumps(arguments, ensure_ascii=False)}}}\n</tool_call>'
        for name, arguments in calls_of(message)
    ]
    text = (content_text(message.content) or message.refusal or "").strip()
    return text + ("\n" if text and calls else "") + "".join(calls) + end_token


def require_trained_text(row: Row, tokenizer: Any, name: str) -> None:
    template = load_template(name)
    rendered = render(row, tokenizer, template)
    trained = [token for token, label in zip(rendered.input_ids, rendered.labels, strict=True) if label != IGNORE]
    expected = "".join(written(message, template.end_token) for message in row.messages if message.is_trained)
    assert tokenizer.decode(trained) == expected


@pytest.mark.parametrize("raw", TRICKY_ROWS.values(), ids=TRICKY_ROWS)
def test_trained_text_is_the_assistants_text_calls_and_end_token(raw: Any, chatml: Any, llama: Any) -> None:
    require_trained_text(Row.model_validate(raw), chatml, "chatml")
    require_trained_text(Row.model_validate(raw), llama, "llama3")


def test_so_it_is_for_made_rows(chatml: Any) -> None:
    for raw in synthesize(40, 1, seed=3).train:
        require_trained_text(Row.model_validate(raw), chatml, "chatml")


@pytest.mark.parametrize("name", ["home_assistant", "seal_tools", "taskmaster_coffee"])
def test_so_it_is_for_real_rows(name: str, shared_data: Path, chatml: Any, llama: Any) -> None:
    for numbered in read_rows(shared_data / name / "test.jsonl")[:25]:
        require_trained_text(numbered.row, chatml, "chatml")
        require_trained_text(numbered.row, llama, "llama3")


def test_each_turn_starts_with_the_prompt_of_the_shorter_row(chatml: Any) -> None:
    template = load_template("chatml")
    rendered, talk = render(CHAIN, chatml, template), conversation(CHAIN)
    assert [turn.message for turn in rendered.turns] == [2, 5, 7, 9]
    for turn in rendered.turns:
        prompt = render_prompt(talk.messages[: turn.message], talk.tools, template, chatml.special_tokens_map)
        assert rendered.input_ids[: turn.start] == chatml(prompt, add_special_tokens=False)["input_ids"]
        shorter = CHAIN.model_copy(update={"messages": CHAIN.messages[: turn.message + 1]})
        shorter_ids = render(shorter, chatml, template).input_ids
        assert rendered.input_ids[: len(shorter_ids)] == shorter_ids


def test_llama3_framing_is_that_of_metas_own_code(llama: Any) -> None:
    if find_spec("llama_models") is None:
        pytest.skip("llama-models, which ships Meta's ChatFormat, is not installed")
    from llama_models.datatypes import RawMessage, ToolPromptFormat
    from llama_models.llama3.chat_format import ChatFormat
    from llama_models.llama3.tokenizer import Tokenizer

    oracle = ChatFormat(Tokenizer(package_folder("llama_models") / "llama3" / "tokenizer.model"))
    call = '<tool_call>\n{"name": "ping", "arguments": {"host": "%s"}}\n</tool_call>'
    bodies = [
        ("system", f"{PING_TEXT}\n\nBe brief."), ("user", "Ping a"), ("assistant", f"On it.\n{call % 'a'}{call % 'b'}"),
        ("tool", "<tool_response>\nup\n</tool_response>"), ("tool", "<tool_response>\ndown\n</tool_response>"),
        ("assistant", "Done."), ("user", "Again"), ("assistant", call % "a"),
        ("tool", "<tool_response>\nup again\n</tool_response>"), ("assistant", "Fine."),
    ]  # fmt: skip
    expected = [llama.bos_token_id]
    for role, body in bodies:
        ids, _ = oracle.encode_message(RawMessage(role=role, content=body), ToolPromptFormat.json)
        # Meta's header for results says ipython; ours says tool, as Hermes does. All else is Meta's.
        header_end = ids.index(llama.convert_tokens_to_ids("<|end_header_id|>"))
        expected += [ids[0], *llama(role, add_special_tokens=False)["input_ids"], *ids[header_end:]]
    assert render(CHAIN, llama, load_template("llama3")).input_ids == expected


def test_there_is_one_bos_though_the_tokenizer_adds_one_to_every_text(llama: Any) -> None:
    assert llama("x")["input_ids"][0] == llama.bos_token_id
    assert render(CHAIN, llama, load_template("llama3")).input_ids.count(llama.bos_token_id) == 1


def test_a_doubled_bos_is_refused(llama: Any) -> None:
    assert refusal(CHAIN, llama, mutated("{{- bos_token -}}", "{{- bos_token ~ bos_token -}}", "llama3")) == (
        "the row starts with '<|begin_of_text|>' twice (fix: take it out of the text or the template)"
    )


def test_a_template_without_generation_markers_is_refused(chatml: Any) -> None:
    bare = Template("bare", "{% for m in messages %}{{ m.content }}{% endfor %}", [], "<|im_end|>")
    assert refusal(CHAIN, chatml, bare).startswith(
        "template 'bare' has no {% generation %} markers, so no token could be trained (fix: "
    )


def test_a_template_that_marks_only_some_turns_is_refused(chatml: Any) -> None:
    half = mutated(
        "{%- generation -%}{{- assistant_text(message) ~ '<|im_end|>' -}}{%- endgeneration -%}",
        "{%- if loop.last -%}{%- generation -%}{{- assistant_text(message) ~ '<|im_end|>' -}}{%- endgeneration -%}"
        "{%- else -%}{{- assistant_text(message) ~ '<|im_end|>' -}}{%- endif -%}",
    )
    assert refusal(CHAIN, chatml, half) == (
        "the mutant template marks 1 assistant turns of 4 (fix: put the generation markers around every assistant turn)"
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("~ '<|im_end|>' -}}{%- endgeneration -%}", "-}}{%- endgeneration -%}{{- '<|im_end|>' -}}"),
        ("-}}{%- endgeneration -%}\n    {{- '\\n' -}}", "~ '\\n' -}}{%- endgeneration -%}"),
    ],
)
def test_a_template_whose_markers_end_elsewhere_than_the_turn_is_refused(old: str, new: str, chatml: Any) -> None:
    assert refusal(CHAIN, chatml, mutated(old, new)) == (
        "the mutant template marks message 3 with another end than <|im_end|>"
        " (fix: end the generation markers straight after the token that ends a turn)"
    )


def test_a_template_that_rewrites_earlier_turns_is_refused(chatml: Any) -> None:
    rewriting = mutated(
        "~ message['content'] ~ '<|im_end|>\\n' -}}", "~ message['content'] ~ '!' * loop.revindex ~ '<|im_end|>\\n' -}}"
    )
    assert refusal(CHAIN, chatml, rewriting) == (
        "message 3 does not follow the prompt that a server would build for it"
        " (fix: a template that rewrites earlier turns needs one row per turn)"
    )


def test_a_template_that_raises_is_refused_in_one_line(chatml: Any) -> None:
    raising = mutated(
        "{%- for message in messages -%}", "{{- raise_exception('only\\ntwo roles') -}}{%- for message in messages -%}"
    )
    assert refusal(CHAIN, chatml, raising) == "Cannot be rendered with the mutant template: only two roles"


def test_trls_own_llama3_template_is_refused_for_what_it_drops(llama: Any) -> None:
    source = (package_folder("trl") / "chat_templates" / "llama3_training.jinja").read_text()
    stock = Template("llama3_training", source, [], "<|eot_id|>")
    fix = "(fix: use a template that renders it)"
    assert refusal(CHAIN, llama, stock) == f"the llama3_training template loses tool 'ping' {fix}"
    without_tools = row(user("Do it"), says(None, ping()), result("up"), says("Done."), tools=[])
    assert refusal(without_tools, llama, stock) == (
        f"the llama3_training template loses the call to 'ping' of message 2 {fix}"
    )


@pytest.mark.parametrize(
    ("old", "new", "lost"),
    [
        ("{{- tool_list(tools) ~", "{{- '' ~", "tool 'ping'"),
        (
            "', \"description\": ' ~ (function['description'] | tojson)", "''",
            "the description of tool 'ping'",
        ),
        ("canonical(function['parameters'] or", "canonical({} or", "schema field 'string' of tool 'ping'"),
        ("{%- if leads -%}{{- messages[0]['content'] -}}{%- endif -%}", "", "the text of message 1"),
        ("call['function']['name'] | tojson", "'f' | tojson", "the call to 'zoom' of message 3"),
        ("call['function']['arguments'] | tojson", "{} | tojson", "argument 'host' of the call to 'zoom' of message 3"),
        ("<tool_response>\\n' ~ message['content']", "<tool_response>\\n' ~ ''", "the text of message 4"),
        ("{{- text -}}", "", "the text of message 5"),
    ],
)  # fmt: skip
def test_a_template_that_drops_something_is_refused_with_its_name(old: str, new: str, lost: str, chatml: Any) -> None:
    talk = row(
        {"role": "system", "content": "Be brief."}, user("Look"), says(None, ping('{"host": "q"}', name="zoom")),
        result("42 ms"), says("Quick."), tools=[PING],
    )  # fmt: skip
    assert (
        refusal(talk, chatml, mutated(old, new))
        == f"the mutant template loses {lost} (fix: use a template that renders it)"
    )


def test_every_client_dialect_gives_one_canonical_tool_text(chatml: Any) -> None:
    texts = {
        render(row(user("Hi"), says("Hello."), tools=[tool]), chatml, load_template("chatml")).text
        for tool in DIALECTS.values()
    }
    [text] = texts
    assert text.splitlines()[3] == (
        '{"type": "function", "function": {"name": "find", "description": "Find places.", "parameters": '
        '{"type": "object", "properties": {"town": {"type": "string", "description": "Town"}, '
        '"limit": {"type": "integer", "default": 3}}, "required": ["town", "limit"], "additionalProperties": false}}}'
    )


def test_a_property_may_be_called_title_and_the_order_of_properties_is_kept(chatml: Any) -> None:
    parameters = {
        "title": "Gone",
        "properties": {
            "zone": {"type": "string", "title": "Gone"},
            "title": {"title": "Gone", "type": "string"},
            "at": {"anyOf": [{"type": "null", "title": "Gone"}, {"const": None}], "default": {"title": "kept"}},
        },
        "$defs": {"title": {"enum": ["title", None]}},
        "type": "object",
    }
    tool = {"type": "function", "function": {"name": "ping", "parameters": parameters}}
    text = render(row(user("Hi"), says("Hello."), tools=[tool]), chatml, load_template("chatml")).text
    assert text.splitlines()[3] == (
        '{"type": "function", "function": {"name": "ping", "parameters": {"type": "object", "properties": '
        '{"zone": {"type": "string"}, "title": {"type": "string"}, '
        '"at": {"default": {"title": "kept"}, "anyOf": [{"type": "null"}, {"const": null}]}}, '
        '"$defs": {"title": {"enum": ["title", null]}}}}}'
    )
