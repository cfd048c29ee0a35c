"""OpenAI messages under `traj`, as tau-bench writes its runs; they come without a tool list."""

from data.layouts.draft import Draft
from data.layouts.layout import Layout
from data.layouts.openai_chat import draft_chat
from data.row import JsonObject


def _fits(record: JsonObject) -> bool:
    return isinstance(record.get("traj"), list)


def _draft(record: JsonObject) -> Draft:
    return draft_chat({"messages": record["traj"], "tools": record.get("tools")})


TRAJECTORY = Layout(
    "trajectory", "OpenAI messages under traj (tau-bench); needs --tools", _fits, _draft, frozenset({"traj", "tools"})
)
