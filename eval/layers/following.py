"""Every item asked in every way, several at a time."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import NamedTuple

import openai

from eval.endpoint import Endpoint
from eval.item import Item
from eval.layers.asking import Asker, Heard, Way
from eval.layers.loss import first_loss, is_right
from eval.layers.waterfall_file import ItemFate
from eval.matching import score
from eval.reply import NotRun
from eval.settings import EvalSection


class Followed(NamedTuple):
    fate: ItemFate
    tells_model_text: bool


class Askers(NamedTuple):
    own: Asker
    others: dict[str, Asker]
    """Other models, by name."""
    ways: list[Way]
    """Beside `auto` and `streamed`, which are always asked."""


async def follow_all(
    endpoints: list[Endpoint],
    items: list[Item],
    ways: list[Way],
    api_key: str,
    settings: EvalSection,
    on_done: Callable[[], None],
) -> list[Followed]:
    """In the order of the items; the first endpoint is the one whose losses are followed."""
    slots = asyncio.Semaphore(settings.concurrency)
    async with AsyncExitStack() as stack:
        askers = []
        for endpoint in endpoints:
            client = openai.AsyncOpenAI(
                base_url=endpoint.base_url,
                api_key=api_key,
                timeout=settings.timeout_s,
                max_retries=settings.max_retries,
            )
            askers.append(Asker(await stack.enter_async_context(client), endpoint, settings))
        own, *others = askers
        names = [endpoint.model for endpoint in endpoints[1:]]
        all_askers = Askers(own, dict(zip(names, others, strict=True)), ways)

        async def follow(item: Item) -> Followed:
            async with slots:
                followed = await _follow(item, all_askers, settings.fuzzy_threshold)
            on_done()
            return followed

        return list(await asyncio.gather(*map(follow, items)))


async def _follow(item: Item, askers: Askers, fuzzy_threshold: float) -> Followed:
    at_once = await askers.own.ask(item, "auto")
    streamed = await askers.own.ask(item, "streamed")
    heard: dict[str, Heard] = {"auto": at_once, "streamed": streamed}
    for way in askers.ways:
        # Who must call cannot be right where no call is expected.
        if item.tools and (way != "required" or item.kind == "call"):
            heard[way] = await askers.own.ask(item, way)
    for name, other in askers.others.items():
        heard[name] = await other.ask(item, "auto")
    fate = ItemFate(
        id=item.id,
        kind=item.kind,
        loss=first_loss(item, at_once, streamed, fuzzy_threshold),
        right={name: _right(item, one, fuzzy_threshold) for name, one in heard.items()},
    )
    return Followed(fate, at_once.raw_text is not None)


def _right(item: Item, heard: Heard, fuzzy_threshold: float) -> bool | None:
    return None if isinstance(heard.answer, NotRun) else is_right(score(item, heard.answer, fuzzy_threshold))
