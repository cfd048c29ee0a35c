"""Faults and where they are, in the order a user mends them."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from data.row import JsonObject
from data.rules.severities import RuleSeverities, Severity

MAX_REASON = 400  # a schema's fault may quote a whole document


class Fault(NamedTuple):
    """What is wrong with a row, before it is known which file and line it stands in."""

    rule: str
    """A field of `RuleSeverities`."""
    reason: str
    message: int | None = None
    """1-based number of the message."""
    key: str = ""
    fix: str = ""


class Finding(NamedTuple):
    path: Path
    line: int
    fault: Fault
    severity: Severity

    @property
    def is_error(self) -> bool:
        return self.severity == "error"

    @property
    def where(self) -> str:
        """`FILE:LINE: message M, key "K"`."""
        place = [f"message {self.fault.message}"] if self.fault.message else []
        place += [f'key "{self.fault.key}"'] if self.fault.key else []
        return f"{self.path}:{self.line}" + (": " + ", ".join(place) if place else "")

    def __str__(self) -> str:
        return f"{self.where}: {self.fault.reason}" + (f" (fix: {self.fault.fix})" if self.fault.fix else "")

    def as_json(self) -> JsonObject:
        return {"path": str(self.path), "line": self.line, **self.fault._asdict(), "severity": self.severity}


class Group(NamedTuple):
    rule: str
    severity: Severity
    findings: list[Finding]
    """In file order."""


def place(path: Path, line: int, faults: Iterable[Fault], severities: RuleSeverities) -> list[Finding]:
    """Faults as findings of a line, without those whose rule is off."""
    findings = []
    for fault in faults:
        severity = severities.of(fault.rule)
        if severity != "off":
            clean = fault._replace(reason=one_line(fault.reason), key=one_line(fault.key))
            findings.append(Finding(path, line, clean, severity))
    return findings


def by_rule(findings: list[Finding]) -> list[Group]:
    """One group for each rule and severity, worst first."""
    groups: dict[tuple[str, Severity], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.fault.rule, finding.severity), []).append(finding)
    ordered = [Group(rule, severity, found) for (rule, severity), found in groups.items()]
    return sorted(ordered, key=lambda group: (group.severity != "error", -len(group.findings), group.rule))


def one_line(text: str) -> str:
    """Names, ids and other libraries' messages may hold line breaks and terminal codes; a finding is one plain line."""
    line = " ".join(text.split())
    if len(line) > MAX_REASON:
        line = line[:MAX_REASON] + "..."
    if line.isprintable():
        return line
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in line)
