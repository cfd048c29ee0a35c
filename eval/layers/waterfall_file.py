"""waterfall.json and its table: what is left after each layer, and each way of asking beside the plain one."""

from collections import Counter
from collections.abc import Iterable
from typing import Literal

from rich.table import Table

from eval.endpoint import Endpoint
from eval.intervals import interval, mcnemar_exact, percent, wilson
from eval.item import Kind
from eval.layers.loss import LAYERS, Layer, Loss
from eval.scores import Rate
from eval.settings import EvalSection, Record


class ItemFate(Record):
    id: str
    kind: Kind
    loss: Loss | None
    right: dict[str, bool | None]
    """Way or model -> right; None where there was no answer. A way that does not apply to the item is left out."""


class Step(Record):
    layer: Layer
    lost: dict[str, int]
    """By kind."""
    left: Rate
    """Of all items, those that are still right after this layer."""


class PairedWay(Record):
    """Another way of asking, or another model, beside `auto` on the same items; items without an answer left out."""

    name: str
    rate: Rate
    both: int
    only_auto: int
    only_this: int
    neither: int
    not_run: int
    p_value: float
    """McNemar's exact test, two-sided."""


class WaterfallFile(Record):
    schema_version: Literal[1] = 1
    created: str
    command: str
    endpoint: Endpoint
    against: list[Endpoint]
    settings: EvalSection
    tells_model_text: bool
    """Did the endpoint tell what the model wrote? If not, model text and parser are told apart by what is left in the
    content alone."""
    steps: list[Step]
    ways: list[PairedWay]
    items: list[ItemFate]


def steps(fates: list[ItemFate]) -> list[Step]:
    left = len(fates)
    found = []
    for layer in LAYERS:
        lost = Counter(fate.loss.kind for fate in fates if fate.loss and fate.loss.layer == layer)
        left -= lost.total()
        found.append(Step(layer=layer, lost=dict(lost.most_common()), left=rate_of(left, len(fates))))
    return found


def paired_ways(fates: list[ItemFate]) -> list[PairedWay]:
    names = dict.fromkeys(name for fate in fates for name in fate.right if name != "auto")
    return [_paired(name, [fate.right for fate in fates if name in fate.right]) for name in names]


def _paired(name: str, rights: list[dict[str, bool | None]]) -> PairedWay:
    pairs = Counter((right["auto"], right[name]) for right in rights)
    answered = [right[name] for right in rights if right[name] is not None]
    only_auto, only_this = pairs[True, False], pairs[False, True]
    return PairedWay(
        name=name,
        rate=rate_of(sum(map(bool, answered)), len(answered)),
        both=pairs[True, True],
        only_auto=only_auto,
        only_this=only_this,
        neither=pairs[False, False],
        not_run=sum(None in pair for pair in pairs.elements()),
        p_value=mcnemar_exact(only_auto, only_this),
    )


def rate_of(k: int, n: int) -> Rate:
    if n == 0:
        return Rate(k=0, n=0, rate=None, low=None, high=None)
    low, high = wilson(k, n)
    return Rate(k=k, n=n, rate=k / n, low=low, high=high)


def waterfall_table(found: Iterable[Step], model: str) -> Table:
    table = Table("layer", "lost", "how", "still right", title=f"where {model} loses an item")
    for step in found:
        kinds = ", ".join(f"{kind} {count}" for kind, count in step.lost.items())
        table.add_row(step.layer, str(sum(step.lost.values())), kinds, _rate_text(step.left))
    return table


def ways_table(found: Iterable[PairedWay]) -> Table:
    table = Table("against auto", "right", "both", "only auto", "only this", "neither", "not run", "p (McNemar)")
    for way in found:
        counts = (way.both, way.only_auto, way.only_this, way.neither, way.not_run)
        table.add_row(way.name, _rate_text(way.rate), *map(str, counts), f"{way.p_value:.3g}")
    return table


def _rate_text(shown: Rate) -> str:
    if shown.rate is None or shown.low is None or shown.high is None:
        return "no data"
    return f"{percent(shown.rate)}  {shown.k}/{shown.n}  [{interval(shown.low, shown.high)}]"
