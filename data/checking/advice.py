"""Advice on training rows: what is too little, too much or missing for a model that is to call tools well.

The numbers are those of public recipes for fine-tuning tool calls: 200 to 500 rows for up to 10 tools, 500 and more for
50 tools or for chains of calls; at least 3 personas; single calls, error recovery and chains; 10 to 15 % general data
against forgetting; 50 to 100 held-out rows. That a kind wants 20 rows was seen here: kinds of about 10 stayed wrong
(`LOG.md`). Advice is no finding: no row is wrong, and no exit status changes.
"""

from collections.abc import Iterator
from typing import NamedTuple

from data.checking.tool_coverage import ToolCoverage
from data.row_summary import RowSummary, Shape
from data.rules.findings import one_line

MIN_ROWS, MIN_ROWS_MANY_TOOLS, MANY_TOOLS = 200, 500, 50
MIN_PERSONAS = 3
MIN_GENERAL, MAX_GENERAL = 10, 15
"""Percent of the rows."""
MIN_OF_A_KIND = 20
MIN_HELD_OUT = 50
NAMED = 5
"""Names in a line; the others are counted."""


class Advice(NamedTuple):
    name: str
    found: str
    why: str
    do: str

    def __str__(self) -> str:
        return f"{self.found}: {self.why} (do: {self.do})"


_MISSING: dict[Shape, tuple[str, str, str]] = {
    "no_call": (
        "no row with tools is answered in words alone",
        "the model learns to call, whatever is asked",
        "add requests that no tool serves, with an answer in words; data.exercise makes some, and so does the recipe's"
        " augment: {drop_called_tool: 0.1}",
    ),
    "recovery": (
        "no row recovers from a failed call",
        "the model does not learn to mend a call that the tool refused",
        'add failed calls with "weight": 0, their error and the right call; data.exercise makes some',
    ),
    "multi_step": (
        "no row calls again with what a result gave",
        "the model does not learn to chain calls",
        "add requests that need the result of one call for the next; data.exercise makes some",
    ),
    "single": (
        "no row has a single call",
        "plain requests teach when which tool is right",
        "add requests that one call serves",
    ),
}


def advise(rows: RowSummary, tools: list[ToolCoverage], num_held_out: int | None) -> list[Advice]:
    """Advice on the good chat rows for training; `num_held_out` is None where no such file was given."""
    found = list(_on_rows(rows, tools)) + list(_on_tools(tools)) if rows.num_chat else []
    if num_held_out is not None and num_held_out < MIN_HELD_OUT:
        rows_held_out = _number(num_held_out, "held-out row")
        why = f"a model is judged by {MIN_HELD_OUT} to 100, and a gate with 95 % intervals asks for more"
        found.append(Advice("few_held_out", rows_held_out, why, "hold out more, none of them trained on"))
    return found


def _on_rows(rows: RowSummary, tools: list[ToolCoverage]) -> Iterator[Advice]:
    yield from _few_rows(rows, tools)
    if rows.shapes["general"] < rows.num_chat:
        if rows.personas < MIN_PERSONAS:
            why = "a model tuned to one persona is brittle when the prompt changes"
            do = f"mix rows of at least {MIN_PERSONAS} agents or system prompts"
            yield Advice(
                "few_personas", _number(rows.personas, "persona") + " (first lines of system prompts)", why, do
            )
        yield from (Advice(f"no_{kind}", *words) for kind, words in _MISSING.items() if not rows.shapes[kind])
    few = [f"{kind} {count}" for kind, count in rows.shapes.items() if 0 < count < MIN_OF_A_KIND and kind != "general"]
    if few:
        why, do = "kinds of about 10 rows stayed wrong in our runs", f"bring each to {MIN_OF_A_KIND} rows or more"
        yield Advice("few_of_a_kind", f"few rows of {_names(few)}", why, do)
    yield from _general_share(rows)


def _few_rows(rows: RowSummary, tools: list[ToolCoverage]) -> Iterator[Advice]:
    many_tools = sum(tool.rows > 0 for tool in tools) >= MANY_TOOLS
    chains = 2 * rows.shapes["multi_step"] > rows.num_chat
    wanted = MIN_ROWS_MANY_TOOLS if many_tools or chains else MIN_ROWS
    if rows.num_chat < wanted:
        surface = f"{MANY_TOOLS} tools or more" if many_tools else "chains of calls" if chains else "a few tools"
        do = "bring in more traces with data.convert; hard and varied ones are worth more than many alike"
        yield Advice("few_rows", _number(rows.num_chat, "training row"), f"{surface} want {wanted} or more", do)


def _general_share(rows: RowSummary) -> Iterator[Advice]:
    general, others = rows.shapes["general"], rows.num_chat - rows.shapes["general"]
    share = f"{general:,} of {_number(rows.num_chat, 'row')} ({general / rows.num_chat:.1%}) "
    share += "is general data (no tools)" if general == 1 else "are general data (no tools)"
    if 100 * general < MIN_GENERAL * rows.num_chat:
        missing = -(-MIN_GENERAL * others // (100 - MIN_GENERAL)) - general
        why = f"{MIN_GENERAL} to {MAX_GENERAL} % of it keep what the model could do before"
        rows_missing = _number(missing, "plain instruction row")
        do = f"mix in {rows_missing}: a source with `share: 0.1` in the recipe's mixture"
        yield Advice("little_general", share, why, do)
    elif 100 * general > MAX_GENERAL * rows.num_chat:
        surplus = general - MAX_GENERAL * others // (100 - MAX_GENERAL)
        why = f"above {MAX_GENERAL} % they take the place of calls"
        yield Advice("much_general", share, why, f"take out {surplus:,}, or add rows with tools")


def _on_tools(tools: list[ToolCoverage]) -> Iterator[Advice]:
    listed, called = [tool for tool in tools if tool.rows], [tool for tool in tools if tool.trained_calls]
    if uncalled := [tool.name for tool in listed if not tool.trained_calls]:
        found = f"{len(uncalled):,} of {_number(len(listed), 'tool')} never called: {_names(uncalled)}"
        why = "the model reads them in each prompt and learns that they are never right"
        yield Advice(
            "uncalled_tools", found, why, "add rows that call them (data.exercise makes some), or list them no longer"
        )
    arguments = [f"{tool.name}.{argument.name}" for tool in called for argument in tool.arguments]
    if unused := [f"{tool.name}.{name}" for tool in called for name in tool.unused_arguments]:
        found = f"{len(unused):,} of {_number(len(arguments), 'argument')} never given: {_names(unused)}"
        why = "the model learns to leave them out"
        yield Advice("unused_arguments", found, why, "add requests that name them, or take them out of the schema")
    yield from _on_values(called)


def _on_values(called: list[ToolCoverage]) -> Iterator[Advice]:
    given = [(tool.name, argument) for tool in called for argument in tool.arguments if argument.calls]
    num_values = sum(len(argument.values) for _, argument in given)
    if unused := [f"{tool}.{arg.name}={value.text}" for tool, arg in given for value in arg.unused_values]:
        found = f"{len(unused):,} of {_number(num_values, 'enum value')} never given: {_names(unused)}"
        why = "the model learns to choose among the others"
        yield Advice("unused_values", found, why, "add requests that want them")


def _names(names: list[str]) -> str:
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return ", ".join(map(one_line, names[:NAMED])) + more


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
