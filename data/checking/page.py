"""One self-contained HTML page of a check: made to be forwarded, browsed and printed, and it loads nothing."""

import base64
import hashlib
from pathlib import Path
from typing import Any

from markupsafe import Markup

from data.checking.figures import figures
from data.checking.length_chart import HEIGHT, WIDTH, LengthChart, length_chart
from data.checking.result import CheckResult
from data.checking.row_view import RowView
from data.checking.tool_coverage import ToolCoverage
from data.html_page import page_template
from data.row_summary import MEANING
from data.whole_file import write_whole

MAX_TOOLS = 300
MAX_FINDINGS = 100
"""Of a rule; all are in the JSON report."""


def write_page(path: Path, result: CheckResult, rows: list[RowView], command: str) -> None:
    # A path need not be Unicode.
    write_whole(path, render_page(result, rows, command), errors="replace")


def render_page(result: CheckResult, rows: list[RowView], command: str) -> str:
    """`rows` are those to browse. Every text is escaped, and the browser is told to run this page's script alone."""
    template = page_template(
        Path(__file__).with_name("page.html.jinja"), {"number": "{:,}".format, "percent": "{:.1%}".format}
    )
    return template.render(_view(result, rows, command))


def _view(result: CheckResult, rows: list[RowView], command: str) -> dict[str, Any]:
    script = Path(__file__).with_name("page.js").read_text()
    split = result.training or result.held_out
    assert split, "a check has files"
    return {
        "result": result,
        "split": split,
        "figures": figures(result),
        "meaning": MEANING,
        "charts": _charts(result),
        "chart_width": WIDTH,
        "chart_height": HEIGHT,
        "tools": [(tool, _coverage_word(tool)) for tool in split.tools[:MAX_TOOLS]],
        "max_findings": MAX_FINDINGS,
        "rows": rows,
        "command": command,
        "script": Markup(script),
        "script_sha256": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    }


def _charts(result: CheckResult) -> list[tuple[str, LengthChart]]:
    split = result.training or result.held_out
    if not split or not split.measured or not split.measured.tokens:
        return []
    summary, tokens, trained, _ = split.measured
    return [("Tokens a row", length_chart(tokens, summary.max_length)), ("Trained tokens a row", length_chart(trained))]


def _coverage_word(tool: ToolCoverage) -> str:
    if not tool.trained_calls:
        return "never called"
    has_gap = tool.unused_arguments or any(argument.calls and argument.unused_values for argument in tool.arguments)
    return "with gaps" if has_gap else "complete"
