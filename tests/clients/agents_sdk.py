"""The OpenAI Agents SDK against the endpoint: python -m tests.clients.agents_sdk BASE_URL MODEL ROWS LIMIT [responses]

With `responses` through the Responses API, which is the SDK's own default and which vLLM speaks, `serve.api` not.
"""

import asyncio
import json
import sys
from importlib.metadata import version
from typing import Any

from agents import (
    Agent,
    AgentOutputSchema,
    FunctionTool,
    GuardrailFunctionOutput,
    InputGuardrailTripwireTriggered,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    OutputGuardrailTripwireTriggered,
    Runner,
    Tool,
    function_tool,
    input_guardrail,
    output_guardrail,
    set_tracing_disabled,
)
from openai import AsyncOpenAI
from pydantic import BaseModel

from tests.clients.tasks import MAX_TURNS, Job, Task, ToolError, feature, tally, task_functions, tell

JOB = Job()
IS_RESPONSES = sys.argv[5:] == ["responses"]
API = OpenAIResponsesModel if IS_RESPONSES else OpenAIChatCompletionsModel
MODEL = API(JOB.model, AsyncOpenAI(base_url=JOB.base_url, api_key="none", timeout=300))
GREEDY = ModelSettings(temperature=0)


def own_schema_tools(task: Task) -> list[Tool]:
    """The schemas that the model was trained with, as they are."""

    def tool(function: dict[str, Any]) -> Tool:
        async def invoke(context: Any, arguments: str) -> str:
            return task.text(function["name"], json.loads(arguments or "{}"))

        return FunctionTool(
            function["name"], function["description"], function["parameters"], invoke, strict_json_schema=False
        )

    return [tool(offered["function"]) for offered in task.environment.tools]


def strict_tools(task: Task) -> list[Tool]:
    """The SDK's default: strict, every property required, optional ones nullable, titles."""
    return [function_tool(function) for function in task_functions(task)]


def loose_tools(task: Task) -> list[Tool]:
    return [function_tool(function, strict_mode=False) for function in task_functions(task)]


def agent_of(task: Task, tools: list[Tool], settings: ModelSettings = GREEDY) -> Agent[None]:
    return Agent(name="Tasks", instructions=task.system, model=MODEL, tools=tools, model_settings=settings)


async def at_once(task: Task, agent: Agent[None]) -> str:
    history: list[Any] = []
    for request in task.requests:
        result = await Runner.run(agent, [*history, {"role": "user", "content": request}], max_turns=MAX_TURNS)
        history = result.to_input_list()
    return str(result.final_output)


async def streamed(task: Task, agent: Agent[None]) -> str:
    history: list[Any] = []
    for request in task.requests:
        result = Runner.run_streamed(agent, [*history, {"role": "user", "content": request}], max_turns=MAX_TURNS)
        async for _ in result.stream_events():
            pass
        history = result.to_input_list()
    return str(result.final_output)


def first_task() -> Task:
    return Task(JOB.rows[0])


async def handoff() -> str:
    """The desk is made to hand over; the agent that it hands to does the task."""
    task = first_task()
    worker = agent_of(task, own_schema_tools(task))
    forced = ModelSettings(temperature=0, tool_choice="transfer_to_tasks")
    desk = Agent(name="Desk", instructions="Hand over.", model=MODEL, handoffs=[worker], model_settings=forced)
    result = await Runner.run(desk, task.requests[0], max_turns=MAX_TURNS)
    assert result.last_agent is worker, f"ended at {result.last_agent.name}"
    assert task.verdict("answered", "")["right"], "handed over, but the end state is wrong"
    return str(result.final_output)


async def input_guard() -> str:
    @input_guardrail
    async def closed(context: Any, agent: Any, given: Any) -> GuardrailFunctionOutput:
        return GuardrailFunctionOutput(output_info=None, tripwire_triggered=True)

    task = first_task()
    agent = agent_of(task, own_schema_tools(task))
    agent.input_guardrails = [closed]
    try:
        await Runner.run(agent, task.requests[0])
    except InputGuardrailTripwireTriggered:
        return "tripped before an answer"
    raise AssertionError("the guardrail did not trip")


async def output_guard() -> str:
    @output_guardrail
    async def mute(context: Any, agent: Any, output: Any) -> GuardrailFunctionOutput:
        return GuardrailFunctionOutput(output_info=None, tripwire_triggered="T-" in str(output))

    task = first_task()
    agent = agent_of(task, own_schema_tools(task))
    agent.output_guardrails = [mute]
    try:
        result = await Runner.run(agent, task.requests[0])
    except OutputGuardrailTripwireTriggered:
        return "tripped by the final text"
    raise AssertionError(f"the guardrail did not trip at {result.final_output!r}")


async def tool_error() -> str:
    """A tool that raises once; the SDK tells the model so, which calls again."""
    task = first_task()
    has_failed = False

    @function_tool(name_override="create_task", description_override="Add a task.", strict_mode=False)
    async def create_task(title: str, priority: str = "", due_date: str = "") -> str:
        nonlocal has_failed
        if not has_failed:
            has_failed = True
            raise ToolError("no answer from the backend within 10 seconds")
        given = {"title": title, "priority": priority or None, "due_date": due_date or None}
        return task.text("create_task", given)

    others = [tool for tool in own_schema_tools(task) if tool.name != "create_task"]
    await Runner.run(agent_of(task, [create_task, *others]), task.requests[0], max_turns=MAX_TURNS)
    assert has_failed and task.verdict("answered", "")["right"], f"made {task.made}"
    return "called again"


async def required() -> str:
    task = first_task()
    forced = ModelSettings(temperature=0, tool_choice="required")
    await Runner.run(agent_of(task, strict_tools(task), forced), task.requests[0], max_turns=MAX_TURNS)
    assert task.made, "no call"
    return str(task.made[0].call)


async def structured_output() -> str:
    class Mood(BaseModel):
        happy: bool
        reason: str

    schema = AgentOutputSchema(Mood)
    settings = ModelSettings(temperature=0, max_tokens=200)
    agent = Agent(name="Mood", instructions="Judge.", model=MODEL, output_type=schema, model_settings=settings)
    result = await Runner.run(agent, "I like tea.")
    assert isinstance(result.final_output, Mood), result.final_output
    return repr(result.final_output)


async def streamed_usage() -> str:
    task = first_task()
    settings = ModelSettings(temperature=0, include_usage=True)
    result = Runner.run_streamed(agent_of(task, own_schema_tools(task), settings), task.requests[0])
    async for _ in result.stream_events():
        pass
    usage = result.context_wrapper.usage
    assert usage.output_tokens > 0, usage
    return f"{usage.input_tokens} in, {usage.output_tokens} out"


async def main() -> None:
    name = "OpenAI Agents SDK, Responses API," if IS_RESPONSES else "OpenAI Agents SDK"
    tell({"library": name, "version": version("openai-agents")})
    set_tracing_disabled(True)
    checks = (handoff, input_guard, output_guard, tool_error, required, structured_output, streamed_usage)
    for check in checks:
        await feature(check.__name__.replace("_", " "), check())
    kinds = {
        "own schema": own_schema_tools,
        "function_tool, strict": strict_tools,
        "function_tool, not strict": loose_tools,
    }
    for name, tools in kinds.items():
        for suffix, hold in (("", at_once), (", streamed", streamed)):

            async def play(task: Task, tools: Any = tools, hold: Any = hold) -> str:
                return str(await hold(task, agent_of(task, tools(task))))

            await tally(name + suffix, JOB.rows, play)


asyncio.run(main())
