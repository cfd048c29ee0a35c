"""A whole conversation: the row's user speaks, the model calls, the environment answers, until a text ends the turn."""

import json
from typing import Any

import openai

from data.chat_completion import AssistantMessage, ToolCall, read_completion
from data.chat_request import chat_request
from data.mock_tools.service import error
from data.row import JsonObject, Row
from eval.environments.environment import Environment
from eval.environments.outcome import Ending, Made, Run, make
from eval.environments.settings import PlaySection
from eval.reply import parse_arguments


class Player:
    """Plays rows against one model of one endpoint."""

    def __init__(self, client: openai.AsyncOpenAI, model: str, settings: PlaySection) -> None:
        self._client, self._model, self._settings = client, model, settings

    async def play(self, row: Row, environment: Environment) -> "Conversation":
        """Every user message of the row in turn; whatever the endpoint does, nothing is raised."""
        conversation = Conversation(environment)
        for message in chat_request(row, len(row.messages))["messages"]:
            if message["role"] in ("system", "developer"):
                conversation.messages.append(message)
            elif message["role"] == "user":
                conversation.messages.append(message)
                await self._finish_turn(conversation)
            if conversation.ending != "answered":
                break
        return conversation

    async def _finish_turn(self, conversation: "Conversation") -> None:
        for _ in range(self._settings.max_turns):
            try:
                answer = await self._ask(conversation)
            except (openai.OpenAIError, ValueError) as fault:
                conversation.ending, conversation.why = "not_run", f"{fault}: {fault.__cause__}"
                return
            if not conversation.take(answer):
                return
        conversation.ending = "too_many_turns"

    async def _ask(self, conversation: "Conversation") -> AssistantMessage:
        """Raises OpenAIError, and ValueError for garbage."""
        tools = conversation.environment.tools
        request: dict[str, Any] = {"model": self._model, "messages": conversation.messages}
        request |= {"tools": tools, "tool_choice": "auto"} if tools else {}  # without tools the API refuses a choice
        settings = self._settings
        request |= {"temperature": 0, "seed": settings.seed, "max_tokens": settings.max_tokens}
        raw = await self._client.chat.completions.with_raw_response.create(**request)
        return read_completion(raw.http_response.content).choices[0].message


class Conversation:
    """What has been said and done so far."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.messages: list[JsonObject] = []
        self.made: list[Made] = []
        self.num_requests = 0
        self.ending: Ending = "answered"
        self.why = ""

    def take(self, answer: AssistantMessage) -> bool:
        """Add the model's message and the result of each of its calls; were there any?"""
        self.num_requests += 1
        calls = [_sent_back(call, f"{self.num_requests}_{i}") for i, call in enumerate(answer.tool_calls or [])]
        said: JsonObject = {"role": "assistant", "content": answer.content}
        self.messages.append(said | ({"tool_calls": calls} if calls else {}))
        for call in calls:
            result = json.dumps(self._execute(**call["function"]), ensure_ascii=False)
            self.messages.append({"role": "tool", "tool_call_id": call["id"], "content": result})
        return bool(calls)

    @property
    def run(self) -> Run:
        texts = (message["content"] for message in reversed(self.messages) if message["role"] == "assistant")
        return Run(self.ending, self.made, self.environment.state(), next(texts, None) or "")

    def _execute(self, name: str, arguments: str) -> JsonObject:
        try:
            made = make(self.environment, name, parse_arguments(arguments))
        except (ValueError, RecursionError) as fault:
            return error("invalid_arguments", f"the arguments are not a JSON object: {fault}")
        self.made.append(made)
        return made.result


def _sent_back(call: ToolCall, number: str) -> JsonObject:
    given = call.function.arguments
    arguments = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
    function = {"name": call.function.name, "arguments": arguments}
    return {"id": call.id or f"call_{number}", "type": "function", "function": function}
