"""Findings in the order a user mends them: errors before warnings, the most frequent rule first."""

from typing import Literal, NamedTuple

from data.rules import Finding


class Group(NamedTuple):
    rule: str
    severity: Literal["error", "warning"]
    findings: list[Finding]
    """In file order."""


def by_rule(findings: list[Finding]) -> list[Group]:
    """One group for each rule and severity, worst first."""
    groups: dict[tuple[str, Literal["error", "warning"]], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.rule, finding.severity), []).append(finding)
    ordered = [Group(rule, severity, found) for (rule, severity), found in groups.items()]
    return sorted(ordered, key=lambda group: (group.severity != "error", -len(group.findings), group.rule))
