"""Where an exercise plays: a persona, a tool list that is known to work, and draws from both."""

from random import Random
from typing import NamedTuple

from data.conversation import Call
from data.exercises.transcript import Transcript
from data.exercises.wording import request, wish_of
from data.mock_tools.links import Link, find_links
from data.mock_tools.pattern_text import UnmadeError
from data.mock_tools.schema_values import draw_arguments
from data.mock_tools.service import MockService
from data.row import JsonObject

PERSONAS = (
    "You are a helpful assistant. Use the tools when they serve the request.",
    "You are the service desk of a mid-sized company. Be brief.",
    "You are Nora, a friendly personal assistant.",
    "You are an operations agent. Call tools only for what the user asks, and copy values exactly.",
    "",
)


class Stage(NamedTuple):
    """What all exercises of a tool list share."""

    tools: list[JsonObject]
    """As the rows carry them."""
    usable: dict[str, JsonObject]
    """By name: those for which arguments can be made."""
    unusable: dict[str, str]
    """By name: why no arguments can be made."""
    links: list[Link]
    personas: tuple[str, ...]


def new_stage(tools: list[JsonObject], personas: tuple[str, ...]) -> Stage:
    usable, unusable = {}, {}
    for tool in tools:
        name = tool["function"]["name"]
        try:
            draw_arguments(tool, Random(name))
            usable[name] = tool
        except UnmadeError as error:
            unusable[name] = str(error)
    links = [link for link in find_links(tools) if link.giver in usable and link.taker in usable]
    return Stage(tools, usable, unusable, links, personas)


class Exercise(NamedTuple):
    messages: list[JsonObject]
    values: list[str]
    """Texts that the user's message must hold, however it is worded; empty where nothing is called."""


class Scene:
    def __init__(self, stage: Stage, rng: Random) -> None:
        self.stage, self.rng = stage, rng
        self.service = MockService(stage.tools)
        self.transcript = Transcript(rng.choice(stage.personas), self.service)

    def tool(self) -> JsonObject:
        return self.rng.choice(list(self.stage.usable.values()))

    def call(self, tool: JsonObject) -> Call:
        return Call(tool["function"]["name"], draw_arguments(tool, self.rng))

    def wish(self, name: str) -> str:
        return wish_of(self.stage.usable[name], self.stage.tools)

    def request(self, call: Call) -> str:
        return request(self.wish(call.name), call.arguments, self.rng)
