"""An item: one request to a model, what is expected of the answer, and how that is compared."""

from functools import cached_property
from typing import Literal

from data.row import JsonObject
from eval.expected import ExpectedCall
from eval.settings import Comparison, EnvironmentName, Record, RequestOptions

Kind = Literal["call", "any_call", "no_call", "answer"]
"""`call`: calls are expected. `any_call`: some call is, whichever (BFCL's relevance). `no_call`: tools stand ready, the
whole row needs none. `answer`: any other text, mostly a summary of tool results, which is easy and therefore kept apart
from `no_call`."""
KINDS: tuple[Kind, ...] = ("call", "any_call", "no_call", "answer")


class Item(Record):
    id: str
    """FILE:LINE#MESSAGE, counted from 1; with ~SAMPLE where an item is asked more than once."""
    kind: Kind
    request: JsonObject
    """History and tools as an agent sends them: what eval.parity has compared token by token."""
    expected_calls: list[ExpectedCall]
    expected_text: str
    environment: EnvironmentName | None
    options: RequestOptions = RequestOptions()
    """What its suite sets for itself; the rest is the `eval` section's."""
    comparison: Comparison = Comparison()
    sample: int = 0
    """1 to n where the item is asked n times, else 0. Added to the seed."""

    @property
    def messages(self) -> list[JsonObject]:
        return list(self.request["messages"])

    @cached_property
    def tools(self) -> dict[str, JsonObject]:
        """Name -> function, as offered."""
        return {tool["function"]["name"]: tool["function"] for tool in self.request.get("tools", [])}

    def as_sample(self, sample: int) -> "Item":
        return self.model_copy(update={"id": f"{self.id}~{sample}", "sample": sample})
