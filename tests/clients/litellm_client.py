"""LiteLLM against the endpoint: python -m tests.clients.litellm_client BASE_URL MODEL ROWS LIMIT"""

import asyncio
import json
import os
from importlib.metadata import version
from typing import Any

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else the import fetches a price list
import litellm  # reads the setting when imported

from tests.clients.tasks import MAX_TURNS, Job, Task, feature, tally, tell

JOB = Job()
litellm.suppress_debug_info = True


async def ask(messages: list[Any], tools: list[Any], *, stream: bool, **more: Any) -> Any:
    answer: Any = await litellm.acompletion(
        model=f"hosted_vllm/{JOB.model}", api_base=JOB.base_url, api_key="none", messages=messages, tools=tools,
        temperature=0, stream=stream, timeout=300, **more,
    )  # fmt: skip
    if stream:
        answer = litellm.stream_chunk_builder([chunk async for chunk in answer], messages=messages)
    return answer.choices[0].message


async def converse(task: Task, *, stream: bool = False) -> str:
    messages: list[Any] = [{"role": "system", "content": task.system}]
    message = None
    for request in task.requests:
        messages.append({"role": "user", "content": request})
        for _ in range(MAX_TURNS):
            message = await ask(messages, task.environment.tools, stream=stream)
            messages.append(message)
            if not message.tool_calls:
                break
            for call in message.tool_calls:
                result = task.text(call.function.name, json.loads(call.function.arguments or "{}"))
                messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
        else:
            raise RuntimeError(f"still calling after {MAX_TURNS} requests")
    return str(message.content) if message else ""


async def chosen(choice: Any) -> str:
    task = Task(JOB.rows[0])
    messages = [{"role": "system", "content": task.system}, {"role": "user", "content": task.requests[0]}]
    message = await ask(messages, task.environment.tools, stream=False, tool_choice=choice)
    json.loads(message.tool_calls[0].function.arguments)
    return str(message.tool_calls[0].function)


async def main() -> None:
    tell({"library": "LiteLLM", "version": version("litellm")})
    named = {"type": "function", "function": {"name": "create_task"}}
    await feature("tool_choice required", chosen("required"))
    await feature("tool_choice named", chosen(named))
    await tally("own schema", JOB.rows, converse)
    await tally("own schema, streamed", JOB.rows, lambda task: converse(task, stream=True))


asyncio.run(main())
