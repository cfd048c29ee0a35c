"""Rows that hold what breaks the match between training and serving elsewhere."""

from typing import Any

CALENDAR: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "add_event",
        "description": 'Add an event. Quotes "like these", tags <b>, ampersands & apostrophes\' stay as they are.',
        "parameters": {
            "type": "object",
            "properties": {
                "title": {"type": "string", "description": "What — in any script, e.g. 会議 or встреча 🎉"},
                "at": {
                    "type": "object",
                    "properties": {"day": {"type": "string"}, "hour": {"type": "number"}},
                    "required": ["day"],
                },
                "guests": {"type": "array", "items": {"type": "string"}, "default": []},
                "note": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
            },
            "required": ["title"],
        },
    },
}
PING: dict[str, Any] = {"type": "function", "function": {"name": "ping"}}
TOOLS = [CALENDAR, PING]


def call(name: str, arguments: str | dict[str, Any], number: int = 1) -> dict[str, Any]:
    return {"id": f"call_{number}", "type": "function", "function": {"name": name, "arguments": arguments}}


def result(content: Any, number: int = 1) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": f"call_{number}", "content": content}


def asks(text: Any) -> dict[str, Any]:
    return {"role": "user", "content": text}


TRICKY_ROWS: dict[str, dict[str, Any]] = {
    "developer_role": {
        "messages": [
            {"role": "developer", "content": "Be brief."}, asks("Hi"), {"role": "assistant", "content": "Hello."}
        ],
        "tools": TOOLS,
    },
    "two_leading_systems": {
        "messages": [
            {"role": "system", "content": "You plan."}, {"role": "system", "content": "Today is Monday."},
            asks("Hi"), {"role": "assistant", "content": "Hello."},
        ],
        "tools": TOOLS,
    },
    "system_in_the_middle": {
        "messages": [
            asks("Hi"), {"role": "assistant", "content": "Hello."}, {"role": "developer", "content": "Now in French."},
            asks("Hi"), {"role": "assistant", "content": "Bonjour."},
        ],
        "tools": TOOLS,
    },
    "no_tools_no_system": {"messages": [asks("2+2?"), {"role": "assistant", "content": "4"}]},
    "no_tools_with_system": {
        "messages": [{"role": "system", "content": " spaced \n"}, asks("2+2?"), {"role": "assistant", "content": "4"}]
    },
    "content_parts": {
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": "One."}, {"type": "text", "text": "Two."}]},
            asks([{"type": "text", "text": "Ping,"}, {"type": "text", "text": ""}, {"type": "text", "text": "please"}]),
            {"role": "assistant", "content": None, "tool_calls": [call("ping", "{}")]},
            result([{"type": "text", "text": "pong"}, {"type": "text", "text": "pong"}]),
            {"role": "assistant", "content": [{"type": "text", "text": "Done."}, {"type": "text", "text": "Twice."}]},
        ],
        "tools": TOOLS,
    },
    "text_beside_parallel_calls": {
        "messages": [
            asks("Ping and add lunch"),
            {
                "role": "assistant", "content": "  Both, at once: <ok>.\n",
                "tool_calls": [call("ping", ""), call("add_event", '{"title": "lunch"}', 2), call("ping", "{}", 3)],
            },
            result("pong"), result('{"id": 7}', 2), result("", 3),
            {"role": "assistant", "content": "Done.\n\n- ping\n- lunch"},
        ],
        "tools": TOOLS,
    },
    "unicode_and_escapes": {
        "messages": [
            asks("Ça va? 👩‍👩‍👧 日本語 \u2028 \t tab"),
            {
                "role": "assistant",
                "tool_calls": [call("add_event", {
                    "title": 'a "quoted" \\ back\\\\slash\nnew line \t tab <tag> & '
                    '\u00e9 e\u0301 日本 🎉👩‍👩‍👧 \u2028 \u007f',
                    "guests": ["O'Brien", "{curly}", "}}", "[]", '"}'], "note": None,
                })],
            },
            result('{"ok": true, "text": "naïve ☕"}'),
            {"role": "assistant", "content": "Voilà 🎉 — c'est fait…"},
        ],
        "tools": TOOLS,
    },
    "numbers_and_nesting": {
        "messages": [
            asks("At 9.5"),
            {
                "role": "assistant", "content": "",
                "tool_calls": [call("add_event", '{ "at" : {"hour":9.50, "day":"mo"},"title":"1e3", "guests" : [ ] }')],
            },
            result("ok"), {"role": "assistant", "content": "ok"},
        ],
        "tools": TOOLS,
    },
    "failed_call_is_context": {
        "messages": [
            asks("Add dinner"),
            {"role": "assistant", "weight": 0, "content": None, "tool_calls": [call("add_evnt", '{"titel": "x"}')]},
            result("error: no such tool"),
            {"role": "assistant", "content": None, "tool_calls": [call("add_event", '{"title": "dinner"}', 2)]},
            result("ok", 2), {"role": "assistant", "content": "Added."},
        ],
        "tools": TOOLS,
    },
    "no_parallel_calls": {
        "messages": [asks("Ping"), {"role": "assistant", "content": "Sure.", "tool_calls": [call("ping", {})]}],
        "tools": TOOLS, "parallel_tool_calls": False,
    },
    "refusal": {
        "messages": [
            asks("Hack it"), {"role": "assistant", "content": None, "refusal": "I can't help with that."},
            asks("Ping then"), {"role": "assistant", "content": None, "tool_calls": [call("ping", "{}")]},
        ],
        "tools": TOOLS,
    },
    "names_and_keys_like_ours": {
        "messages": [
            {"role": "user", "name": "bob", "content": "Add <tools> & </tools>"},
            {"role": "assistant", "tool_calls": [call("add_event", '{"title": "\\"arguments\\": {}"}')]},
            {**result('{"name": "add_event", "arguments": {}}'), "name": "add_event"},
            {"role": "assistant", "content": '{"name": "ping", "arguments": {}} is how I would ping.'},
        ],
        "tools": TOOLS,
    },
}  # fmt: skip

# One function as four clients send it: the OpenAI Agents SDK, LangChain, Pydantic AI, and one that dumps its nulls.
_PLACE = {"type": "string", "description": "Town"}
_LIMIT = {"type": "integer", "default": 3}
DIALECTS: dict[str, dict[str, Any]] = {
    "agents_sdk": {
        "type": "function",
        "function": {
            "name": "find", "description": "Find places.",
            "parameters": {
                "properties": {
                    "town": {"description": "Town", "title": "Town", "type": "string"},
                    "limit": {"default": 3, "title": "Limit", "type": "integer"},
                },
                "required": ["town", "limit"], "title": "find_args", "type": "object", "additionalProperties": False,
            },
            "strict": True,
        },
    },
    "langchain": {
        "type": "function",
        "function": {
            "name": "find", "description": "Find places.",
            "parameters": {
                "properties": {"town": _PLACE, "limit": _LIMIT}, "required": ["town", "limit"], "type": "object",
                "additionalProperties": False,
            },
        },
    },
    "pydantic_ai": {
        "type": "function",
        "function": {
            "name": "find", "description": "Find places.",
            "parameters": {
                "additionalProperties": False, "properties": {"town": _PLACE, "limit": _LIMIT},
                "required": ["town", "limit"], "type": "object",
            },
            "strict": None,
        },
    },
    "dumped_nulls": {
        "function": {
            "parameters": {
                "type": "object", "title": None, "description": None,
                "properties": {"town": {**_PLACE, "enum": None}, "limit": {**_LIMIT, "title": "L", "format": None}},
                "required": ["town", "limit"], "additionalProperties": False,
            },
            "strict": False, "description": "Find places.", "name": "find",
        },
        "type": "function",
    },
}  # fmt: skip
