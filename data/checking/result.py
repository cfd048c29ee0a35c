"""What `data.check` found, before it is printed or written."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from data.checking.advice import Advice
from data.checking.run_cost import RunCost
from data.checking.tool_coverage import ToolCoverage
from data.row import JsonObject
from data.row_summary import RowSummary
from data.rules.findings import Group

if TYPE_CHECKING:  # imports transformers, which a check without a tokenizer never needs
    from data.token_summary import Measured


class Split(NamedTuple):
    """The figures of the training rows, or of the held-out ones."""

    rows: RowSummary
    tools: list[ToolCoverage]
    measured: "Measured | None"
    """None without a tokenizer."""

    @property
    def num_listed(self) -> int:
        """Tools."""
        return sum(tool.rows > 0 for tool in self.tools)

    @property
    def num_called(self) -> int:
        """Listed tools that a turn which is learnt calls."""
        return sum(tool.rows > 0 and tool.trained_calls > 0 for tool in self.tools)

    @property
    def num_too_long(self) -> int:
        limit = self.measured.summary.max_length if self.measured else None
        return sum(tokens > limit for tokens in self.measured.tokens) if self.measured and limit else 0

    def as_json(self) -> JsonObject:
        return {
            "rows": self.rows._asdict(),
            "tokens": self.measured.summary.as_json() if self.measured else None,
            "tools": [tool.as_json() for tool in self.tools],
        }


class CheckResult(NamedTuple):
    files: list[Path]
    training: Split | None
    held_out: Split | None
    run: RunCost | None
    """None without a tokenizer, or without training rows."""
    advice: list[Advice]
    groups: list[Group]
    """The findings, worst rule first."""

    @property
    def splits(self) -> dict[str, Split]:
        """Those that were given, by the name that a reader sees."""
        named = {"training": self.training, "held-out": self.held_out}
        return {name: split for name, split in named.items() if split}

    @property
    def num_errors(self) -> int:
        return sum(len(group.findings) for group in self.groups if group.severity == "error")

    @property
    def num_warnings(self) -> int:
        return sum(len(group.findings) for group in self.groups) - self.num_errors

    @property
    def lines(self) -> int:
        return sum(split.rows.lines for split in self.splits.values())

    @property
    def good(self) -> int:
        return sum(split.rows.good for split in self.splits.values())

    def as_json(self) -> JsonObject:
        """The training rows' figures lie at the top, those of held-out rows under `held_out`."""
        training = self.training.as_json() if self.training else {"rows": None, "tokens": None, "tools": None}
        return training | {
            "held_out": self.held_out.as_json() if self.held_out else None,
            "run": self.run._asdict() if self.run else None,
            "advice": [advice._asdict() for advice in self.advice],
            "counts": {group.rule: len(group.findings) for group in self.groups},
            "findings": [finding.as_json() for group in self.groups for finding in group.findings],
        }
