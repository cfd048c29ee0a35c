"""The terminal's view of a check: figures, coverage of the tools, advice, then the findings, worst rule first."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from data.checking.figures import figures
from data.checking.result import CheckResult
from data.checking.tool_coverage import ToolCoverage
from data.rules.findings import one_line

SHOWN_TOOLS = 15
SHOWN_NAMES = 6


def print_check(result: CheckResult, num_shown: int) -> None:
    """`num_shown`: findings a rule."""
    console = Console(highlight=False, soft_wrap=True)
    console.print(_figure_table(result))
    split = result.training or result.held_out
    if split and split.tools:
        console.print(_tool_table(split.tools))
    for advice in result.advice:
        console.print(f"advice {advice.name}: {advice}", markup=False, style="cyan")
    for group in result.groups:
        style = "red" if group.severity == "error" else "yellow"
        console.print(f"{group.severity} {group.rule}: {len(group.findings):,}", style=f"bold {style}")
        for finding in group.findings[:num_shown]:
            console.print(str(finding), markup=False, style=style)
        if len(group.findings) > num_shown:
            console.print(f"... and {len(group.findings) - num_shown:,} more {group.rule}; --all prints them")
    console.print(f"{result.good:,} of {result.lines:,} rows are good", style="bold")


def _figure_table(result: CheckResult) -> Table:
    table = Table("", *result.splits, show_header=len(result.splits) > 1)
    for name, texts in figures(result).items():
        table.add_row(name, *texts)
    return table


def _tool_table(tools: list[ToolCoverage]) -> Table:
    """Calls are those of turns that are learnt."""
    table = Table("tool", "rows", "calls", "never given")
    for tool in tools[:SHOWN_TOOLS]:
        table.add_row(Text(tool.name), f"{tool.rows:,}", f"{tool.trained_calls:,}", Text(_never_given(tool)))
    if rest := tools[SHOWN_TOOLS:]:
        uncalled = sum(not tool.trained_calls for tool in rest)
        calls = sum(tool.trained_calls for tool in rest)
        table.add_row(f"{len(rest):,} more", "", f"{calls:,}", f"{uncalled:,} are never called; --json has all")
    return table


def _never_given(tool: ToolCoverage) -> str:
    """Arguments, and values of those that are given."""
    if not tool.trained_calls:
        return "never called"
    values = [f"{arg.name}={value.text}" for arg in tool.arguments if arg.calls for value in arg.unused_values]
    names = [one_line(name) for name in tool.unused_arguments + values]
    return ", ".join(names[:SHOWN_NAMES]) + (f" and {len(names) - SHOWN_NAMES:,} more" if names[SHOWN_NAMES:] else "")
