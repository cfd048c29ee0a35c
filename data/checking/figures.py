"""The figures of a check by the names that a reader sees, for the terminal and for the page."""

from collections.abc import Iterator

from data.checking.result import CheckResult, Split
from data.checking.run_cost import RunCost


def figures(result: CheckResult) -> dict[str, list[str]]:
    """Each figure by its name, with one text for each split; "" where a split has no such figure."""
    columns = [dict(_split_figures(split)) for split in result.splits.values()]
    if result.run:
        columns[0] |= dict(_run_figures(result.run))
    names = dict.fromkeys(name for column in columns for name in column)
    return {name: [column.get(name, "") for column in columns] for name in names}


def _split_figures(split: Split) -> Iterator[tuple[str, str]]:
    rows = split.rows
    yield "lines", f"{rows.lines:,}"
    yield "rows good", f"{rows.good:,}"
    yield "rows refused", f"{rows.refused:,}"
    if rows.duplicates is not None:
        yield "duplicates", f"{rows.duplicates:,}"
    if rows.near_duplicates is not None:
        yield "near-duplicates", f"{rows.near_duplicates:,}"
    if rows.preferences:
        yield "rows, preference", f"{rows.preferences:,}"
    if rows.num_chat:
        yield "messages", f"{rows.messages:,}"
        yield "personas", f"{rows.personas:,} (of {rows.system_prompts:,} system prompts)"
        for shape, count in rows.shapes.items():
            yield f"rows, {shape}", f"{count:,} ({count / rows.num_chat:.1%})"
        yield from _tool_figures(split)
    yield from _token_figures(split)


def _tool_figures(split: Split) -> Iterator[tuple[str, str]]:
    listed = [tool for tool in split.tools if tool.rows]
    if not split.tools:
        return
    yield "calls", f"{sum(tool.calls for tool in split.tools):,}"
    yield "tools called", f"{split.num_called:,} of {split.num_listed:,}"
    arguments = [argument for tool in listed for argument in tool.arguments]
    if arguments:
        yield "arguments given", f"{sum(argument.calls > 0 for argument in arguments):,} of {len(arguments):,}"
    values = [value for argument in arguments for value in argument.values]
    if values:
        yield "enum values given", f"{sum(value.calls > 0 for value in values):,} of {len(values):,}"


def _token_figures(split: Split) -> Iterator[tuple[str, str]]:
    tokens = split.measured.summary if split.measured else None
    if not tokens or not tokens.rendered:
        return
    for name, spread in (("tokens a row", tokens.tokens), ("trained tokens a row", tokens.trained_tokens)):
        yield name, f"mean {spread.mean:,.1f}, p95 {spread.p95:,}, max {spread.max:,}"
    yield "trained share", f"{tokens.trained_share:.1%} of all tokens"
    limit = f"{tokens.max_length:,}" if tokens.max_length else "any number of"
    yield "rendered with", f"{tokens.template} template, at most {limit} tokens"


def _run_figures(run: RunCost) -> Iterator[tuple[str, str]]:
    epochs = f"{run.epochs:g} epoch" + ("" if run.epochs == 1 else "s")
    yield f"tokens of {epochs}", f"{run.tokens:,}"
    yield f"trained tokens of {epochs}", f"{run.trained_tokens:,}"
    if run.gpu_hours is not None:
        yield f"GPU-hours at {run.tokens_per_second:,g} tokens/s", f"{run.gpu_hours:,.2f}"
