"""An environment that fails at one call of an item, as real services do, to see what the model does next."""

from collections.abc import Sequence
from random import Random
from typing import Any, Literal, NamedTuple, get_args

from data.mock_tools.service import error, failure
from data.row import JsonObject
from eval.environments.environment import Environment

FaultKind = Literal["timeout", "server_error", "rate_limit", "bad_arguments"]
FAULT_KINDS: tuple[FaultKind, ...] = get_args(FaultKind)


class Fault(NamedTuple):
    kind: FaultKind
    call: int
    """Which call of the item fails, counted from 1; the same call, made again, succeeds."""


class FaultyEnvironment:
    """The inner environment, but the planned call changes nothing and gives an error that is not the caller's fault."""

    def __init__(self, inner: Environment, fault: Fault | None) -> None:
        self.inner, self.fault = inner, fault
        self.num_calls = 0

    @property
    def tools(self) -> list[JsonObject]:
        return self.inner.tools

    def reset(self) -> None:
        self.num_calls = 0
        self.inner.reset()

    def call(self, name: str, arguments: JsonObject) -> JsonObject:
        self.num_calls += 1
        if self.fault and self.num_calls == self.fault.call:
            return fault_result(self.fault.kind)
        return self.inner.call(name, arguments)

    def state(self) -> Any:
        return self.inner.state()

    @property
    def has_failed(self) -> bool:
        """Was the planned call ever made?"""
        return self.fault is not None and self.num_calls >= self.fault.call


def fault_result(kind: FaultKind) -> JsonObject:
    match kind:
        case "timeout" | "rate_limit":
            return failure(kind)
        case "server_error":
            return error("internal_error", "the service answered 500; nothing was done, try again")
        case "bad_arguments":
            return error("invalid_arguments", "the arguments arrived damaged; nothing was done, send the call again")


def draw_fault(
    seed: int, item_id: str, rate: float, num_calls: int, kinds: Sequence[FaultKind] = FAULT_KINDS
) -> Fault | None:
    """For this share of items a fault at one of the calls that the row expects; from seed and id alone."""
    rng = Random(f"{seed}/{item_id}")
    if num_calls == 0 or rng.random() >= rate:
        return None
    return Fault(rng.choice(kinds), rng.randint(1, num_calls))
