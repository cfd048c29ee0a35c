"""A JSON file with a tool list of its own, for rows and requests that come without one."""

from collections import Counter
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from data.layouts.record_error import RecordError
from data.layouts.tool_list import read_tools
from data.row import JsonObject, Tool
from data.strict_json import load_json
from data.user_error import UserError


def read_tool_file(path: Path) -> list[JsonObject]:
    """A list of tools, or an object with one under `tools`. Raises UserError naming the file and the tool."""
    try:
        value = load_json(path.read_text(encoding="utf-8-sig"))
        tools = read_tools(value["tools"] if isinstance(value, dict) and "tools" in value else value, Counter())
        TypeAdapter(list[Tool]).validate_python(tools)
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", where=str(path), fix="check the path") from error
    except ValidationError as error:
        fault = error.errors()[0]
        what = f"tool {fault['loc'][0]}, key {'.'.join(map(str, fault['loc'][1:]))}: {fault['msg']}"
        raise UserError(what, where=str(path), fix="give OpenAI function tools") from error
    except RecordError as error:
        raise UserError(error.what, where=str(path), fix=error.fix) from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"is not JSON: {error}", where=str(path), fix="give a JSON list of tools") from error
    return tools
