"""At which layer an item is lost, and how: the first layer on its way to the agent at which it is no longer right."""

import json
from typing import Literal, get_args

from data.rules.arguments import argument_faults
from eval.item import Item
from eval.layers.asking import Heard
from eval.layers.raw_text import read_raw
from eval.matching import Score, score
from eval.reply import NotRun, Reply, read_calls
from eval.settings import Record

Layer = Literal["transport", "model text", "schema", "environment", "parser", "streaming"]
"""`transport`: no answer. `model text`: what the model wrote is not right, by its tools, count or form. `schema`: the
right tools, with arguments that break the schema. `environment`: calls that the schema allows and that, executed, do
something else. `parser`: the model wrote it right, the server's message is not. `streaming`: right at once, not when
streamed."""
LAYERS: tuple[Layer, ...] = get_args(Layer)


class Loss(Record):
    layer: Layer
    kind: str
    """In one word: `eval.matching`'s failure, or what the transport did."""
    why: str


def first_loss(item: Item, at_once: Heard, streamed: Heard, fuzzy_threshold: float) -> Loss | None:
    if isinstance(at_once.answer, NotRun):
        return _not_run("transport", at_once.answer)
    written = _written(at_once, at_once.answer)
    by_the_model = score(item, written, fuzzy_threshold)
    if not is_right(by_the_model):
        return _lost(_model_layer(item, written, by_the_model), by_the_model)
    parsed = score(item, at_once.answer, fuzzy_threshold)
    if not is_right(parsed):
        return _lost("parser", parsed)
    if isinstance(streamed.answer, NotRun):
        return _not_run("streaming", streamed.answer)
    put_together = score(item, streamed.answer, fuzzy_threshold)
    return None if is_right(put_together) else _lost("streaming", put_together)


def is_right(scored: Score) -> bool:
    """Where calls are executed, calls that do the same are right too, if the schema allows them."""
    does_the_same = scored.metrics.get("functional", False) and scored.metrics.get("schema_valid", False)
    return scored.verdict == "right" or does_the_same


def _written(heard: Heard, reply: Reply) -> Reply:
    """The reply as the model wrote it. Of a server that does not tell, the message with the calls left in its text."""
    reading = read_raw(reply.content if heard.raw_text is None else heard.raw_text)
    calls = [*reply.calls, *reading.calls] if heard.raw_text is None else reading.calls
    return reply.model_copy(update={"content": reading.content, "calls": calls})


def _model_layer(item: Item, written: Reply, scored: Score) -> Layer:
    """Wrong by what the model wrote: by its arguments against the schema, by what they do, or by anything else."""
    if scored.failure not in ("schema_violation", "extra_argument", "missing_argument", "wrong_value"):
        return "model text"
    if _breaks_schema(item, written):
        return "schema"
    return "environment" if item.environment else "model text"


def _breaks_schema(item: Item, reply: Reply) -> bool:
    """An argument that the schema does not declare breaks it, also where it does not forbid others."""
    calls = read_calls(reply, set(item.tools)).calls
    schemas = {name: json.dumps(tool.get("parameters") or {}) for name, tool in item.tools.items()}
    return any(argument_faults(name, schemas[name], arguments) for name, arguments in calls if name in schemas)


def _lost(layer: Layer, scored: Score) -> Loss:
    return Loss(layer=layer, kind=scored.failure or "", why=scored.why)


def _not_run(layer: Layer, answer: NotRun) -> Loss:
    kind, _, why = answer.reason.partition(": ")
    return Loss(layer=layer, kind=kind, why=why)
