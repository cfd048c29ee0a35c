"""Row rules: what would teach a wrong thing although it has the form of a row.

Each rule is a field of `data.severities.RuleSeverities`, which says what it stands for and how severe it is.
"""

from data.call_rules import answer_faults, call_faults
from data.findings import Fault
from data.message_rules import message_faults
from data.row import Row
from data.text_rules import text_faults
from data.tool_rules import tool_faults


def row_faults(row: Row) -> list[Fault]:
    """Every fault of a row that has the form of one."""
    return [*tool_faults(row), *message_faults(row), *call_faults(row), *answer_faults(row), *text_faults(row)]
