"""The OpenAI SDK against the endpoint: python -m tests.clients.openai_sdk BASE_URL MODEL ROWS LIMIT"""

import asyncio
from typing import Any, Literal

import openai
from pydantic import BaseModel

from tests.clients.tasks import Job, Task, converse, feature, first_request, tally, tell

JOB = Job()
CLIENT = openai.AsyncOpenAI(base_url=JOB.base_url, api_key="none", timeout=300)


class CreateTask(BaseModel):
    """Add a task."""

    title: str
    due_date: str | None
    priority: Literal["low", "medium", "high"] | None


class UpdateTask(BaseModel):
    """Change an open task."""

    task_id: str
    title: str | None
    due_date: str | None
    priority: Literal["low", "medium", "high"] | None


class CompleteTask(BaseModel):
    """Mark a task as done."""

    task_id: str


class ListTasks(BaseModel):
    """List tasks, filtered."""

    status: Literal["open", "done"] | None
    priority: Literal["low", "medium", "high"] | None


MODELS = {
    "create_task": CreateTask, "update_task": UpdateTask, "complete_task": CompleteTask, "list_tasks": ListTasks,
}  # fmt: skip
# As the SDK makes them: strict, every property required, a null where nothing is meant, titles.
STRICT = [openai.pydantic_function_tool(model, name=name) for name, model in MODELS.items()]


async def at_once(messages: list[Any], tools: list[Any], **more: Any) -> Any:
    answer = await CLIENT.chat.completions.create(
        model=JOB.model, messages=messages, tools=tools, temperature=0, **more
    )
    return answer.choices[0].message


async def streamed(messages: list[Any], tools: list[Any], **more: Any) -> Any:
    """Put together by the SDK's own stream helper."""
    asked: Any = {"model": JOB.model, "messages": messages, "tools": tools, "temperature": 0, **more}
    async with CLIENT.chat.completions.stream(**asked) as stream:
        return (await stream.get_final_completion()).choices[0].message


async def chosen(choice: Any) -> str:
    task = Task(JOB.rows[0])
    message = await at_once(first_request(task), STRICT, tool_choice=choice)
    CreateTask.model_validate_json(message.tool_calls[0].function.arguments)
    return str(message.tool_calls[0].function)


async def structured_output() -> str:
    class Mood(BaseModel):
        happy: bool
        reason: str

    answer = await CLIENT.chat.completions.parse(
        model=JOB.model, messages=[{"role": "user", "content": "I like tea."}], response_format=Mood, max_tokens=200
    )
    return repr(answer.choices[0].message.parsed)


async def streamed_usage() -> str:
    stream = await CLIENT.chat.completions.create(
        model=JOB.model, messages=[{"role": "user", "content": "Hello"}], stream=True, max_tokens=5,
        stream_options={"include_usage": True},
    )  # fmt: skip
    usages = [chunk.usage async for chunk in stream if chunk.usage]
    assert usages and usages[-1].completion_tokens > 0, usages
    return str(usages[-1].completion_tokens)


async def main() -> None:
    tell({"library": "OpenAI SDK", "version": openai.__version__})
    named = {"type": "function", "function": {"name": "create_task"}}
    await feature("tool_choice required", chosen("required"))
    await feature("tool_choice named", chosen(named))
    await feature("structured output", structured_output())
    await feature("streamed usage", streamed_usage())
    for name, tools in (("own schema", None), ("pydantic_function_tool, strict", STRICT)):
        for suffix, ask in (("", at_once), (", streamed", streamed)):

            async def play(task: Task, ask: Any = ask, tools: Any = tools) -> str:
                return await converse(task, lambda messages: ask(messages, tools or task.environment.tools))

            await tally(name + suffix, JOB.rows, play)
    await tally(
        "own schema, parallel_tool_calls=False",
        JOB.rows,
        lambda task: converse(task, lambda said: at_once(said, task.environment.tools, parallel_tool_calls=False)),
    )


asyncio.run(main())
