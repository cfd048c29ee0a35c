"""LangChain against the endpoint: python -m tests.clients.langchain_client BASE_URL MODEL ROWS LIMIT"""

import asyncio
from importlib.metadata import version
from typing import Any

from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, SecretStr

from tests.clients.tasks import MAX_TURNS, Job, Task, feature, tally, task_functions, tell

JOB = Job()
CHAT = ChatOpenAI(base_url=JOB.base_url, api_key=SecretStr("none"), model=JOB.model, temperature=0, timeout=300)


async def at_once(chat: Any, messages: list[Any]) -> Any:
    return await chat.ainvoke(messages)


async def streamed(chat: Any, messages: list[Any]) -> Any:
    """Chunks added up, as LangChain's own agents do."""
    whole = None
    async for chunk in chat.astream(messages):
        whole = chunk if whole is None else whole + chunk
    return whole


async def converse(task: Task, ask: Any, chat: Any) -> str:
    messages: list[Any] = [SystemMessage(task.system)]
    message = None
    for request in task.requests:
        messages.append(HumanMessage(request))
        for _ in range(MAX_TURNS):
            message = await ask(chat, messages)
            messages.append(message)
            assert not message.invalid_tool_calls, message.invalid_tool_calls
            if not message.tool_calls:
                break
            results = [(task.text(call["name"], call["args"]), call["id"]) for call in message.tool_calls]
            messages += [ToolMessage(text, tool_call_id=call_id) for text, call_id in results]
        else:
            raise RuntimeError(f"still calling after {MAX_TURNS} requests")
    return str(message.content) if message else ""


def bound(task: Task, **more: Any) -> Any:
    return CHAT.bind_tools([tool(function) for function in task_functions(task)], **more)


async def chosen(choice: str) -> str:
    task = Task(JOB.rows[0])
    message = await bound(task, tool_choice=choice).ainvoke(
        [SystemMessage(task.system), HumanMessage(task.requests[0])]
    )
    assert message.tool_calls, message
    return str(message.tool_calls[0])


class Mood(BaseModel):
    """A mood."""

    happy: bool
    reason: str


async def structured(method: Any) -> str:
    chat = CHAT.with_structured_output(Mood, method=method)
    mood = await chat.ainvoke("I like tea.", max_tokens=200)
    assert isinstance(mood, Mood), mood
    return repr(mood)


async def main() -> None:
    tell({"library": "LangChain", "version": version("langchain-openai")})
    await feature("tool_choice required", chosen("required"))
    await feature("tool_choice named", chosen("create_task"))
    await feature("structured output, function_calling", structured("function_calling"))
    await feature("structured output, json_schema", structured("json_schema"))
    await tally("own schema", JOB.rows, lambda t: converse(t, at_once, CHAT.bind_tools(t.environment.tools)))
    await tally("own schema, streamed", JOB.rows, lambda t: converse(t, streamed, CHAT.bind_tools(t.environment.tools)))
    await tally("@tool", JOB.rows, lambda t: converse(t, at_once, bound(t)))
    await tally("@tool, strict", JOB.rows, lambda t: converse(t, at_once, bound(t, strict=True)))
    await tally("@tool, strict, streamed", JOB.rows, lambda t: converse(t, streamed, bound(t, strict=True)))


asyncio.run(main())
