"""Row rules: what would teach a wrong thing although it has the form of a row.

Each rule is a field of `data.rules.severities.RuleSeverities`, which says what it stands for and how severe it is.
"""

from data.row import Row
from data.rules.calls import answer_faults, call_faults
from data.rules.findings import Fault
from data.rules.messages import message_faults
from data.rules.text import text_faults
from data.rules.tools import tool_faults


def row_faults(row: Row) -> list[Fault]:
    """Every fault of a row that has the form of one."""
    return [*tool_faults(row), *message_faults(row), *call_faults(row), *answer_faults(row), *text_faults(row)]
