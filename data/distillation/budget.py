"""A budget in tokens and money that is never exceeded: what an answer can cost is set aside before it is asked for."""

import asyncio
import json
from typing import NamedTuple

from data.distillation.settings import DistillSection
from data.row import JsonObject

# What a chat template and a provider's own tool prompt may add to the bytes of a request.
_TEMPLATE_TOKENS = 1000


class Tokens(NamedTuple):
    prompt: int = 0
    completion: int = 0

    def plus(self, other: "Tokens") -> "Tokens":
        return Tokens(self.prompt + other.prompt, self.completion + other.completion)

    def minus(self, other: "Tokens") -> "Tokens":
        return Tokens(self.prompt - other.prompt, self.completion - other.completion)


def most_tokens(body: JsonObject, most_completion: int) -> Tokens:
    """The most that an answer can count: no tokenizer makes more tokens than bytes of a text."""
    return Tokens(len(json.dumps(body, ensure_ascii=False).encode()) + _TEMPLATE_TOKENS, most_completion)


class Budget:
    """Attempts that brought no answer are not counted: the endpoint does not tell what they cost."""

    def __init__(self, settings: DistillSection, spent: Tokens) -> None:
        self._settings, self.spent = settings, spent
        self._reserved = Tokens()
        self._queue, self._changed = asyncio.Lock(), asyncio.Condition()
        self.is_exhausted = False

    def cost(self, tokens: Tokens) -> float:
        """In the currency of the prices; 0 where they are not given."""
        price_in, price_out = self._settings.price_in or 0, self._settings.price_out or 0
        return (tokens.prompt * price_in + tokens.completion * price_out) / 1e6

    async def reserve(self, most: Tokens) -> bool:
        """Waits while answers under way may yet turn out cheaper; False once there is not enough left."""
        # First come, first served: otherwise later requests overtake earlier ones, and a small budget finishes none.
        async with self._queue, self._changed:
            while not self.is_exhausted and not self._has_room(most):
                if self._reserved == Tokens():
                    self.is_exhausted = True
                else:
                    await self._changed.wait()
            if not self.is_exhausted:
                self._reserved = self._reserved.plus(most)
            return not self.is_exhausted

    async def settle(self, most: Tokens, used: Tokens) -> None:
        """Replace what was set aside by what was used."""
        async with self._changed:
            self._reserved = self._reserved.minus(most)
            self.spent = self.spent.plus(used)
            self._changed.notify_all()

    def _has_room(self, most: Tokens) -> bool:
        total = self.spent.plus(self._reserved).plus(most)
        limit, max_cost = self._settings.max_tokens_total, self._settings.max_cost
        return (limit is None or sum(total) <= limit) and (max_cost is None or self.cost(total) <= max_cost)
