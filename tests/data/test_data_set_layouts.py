"""Small records of the data sets' own layouts and of OpenTelemetry spans, with the faults that each refuses."""

import json
from pathlib import Path
from typing import Any

import pytest

from data.layouts.python_types import read_type
from data.row import JsonObject
from tests.data.layout_records import CALLED, PING_BARE, PING_CALL, outcomes, refusal_of, row_of, said
from tests.data.rows import PING, ping, says, user
from tests.data.story import of_row

# ---- xLAM and Python type names


def xlam(answers: Any, parameters: JsonObject) -> JsonObject:
    tools = [{"name": "ping", "description": "", "parameters": parameters}]
    return {"id": 0, "query": "Ping a", "answers": json.dumps(answers), "tools": json.dumps(tools)}


def test_a_map_of_parameters_becomes_a_schema(tmp_path: Path) -> None:
    parameters = {
        "host": {"description": "Where", "type": "str"}, "n": {"type": "int, optional", "default": ""},
        "ports": {"type": "List[int]", "default": "[]"}, "via": {"type": "Route"}, "required": {"type": "bool"},
    }  # fmt: skip
    answers = [{"name": "ping", "arguments": {"host": "a", "via": 1, "required": True}}]
    _, (outcome,) = outcomes(tmp_path, xlam(answers, parameters))
    assert json.loads(outcome.line)["tools"][0]["function"]["parameters"] == {
        "type": "object",
        "properties": {
            "host": {"description": "Where", "type": "string"}, "n": {"type": "integer", "default": ""},
            "ports": {"type": "array", "items": {"type": "integer"}, "default": "[]"}, "via": {},
            "required": {"type": "boolean"},
        },
        "required": ["host", "via", "required"],
    }  # fmt: skip
    assert outcome.notes == {
        "parameter map made a JSON Schema": 1, "Python type name mapped": 4, "unknown type 'Route' left out": 1,
        "key 'id' left out": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "schema", "is_optional"),
    [
        ("str", {"type": "string"}, False),
        ("float, optional", {"type": "number"}, True),
        ("Dict[str, Any]", {"type": "object", "additionalProperties": {}}, False),
        ("List[List[str]], optional", {"type": "array", "items": {"type": "array", "items": {"type": "string"}}}, True),
        ("Tuple[int, int]", {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2}, False),
        ("typing.Optional[bool]", {"anyOf": [{"type": "boolean"}, {"type": "null"}]}, True),
        ("Union[int, str]", {"anyOf": [{"type": "integer"}, {"type": "string"}]}, False),
        ("int | None", {"anyOf": [{"type": "integer"}, {"type": "null"}]}, False),
        ("Literal['a', 'b']", {"enum": ["a", "b"]}, False),
        ("any", {}, False),
        ("Tuple[int, str]", None, False),
        ("Callable[[float], float]", None, False),
        ("string (ISO 8601)", None, False),
        ("np.ndarray, optional", None, True),
    ],
)
def test_python_type_names_are_read_by_one_table(name: str, schema: JsonObject | None, is_optional: bool) -> None:
    assert read_type(name) == (schema, is_optional)


def test_an_xlam_record_without_calls_is_refused(tmp_path: Path) -> None:
    assert refusal_of(tmp_path, xlam([], {})) == ("no_answer", "answers is empty: what is said instead is not given")


# ---- Glaive

LISTED = "SYSTEM: You are a helpful assistant with access to the following functions. Use them if required -\n"


def glaive(call: str, system: str = LISTED + json.dumps(PING_BARE, indent=4)) -> JsonObject:
    return {"system": system, "chat": f"USER: Ping a\n\n\nASSISTANT: {call} <|endoftext|>\n\n\n"}


def functioncall(quoted: str) -> str:
    return f'<functioncall> {{"name": "ping", "arguments": {quoted}}}'


@pytest.mark.parametrize(
    ("quoted", "host"),
    [
        ("""'{"host": "a"}'""", "a"),
        ("""'{"host": "it's"}'""", "it's"),
        (r"""'{"host": "it\'s"}'""", "it's"),
        (r"""'{"host": "say \"hi\""}'""", 'say "hi"'),
        (r"""'{"host": "a\nb"}'""", "a\nb"),
        ("""{"host": "a"}""", "a"),
        (r'''"{\"host\": \"a\"}"''', "a"),
    ],
)
def test_glaive_arguments_are_read_out_of_their_quotes(tmp_path: Path, quoted: str, host: str) -> None:
    row = row_of(tmp_path, glaive("Sure. " + functioncall(quoted)), "glaive")
    assert of_row(row) == [("user", "Ping a"), ("assistant", "Sure."), ("call", "ping", {"host": host})]
    assert row["tools"] == [PING]


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (glaive(functioncall(r"""'{"host": "C:\\\\x"}'""")), ("unreadable", "the arguments read in two ways: ")),
        (glaive(functioncall("""'{"host": a}'""")), ("unreadable", "the arguments are not JSON: ")),
        (glaive(functioncall("""'{"host": "a"}'""") + " and so on"), ("unreadable", "the call is not readable: ")),
        (
            glaive("Hello.\nUSER: is a word"),
            ("speaker", "line 5 of the chat begins with 'USER:' but no two blank lines"),
        ),
        (glaive("Hi.", LISTED + '{"name": "ping"'), ("unreadable", "the tool list is not JSON: ")),
        ({"system": "", "chat": "Hello"}, ("form", "the chat does not begin with a speaker")),
    ],
)
def test_glaive_text_that_leaves_a_doubt_is_refused(
    tmp_path: Path, record: JsonObject, expected: tuple[str, str]
) -> None:
    cause, what = refusal_of(tmp_path, record)
    assert cause == expected[0] and what.startswith(expected[1]), what


# ---- Seal-Tools, ToolAlpaca, ReAct, HammerBench, content parts, API-Bank


def test_a_seal_call_on_another_calls_result_is_refused(tmp_path: Path) -> None:
    tool = {"api_name": "ping", "api_description": "", "parameters": {"host": {"type": "str"}}, "required": []}
    prompt = (
        "Please chooose the needed apis and return api_calling list according to the task_instruction.\n"
        "Output format: []\nResponses can be used as parameter value. The number varies.\n\nInput:\n"
        f'api_list = {[tool]}\ntask_instruction = "Ping "a"."\nOutput:\n'
    )
    answers = [[{"api": "ping", "parameters": {"host": host}, "responses": []}] for host in ("a", "API_call_0")]
    records = [{"conversations": [said("human", prompt), said("gpt", str(answer))]} for answer in answers]
    layout, (kept, refused) = outcomes(tmp_path, *records)
    assert layout == "seal_tools"
    assert of_row(json.loads(kept.line)) == [("user", 'Ping "a".'), CALLED]
    assert (refused.cause, refused.where) == ("reference", f"{tmp_path}/in.jsonl:2")


def alpaca(answer: Any, operation: JsonObject) -> JsonObject:
    document = {"paths": {"/ping": {"get": {"operationId": "ping"} | operation}}}
    return {"Documentation": json.dumps(document), "Instructions": ["Ping a"], "Golden_Answers": [[answer]]}


def test_an_open_api_document_becomes_tools(tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"n": {"$ref": "#/n"}}, "required": ["n"]}
    operation = {
        "summary": "Ping.", "requestBody": {"content": {"application/json": {"schema": schema}}},
        "parameters": [{"name": "host", "in": "query", "required": True, "schema": {"type": "string"}}],
    }  # fmt: skip
    record = alpaca({"Action": "ping", "Action_Input": '{"host": "a", "n": 1}'}, operation)
    record["Documentation"] = json.dumps(json.loads(record["Documentation"]) | {"n": {"type": "integer"}})
    row = row_of(tmp_path, record, "tool_alpaca")
    assert row["tools"][0]["function"] == {
        "name": "ping", "description": "Ping.", "parameters": {
            "type": "object", "properties": {"host": {"type": "string"}, "n": {"type": "integer"}},
            "required": ["host", "n"],
        },
    }  # fmt: skip


FIELD = {"name": "host", "schema": {"type": "string"}}


@pytest.mark.parametrize(
    ("arguments", "operation", "expected"),
    [
        ('{"host": "{the host}"}', {}, ("place_mark", "the value '{the host}' only marks the place of one")),
        ("{}", {"parameters": [FIELD, FIELD]}, ("tools", "ping has two fields called 'host'")),
        ("{}", {"parameters": [{"$ref": "#/gone"}]}, ("tools", "the reference '#/gone' leads nowhere")),
        ("{}", {"parameters": [{"$ref": "#/paths/~1ping"}]}, ("tools", "the reference '#/paths/~1ping' leads nowhere")),
        ("{}", {"requestBody": {"content": {"text/plain": {}}}},
         ("tools", "a body is text/plain, not application/json")),
        ("{}", {"operationId": None}, ("form", "operationId is missing, not text")),
    ],
)  # fmt: skip
def test_a_tool_alpaca_record_is_refused(
    tmp_path: Path, arguments: str, operation: JsonObject, expected: tuple[str, str]
) -> None:
    assert refusal_of(tmp_path, alpaca({"Action": "ping", "Action_Input": arguments}, operation)) == expected


def test_a_react_thought_is_the_text_before_its_call(tmp_path: Path) -> None:
    system = f"Hm. Specifically, you have access of the following tools:\n{json.dumps([PING_BARE])}\n\nGo."
    step = "Thought: I will.\nAction: ping\nAction Input: {'host': 'a'}"
    items = [said("system", system), said("user", "Ping a"), said("assistant", step), said("function", "ok")]
    row = row_of(tmp_path, {"conversations": items}, "react")
    assert of_row(row) == [
        ("system", "Hm.\n\nGo."),
        ("user", "Ping a"),
        ("assistant", "I will."),
        CALLED,
        ("result", "ok"),
    ]
    items[2] = said("assistant", "Thought:\nAction: ping\nAction Input: {}\nAction Input: {}")
    assert refusal_of(tmp_path, {"conversations": items})[0] == "unreadable"


def test_a_hammer_bench_row_that_ends_on_its_only_call_is_kept(tmp_path: Path) -> None:
    call = {"role": "function call", "content": {"name": "ping", "arguments": {"host": "a"}}}
    row = row_of(tmp_path, {"messages": [user("Ping a"), call], "multiple_tools": [PING_BARE]}, "hammer_bench")
    assert of_row(row) == [("user", "Ping a"), CALLED]


def test_parts_in_an_order_that_a_row_cannot_keep_are_refused(tmp_path: Path) -> None:
    parts = [{"type": "tool_call", "value": PING_CALL}, {"type": "text", "value": "So."}]
    record = {"messages": [{"role": "assistant", "content": parts}], "tools": json.dumps([PING_BARE])}
    assert refusal_of(tmp_path, record) == ("order", "text stands behind a call")


def test_an_api_bank_result_of_another_call_is_refused(tmp_path: Path) -> None:
    turn = {"role": "API", "api_name": "ping", "param_dict": {}, "result": {"api_name": "pong"}}
    record = {"turns": [{"role": "User", "text": "Hi"}, turn]}
    assert refusal_of(tmp_path, record) == ("results", "a result of 'pong' is at a call of 'ping'")


# ---- OpenTelemetry

INPUT = [
    {"role": "user", "parts": [{"type": "text", "content": "Ping a"}]},
    {"role": "assistant", "parts": [{"type": "tool_call", "id": "c1", "name": "ping", "arguments": {"host": "a"}}]},
    {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": {"ok": True}}]},
]  # fmt: skip
OUTPUT = [
    {
        "role": "assistant", "finish_reason": "stop",
        "parts": [{"type": "reasoning", "content": "Hm."}, {"type": "text", "content": "Done."}],
    },
]  # fmt: skip
ATTRIBUTES: JsonObject = {
    "gen_ai.operation.name": "chat", "gen_ai.system_instructions": [{"type": "text", "content": "Be brief."}],
    "gen_ai.input.messages": INPUT, "gen_ai.output.messages": OUTPUT,
    "gen_ai.tool.definitions": [{"type": "function", **PING_BARE}],
}  # fmt: skip
SPAN_ROW = {
    "messages": [
        {"role": "system", "content": "Be brief."}, user("Ping a"), says(None, ping()),
        {"role": "tool", "tool_call_id": "c1", "content": '{"ok": true}'}, says("Done."),
    ],
    "tools": [PING],
}  # fmt: skip


def any_value(value: Any) -> JsonObject:
    """As OTLP's JSON encoding tags it."""
    if isinstance(value, dict):
        return {"kvlistValue": {"values": [{"key": k, "value": any_value(v)} for k, v in value.items()]}}
    if isinstance(value, list):
        return {"arrayValue": {"values": [any_value(item) for item in value]} if value else {}}
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    return {"doubleValue": value} if isinstance(value, float) else {"stringValue": value}


def pairs(attributes: JsonObject) -> list[JsonObject]:
    return [{"key": key, "value": any_value(value)} for key, value in attributes.items()]


def test_a_span_becomes_a_row_however_it_was_exported(tmp_path: Path) -> None:
    as_text = {key: value if isinstance(value, str) else json.dumps(value) for key, value in ATTRIBUTES.items()}
    for record in (
        {"attributes": ATTRIBUTES},
        {"name": "chat m", "context": {"trace_id": "0x1"}, "attributes": as_text},
        {"traceId": "1", "spanId": "2", "attributes": pairs(as_text)},
        {"attributes": pairs(ATTRIBUTES)},
        ATTRIBUTES,
    ):
        assert row_of(tmp_path, record, "otel") == SPAN_ROW


def test_an_export_holds_many_spans_and_those_without_content_are_refused(tmp_path: Path) -> None:
    spans = [
        {"traceId": "1", "attributes": [*pairs(ATTRIBUTES), {"key": "raw", "value": {"bytesValue": "aGk="}}]},
        {"traceId": "1", "attributes": pairs({"http.method": "GET"})},
    ]
    layout, (kept, refused) = outcomes(tmp_path, {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]})
    assert (layout, json.loads(kept.line)) == ("otel", SPAN_ROW)
    assert kept.notes == {"reasoning left out": 1, "other span attributes left out": 2, "key 'traceId' left out": 1}
    assert (refused.where, refused.cause) == (f"{tmp_path}/in.jsonl:1: part 2", "no_content")


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"gen_ai.output.messages": OUTPUT * 2}, ("alternatives", "the span has 2 answers, a row has one")),
        ({"gen_ai.output.messages": [OUTPUT[0] | {"finish_reason": "length"}]},
         ("cut_off", "the answer ended for length")),
        ({"gen_ai.input.messages": '[{"role": "us'}, ("unreadable", "gen_ai.input.messages is not JSON, perhaps cut")),
        ({"gen_ai.input.messages": [{"role": "user", "parts": [{"type": "blob"}]}]},
         ("form", "a part has the type 'blob'")),
    ],
)  # fmt: skip
def test_a_span_is_refused(tmp_path: Path, changed: JsonObject, expected: tuple[str, str]) -> None:
    cause, what = refusal_of(tmp_path, {"attributes": ATTRIBUTES | changed})
    assert cause == expected[0] and what.startswith(expected[1]), what
