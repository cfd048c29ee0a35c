"""Pydantic AI against the endpoint: python -m tests.clients.pydantic_ai_client BASE_URL MODEL ROWS LIMIT"""

import asyncio
from importlib.metadata import version
from typing import Any

from pydantic import BaseModel
from pydantic_ai import Agent, ModelRetry, NativeOutput, Tool, ToolOutput, UsageLimits
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from tests.clients.tasks import MAX_TURNS, Job, Task, feature, tally, task_functions, tell

JOB = Job()
MODEL = OpenAIChatModel(JOB.model, provider=OpenAIProvider(base_url=JOB.base_url, api_key="none"))
SETTINGS: Any = {"temperature": 0, "timeout": 300}
LIMITS = UsageLimits(request_limit=MAX_TURNS)


def own_schema_tools(task: Task) -> list[Tool]:
    def tool(function: dict[str, Any]) -> Tool:
        def invoke(**arguments: Any) -> str:
            return task.text(function["name"], arguments)

        return Tool.from_schema(invoke, function["name"], function["description"], function["parameters"])

    return [tool(offered["function"]) for offered in task.environment.tools]


def function_tools(task: Task, *, strict: bool | None = None) -> list[Tool]:
    return [Tool(function, strict=strict) for function in task_functions(task)]


def agent_of(task: Task, tools: list[Tool]) -> Agent[None, str]:
    return Agent(MODEL, instructions=task.system, tools=tools, model_settings=SETTINGS)


async def at_once(task: Task, tools: list[Tool]) -> str:
    history = None
    for request in task.requests:
        result = await agent_of(task, tools).run(request, message_history=history, usage_limits=LIMITS)
        history = result.all_messages()
    return str(result.output)


async def streamed(task: Task, tools: list[Tool]) -> str:
    history, said = None, ""
    for request in task.requests:
        async with agent_of(task, tools).run_stream(request, message_history=history, usage_limits=LIMITS) as result:
            said = str(await result.get_output())
        history = result.all_messages()
    return said


async def tool_error() -> str:
    """A tool that asks for another try once."""
    task = Task(JOB.rows[0])
    has_failed = False

    def create_task(title: str, due_date: str | None = None, priority: str | None = None) -> str:
        """Add a task."""
        nonlocal has_failed
        if not has_failed:
            has_failed = True
            raise ModelRetry("no answer from the backend within 10 seconds; nothing was done, try again")
        return task.text("create_task", {"title": title, "due_date": due_date, "priority": priority})

    await agent_of(task, [Tool(create_task), *function_tools(task)[1:]]).run(task.requests[0], usage_limits=LIMITS)
    assert has_failed and task.verdict("answered", "")["right"], f"made {task.made}"
    return "called again"


class Mood(BaseModel):
    """A mood."""

    happy: bool
    reason: str


async def structured(output: Any) -> str:
    settings: Any = SETTINGS | {"max_tokens": 200}
    result = await Agent(MODEL, output_type=output, model_settings=settings).run("I like tea.")
    assert isinstance(result.output, Mood), result.output
    return repr(result.output)


async def main() -> None:
    tell({"library": "Pydantic AI", "version": version("pydantic-ai-slim")})
    await feature("tool error", tool_error())
    await feature("structured output, tool", structured(ToolOutput(Mood)))
    await feature("structured output, native", structured(NativeOutput(Mood)))
    await tally("own schema", JOB.rows, lambda task: at_once(task, own_schema_tools(task)))
    await tally("own schema, streamed", JOB.rows, lambda task: streamed(task, own_schema_tools(task)))
    await tally("functions", JOB.rows, lambda task: at_once(task, function_tools(task)))
    await tally("functions, strict", JOB.rows, lambda task: at_once(task, function_tools(task, strict=True)))
    await tally("functions, strict, streamed", JOB.rows, lambda t: streamed(t, function_tools(t, strict=True)))


asyncio.run(main())
