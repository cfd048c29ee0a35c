"""The tools of a row (S15 to S18)."""

from collections.abc import Iterator

from data.row import Row
from data.rules.arguments import broken_schema, loose_object, schema_text
from data.rules.findings import Fault


def tool_faults(row: Row) -> Iterator[Fault]:
    names = [tool.function.name for tool in row.tools or []]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield Fault("duplicate_tool", f"tool {name!r} is listed twice", key="tools", fix="list it once")
    for index, tool in enumerate(row.tools or []):
        key = f"tools[{index}].function.parameters"
        schema = schema_text(tool.function.parameters or {})
        if why := broken_schema(schema):
            yield Fault(
                "tool_schema", f"parameters must be a JSON Schema object: {why}", key=key, fix="mend the schema"
            )
        elif tool.function.strict and (why := loose_object(schema)):
            fix = "mend the schema, or drop strict"
            yield Fault("strict_schema", f"strict is true, but {why}", key=key, fix=fix)
    if not row.tools and any(message.tool_calls for message in row.messages):
        yield Fault(
            "missing_tools",
            "the row has tool calls but no tools",
            key="tools",
            fix="give every row the tools array that production sends",
        )
