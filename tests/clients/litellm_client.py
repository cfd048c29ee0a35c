"""LiteLLM against the endpoint: python -m tests.clients.litellm_client BASE_URL MODEL ROWS LIMIT"""

import asyncio
import json
import os
from importlib.metadata import version
from typing import Any

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else the import fetches a price list
import litellm  # reads the setting when imported

from tests.clients.tasks import Job, Task, converse, feature, first_request, strict_tools, tally, tell

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


async def chosen(choice: Any) -> str:
    task = Task(JOB.rows[0])
    message = await ask(first_request(task), task.environment.tools, stream=False, tool_choice=choice)
    json.loads(message.tool_calls[0].function.arguments)
    return str(message.tool_calls[0].function)


async def main() -> None:
    tell({"library": "LiteLLM", "version": version("litellm")})
    named = {"type": "function", "function": {"name": "create_task"}}
    await feature("tool_choice required", chosen("required"))
    await feature("tool_choice named", chosen(named))
    for name, strict in (("own schema", False), ("own schema, strict", True)):
        for suffix, stream in (("", False), (", streamed", True)):

            async def play(task: Task, strict: bool = strict, stream: bool = stream) -> str:
                tools = strict_tools(task) if strict else task.environment.tools
                return await converse(task, lambda messages: ask(messages, tools, stream=stream))

            await tally(name + suffix, JOB.rows, play)


asyncio.run(main())
