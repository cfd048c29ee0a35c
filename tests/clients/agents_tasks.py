"""The task agent of the OpenAI Agents SDK: held-out tasks, executed for real, with faults injected into its tools.

    python -m tests.clients.agents_tasks BASE_URL MODEL ROWS LIMIT FAULT_RATE SEED raised|returned [KIND|any [one]]

`raised`: a tool that fails raises, and the model reads what the SDK's default_tool_error_function makes of it.
`returned`: it gives the service's error object. KIND fixes the kind of fault. `one`: the agent asks for no parallel
calls. Prints a verdict a row, as JSON lines.
"""

import asyncio
import json
import sys
from typing import Any, get_args

from agents import (
    Agent,
    FunctionTool,
    MaxTurnsExceeded,
    ModelSettings,
    OpenAIChatCompletionsModel,
    Runner,
    Tool,
    default_tool_error_function,
    set_tracing_disabled,
)
from openai import AsyncOpenAI

from data.conversation import calls_of
from data.row import JsonObject, Row
from eval.environments.faults import FaultKind, draw_fault
from tests.clients.tasks import MAX_TURNS, Job, Task, ToolError, tell

JOB = Job()
FAULT_RATE, SEED, ERRORS = float(sys.argv[5]), int(sys.argv[6]), sys.argv[7]
KINDS: tuple[FaultKind, ...] = get_args(FaultKind) if sys.argv[8:9] in ([], ["any"]) else (sys.argv[8],)
MODEL = OpenAIChatCompletionsModel(JOB.model, AsyncOpenAI(base_url=JOB.base_url, api_key="none", timeout=300))
PARALLEL = False if sys.argv[9:10] == ["one"] else None
SETTINGS = ModelSettings(temperature=0, max_tokens=256, parallel_tool_calls=PARALLEL)


def tools(task: Task) -> list[Tool]:
    """With the schemas that the model was trained with."""

    def tool(function: dict[str, Any]) -> Tool:
        async def invoke(context: Any, arguments: str) -> str:
            result = task.call(function["name"], json.loads(arguments or "{}"))
            is_injected = task.environment.fault and task.environment.num_calls == task.environment.fault.call
            if is_injected and ERRORS == "raised":
                return default_tool_error_function(context, ToolError(result["error"]["message"]))
            return json.dumps(result)

        return FunctionTool(
            function["name"], function["description"], function["parameters"], invoke, strict_json_schema=False
        )

    return [tool(offered["function"]) for offered in task.environment.tools]


async def hold(task: Task) -> JsonObject:
    agent = Agent(name="Tasks", instructions=task.system, model=MODEL, tools=tools(task), model_settings=SETTINGS)
    history: list[Any] = []
    said = ""
    try:
        for request in task.requests:
            result = await Runner.run(agent, [*history, {"role": "user", "content": request}], max_turns=MAX_TURNS)
            history, said = result.to_input_list(), str(result.final_output)
    except MaxTurnsExceeded as error:
        return task.verdict("too_many_turns", said, str(error))
    except Exception as error:  # whatever the library raises is this row's verdict
        return task.verdict("not_run", said, f"{type(error).__name__}: {error}"[:300])
    return task.verdict("answered", said)


async def main() -> None:
    set_tracing_disabled(True)
    slots = asyncio.Semaphore(16)

    async def one(number: int, row: JsonObject) -> None:
        num_calls = sum(len(calls_of(message)) for message in Row.model_validate(row).messages)
        fault = draw_fault(SEED, f"row {number}", FAULT_RATE, num_calls, KINDS)
        async with slots:
            tell({"row": number} | await hold(Task(row, fault)))

    await asyncio.gather(*(one(number, row) for number, row in enumerate(JOB.rows, start=1)))


asyncio.run(main())
