"""waterfall.json and its table: what is left after each layer, and each way of asking beside the plain one."""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from rich.table import Table

from data.user_error import UserError
from eval.endpoint import Endpoint
from eval.intervals import interval, percent
from eval.item import Kind
from eval.layers.loss import LAYERS, Layer, Loss
from eval.paired import mcnemar_exact
from eval.rates import Outcome, Rate, rate_of
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
    """McNemar's exact test, two-sided, with rows as units."""


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


def read_waterfall(path: Path) -> WaterfallFile:
    """Raises UserError for a file that eval.waterfall did not write."""
    try:
        return WaterfallFile.model_validate(json.loads(path.read_text()))
    except (OSError, ValueError) as error:
        raise UserError(f"not a waterfall.json: {error}", where=str(path), fix="run eval.waterfall again") from error


def steps(fates: list[ItemFate]) -> list[Step]:
    found = []
    for number, layer in enumerate(LAYERS):
        lost = Counter(fate.loss.kind for fate in fates if fate.loss and fate.loss.layer == layer)
        passed = LAYERS[: number + 1]
        left = rate_of(_outcome(fate, not fate.loss or fate.loss.layer not in passed) for fate in fates)
        found.append(Step(layer=layer, lost=dict(lost.most_common()), left=left))
    return found


def paired_ways(fates: list[ItemFate]) -> list[PairedWay]:
    names = dict.fromkeys(name for fate in fates for name in fate.right if name != "auto")
    return [_paired(name, [fate for fate in fates if name in fate.right]) for name in names]


def _paired(name: str, fates: list[ItemFate]) -> PairedWay:
    pairs: Counter[tuple[bool | None, bool | None]] = Counter()
    nets: Counter[str] = Counter()
    for fate in fates:
        before, now = fate.right["auto"], fate.right[name]
        pairs[before, now] += 1
        if before is not None and now is not None:
            nets[_row(fate)] += now - before
    return PairedWay(
        name=name,
        rate=rate_of(_outcome(fate, bool(fate.right[name])) for fate in fates if fate.right[name] is not None),
        both=pairs[True, True],
        only_auto=pairs[True, False],
        only_this=pairs[False, True],
        neither=pairs[False, False],
        not_run=sum(None in pair for pair in pairs.elements()),
        p_value=mcnemar_exact(nets.values()),
    )


def _outcome(fate: ItemFate, is_met: bool) -> Outcome:
    return Outcome(_row(fate), fate.id, is_met)


def _row(fate: ItemFate) -> str:
    return fate.id.rpartition("#")[0]


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
