"""What happens in a record, read a second time: an importer's rows must tell the same story as their source.

Nothing of the importers is used here. A story is a list of events in order: (role, text), ("call", name, arguments)
and ("result", text); tools are (name, parameter names).
"""

import ast
import json
import re
from collections.abc import Callable
from typing import Any

Event = tuple[Any, ...]
Tools = list[tuple[str, set[str]]] | None


def of_row(row: dict[str, Any]) -> list[Event]:
    """The story that a row of this project tells."""
    events: list[Event] = []
    for message in row["messages"]:
        if message["role"] == "tool":
            events.append(("result", message["content"]))
            continue
        if message.get("content"):
            events.append((message["role"], message["content"]))
        calls = [call["function"] for call in message.get("tool_calls") or []]
        events += [("call", call["name"], json.loads(call["arguments"])) for call in calls]
    return events


def tools_of_row(row: dict[str, Any]) -> Tools:
    functions = [tool["function"] for tool in row.get("tools", [])]
    return [(f["name"], set(f["parameters"].get("properties", {}))) for f in functions]


def sharegpt(record: dict[str, Any]) -> list[Event]:
    events: list[Event] = []
    for item in record["conversations"]:
        if item["from"] == "function_call":
            call = json.loads(item["value"])
            events.append(("call", call["name"], call["arguments"]))
        else:
            role = {"human": "user", "gpt": "assistant", "observation": "result"}[item["from"]]
            events.append((role, item["value"]))
    return events


def content_parts(record: dict[str, Any]) -> list[Event]:
    events: list[Event] = []
    for message in record["messages"]:
        for part in message["content"]:
            if part["type"] == "tool_call":
                call = json.loads(part["value"])
                events.append(("call", call["name"], call["arguments"]))
            elif part["type"] == "text":
                events.append(("result" if message["role"] == "tool" else message["role"], part["value"]))
    return events


def glaive(record: dict[str, Any]) -> list[Event]:
    events: list[Event] = []
    if "{" not in record["system"]:
        events.append(("system", record["system"][len("SYSTEM: ") :].strip()))
    for piece in re.split(r"\n\n\n(?=USER: |ASSISTANT: |FUNCTION RESPONSE: )", record["chat"].strip()):
        speaker, text = piece.split(": ", 1)
        text = text.replace("<|endoftext|>", "").strip()
        if text.startswith("<functioncall>"):
            name = text.split('"name": "')[1].split('"')[0]
            events.append(("call", name, json.loads(text[text.index("'") + 1 : text.rindex("'")])))
        else:
            events.append(({"USER": "user", "ASSISTANT": "assistant"}.get(speaker, "result"), text))
    return events


def hermes(record: dict[str, Any]) -> list[Event]:
    events: list[Event] = []
    for item in record["conversations"]:
        text = item["value"].strip()
        if item["from"] == "system":
            events.append(("system", text.split(" You are provided")[0]))
        elif "<tool_call>" in text:
            for body in re.findall(r"<tool_call>\n(.*?)\n</tool_call>", text):
                call = json.loads(body) if '"name"' in body else ast.literal_eval(body)
                events.append(("call", call["name"], call["arguments"]))
        elif item["from"] == "tool":
            events.append(("result", text.replace("<tool_response>", "").replace("</tool_response>", "").strip()))
        else:
            events.append(({"human": "user", "gpt": "assistant"}[item["from"]], item["value"]))
    return events


def xlam(record: dict[str, Any]) -> list[Event]:
    calls = json.loads(record["answers"])
    return [("user", record["query"]), *(("call", call["name"], call["arguments"]) for call in calls)]


def seal_tools(record: dict[str, Any]) -> list[Event]:
    prompt, answer = (item["value"] for item in record["conversations"])
    task = prompt.split('task_instruction = "')[1][: -len('"\nOutput:\n')]
    return [("user", task), *(("call", call["api"], call["parameters"]) for call in ast.literal_eval(answer))]


def tool_alpaca(record: dict[str, Any]) -> list[Event]:
    (step,) = record["answer"]
    return [("user", record["instruction"]), ("call", step["Action"], json.loads(step["Action_Input"]))]


def react(record: dict[str, Any]) -> list[Event]:
    events: list[Event] = []
    for item in record["conversations"]:
        value = item["value"][0] if isinstance(item["value"], list) else item["value"]
        if item["from"] == "assistant":
            thought, name, arguments = re.split(r"\nAction(?: Input)?: ", value)
            assert thought == "Thought:"
            events.append(("call", name, json.loads(arguments)))
        elif item["from"] != "system":
            events.append(("result" if item["from"] == "function" else "user", value))
    return events


def api_bank(record: dict[str, Any]) -> list[Event]:
    events: list[Event] = []
    for turn in record["turns"]:
        if turn["role"] == "API":
            events.append(("call", turn["api_name"], turn["param_dict"]))
            events.append(("result", json.dumps(turn["result"], ensure_ascii=False)))
        else:
            events.append(({"User": "user", "AI": "assistant"}[turn["role"]], turn["text"]))
    return events


def trajectory(record: dict[str, Any]) -> list[Event]:
    return of_row({"messages": record["traj"]})


def _named(functions: list[dict[str, Any]], name: str = "name") -> Tools:
    bare = [f.get("function", f) for f in functions]
    return [(f[name], set(f["parameters"].get("properties", f["parameters"]))) for f in bare]


def glaive_tools(record: dict[str, Any]) -> Tools:
    text = record["system"]
    return (
        _named(json.loads("[" + text[text.index("{") :].strip().replace("\n}\n", "\n},\n") + "]"))
        if "{" in text
        else []
    )


def tool_alpaca_tools(record: dict[str, Any]) -> Tools:
    tools: Tools = []
    for path in json.loads(record["documentation"])["paths"].values():
        for operation in path.values():
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            fields = {p["name"] for p in operation.get("parameters", [])} | set(body.get("properties", {}))
            tools.append((operation["operationId"], fields))
    return tools


def react_tools(record: dict[str, Any]) -> Tools:
    system = record["conversations"][0]["value"]
    return _named(json.loads(system[system.index("[{") : system.rindex("}]") + 2]))


def seal_tools_list(record: dict[str, Any]) -> Tools:
    prompt = record["conversations"][0]["value"]
    return _named(ast.literal_eval(prompt.split("api_list = ")[1].split("\ntask_instruction")[0]), "api_name")


def tools_column(record: dict[str, Any]) -> Tools:
    return _named(json.loads(record["tools"]))


def no_list(record: dict[str, Any]) -> Tools:
    return None


READERS: dict[str, tuple[Callable[[dict[str, Any]], list[Event]], Callable[[dict[str, Any]], Tools]]] = {
    "sharegpt": (sharegpt, tools_column), "content_parts": (content_parts, tools_column),
    "glaive": (glaive, glaive_tools), "hermes": (hermes, tools_column), "xlam": (xlam, tools_column),
    "seal_tools": (seal_tools, seal_tools_list), "toolalpaca": (tool_alpaca, tool_alpaca_tools),
    "react_sharegpt": (react, react_tools), "api_bank": (api_bank, no_list), "openai_trajectory": (trajectory, no_list),
}  # fmt: skip
