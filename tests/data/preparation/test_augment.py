"""Augmentation: what is changed, that each changed row still teaches the truth, and that it passes the rules."""

import random
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from data.conversation import calls_of
from data.preparation.augment import augment
from data.preparation.called_tools import called_names
from data.preparation.entries import Entry
from data.preparation.lengths import Ruler
from data.preparation.missing_tool import ANSWERS, drop_called_tool
from data.preparation.relatedness import name_words, request_topics, tool_topics, topic_words
from data.preparation.settings import Augment
from data.preparation.tool_lists import OtherTools, add_distractors, shorten_descriptions, shuffle_tools
from data.preparation.tool_names import rename_tools
from data.row import Row, Tool
from data.rules.rows import row_faults
from data.rules.severities import DEFAULTS
from data.template import load_template
from tests.data.preparation.made import REAL, call, calling, entries, real_entries, tool
from tests.data.rows import raw, result, says, user

IN_PLACE = ["shuffle_tools", "rename_tools", "distractor_tools", "shorten_descriptions"]


@pytest.fixture(scope="module")
def ruler(chatml: Any) -> Ruler:
    return Ruler(chatml, load_template("chatml"), 4096)


def row(raw_row: dict[str, Any]) -> Row:
    return entries(raw_row)[0].row


def changed(row: Row | None) -> Row:
    assert row is not None
    return row


def called_tools(row: Row) -> list[list[tuple[Tool | None, dict[str, Any]]]]:
    """For each message its calls: the listed tool and the arguments."""
    tools = {tool.function.name: tool for tool in row.tools or []}
    return [[(tools.get(call.name), call.arguments) for call in calls_of(message)] for message in row.messages]


def shape(schema: Any) -> Any:
    """A schema without its descriptions."""
    if isinstance(schema, list):
        return [shape(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: shape(value) for key, value in schema.items() if key != "description" or not isinstance(value, str)}


def assert_true_to(before: Row, after: Row) -> None:
    """Calls map one to one to those before, with equal arguments and schemas; what is said and returned is equal."""
    for old, new in zip(called_tools(before), called_tools(after), strict=True):
        for (old_tool, old_arguments), (new_tool, new_arguments) in zip(old, new, strict=True):
            assert old_arguments == new_arguments
            assert (old_tool is None) == (new_tool is None)
            if old_tool and new_tool:
                assert shape(old_tool.function.parameters) == shape(new_tool.function.parameters)
                old_text, new_text = old_tool.function.description or "", new_tool.function.description or ""
                assert old_text.startswith(new_text) or len(old_text.split()) == len(new_text.split())
    for old_message, new_message in zip(before.messages, after.messages, strict=True):
        assert old_message.model_copy(update={"tool_calls": None, "name": None}) == new_message.model_copy(
            update={"tool_calls": None, "name": None}
        )
        ids = [[call.id for call in message.tool_calls or []] for message in (old_message, new_message)]
        assert ids[0] == ids[1]
    assert not [fault for fault in row_faults(after) if DEFAULTS.of(fault.rule) == "error"]


@pytest.mark.parametrize("kind", IN_PLACE)
@pytest.mark.parametrize("name", REAL)
def test_a_real_row_stays_true(kind: str, name: str, shared_data: Path, ruler: Ruler) -> None:
    rows = real_entries(shared_data, name, 40)
    result = augment(rows, OtherTools(rows), Augment.model_validate({kind: 0.5}), DEFAULTS, ruler, seed=0)
    counts = result.notes[kind]
    assert counts["wanted"] == 20
    assert sum(old.row != new.row for old, new in zip(rows, result.kept, strict=True)) == counts["rows"]
    assert counts["rows"] == 20 or counts["rows"] + counts["impossible"] + counts["refused"] == 40
    for old, new in zip(rows, result.kept, strict=True):
        assert_true_to(old.row, new.row)
        assert (new.num_tokens > 0) == (old.row != new.row)


def test_all_changes_on_one_row_leave_it_true(shared_data: Path, ruler: Ruler) -> None:
    rows = real_entries(shared_data, "seal_tools", 40)
    every = Augment(shuffle_tools=1, rename_tools=1, distractor_tools=1, shorten_descriptions=1)
    result = augment(rows, OtherTools(rows), every, DEFAULTS, ruler, seed=3)
    assert result.notes["shuffle_tools"]["rows"] == 40
    assert result.notes["rename_tools"]["rows"] > 30
    assert result.notes["distractor_tools"]["rows"] > 20
    for old, new in zip(rows, result.kept, strict=True):
        assert_true_to(old.row, new.row)


def test_shuffling_needs_two_tools_and_always_changes_their_order() -> None:
    two = row(calling("alpha", "a", listed=("b",)))
    for seed in range(5):
        shuffled = changed(shuffle_tools(two, random.Random(seed)))
        assert [tool.function.name for tool in shuffled.tools or []] == ["b", "a"]
    assert shuffle_tools(row(calling("alpha", "a")), random.Random(0)) is None


def test_tools_and_calls_and_result_names_are_renamed_together() -> None:
    asked = raw(
        user("Weather?"), says(None, call("getWeather")),
        result("fine") | {"name": "getWeather"}, says("Fine."),
        tools=[tool("getWeather", "The weather."), tool("sendMail")],
    )  # fmt: skip
    seen = set()
    for seed in range(30):
        renamed = changed(rename_tools(set(), row(asked), random.Random(seed)))
        new, mail = (tool.function.name for tool in renamed.tools or [])
        assert renamed.messages[1].tool_calls[0].function.name == renamed.messages[2].name == new  # type: ignore[index]
        assert_true_to(row(asked), renamed)
        assert mail in ("send_mail", "send-mail", "SendMail")
        seen.add(new if not new.startswith("fn_") else "opaque")
    assert seen == {"get_weather", "get-weather", "GetWeather", "opaque"}


def test_a_new_name_is_none_that_another_row_knows() -> None:
    rows = entries(calling("Weather?", "getWeather"), calling("Sun?", "weather"))
    held_out = entries(calling("Rain?", "get_weather", "get-weather", "GetWeather"))
    others = OtherTools(rows, held_out)
    assert others.all_names == {"getWeather", "weather", "get_weather", "get-weather", "GetWeather"}
    asked, names = row(raw(user("Weather?"), says("Fine."), tools=[tool("getWeather", "The sky.")])), set()
    for seed in range(20):
        [renamed] = changed(rename_tools(others.all_names, asked, random.Random(seed))).tool_names()
        names.add(renamed[:3])
    assert names == {"fn_"}


@pytest.mark.parametrize("text", ["Call ping now", "The tool `ping` is down"])
def test_a_tool_that_the_text_names_is_not_renamed(text: str) -> None:
    assert rename_tools(set(), row(calling(text, "ping", x="a")), random.Random(0)) is None
    assert rename_tools(set(), row(calling("Hi", "ping", x="ping")), random.Random(0)) is None
    unnamed = raw(user("Pinging, Ping"), says(None, call("ping")), tools=[tool("ping", "Reaches a host.")])
    assert rename_tools(set(), row(unnamed), random.Random(0)) is not None


def test_what_tool_texts_say_of_a_tool_is_renamed_with_it() -> None:
    x = {"type": "string", "description": "As getAddons lists it"}
    tools = [tool("getAddons", "Finds add-ons."), tool("order", "Orders what getAddons has found.", x=x)]
    asked = row(raw(user("Go"), says(None, call("order", x="a")), result("ok"), says("Done."), tools=tools))
    renamed = changed(rename_tools(set(), asked, random.Random(0)))
    addons, order = (tool.function for tool in renamed.tools or [])
    assert order.description == f"Orders what {addons.name} has found."
    assert order.parameters and order.parameters["properties"]["x"]["description"] == f"As {addons.name} lists it"
    assert_true_to(asked, renamed)
    tools[1] = tool("order", "Orders.", x={"type": "string", "enum": ["getAddons"]})
    assert rename_tools(set(), row(raw(user("Go"), says("Done."), tools=tools)), random.Random(0)) is None


def test_distractors_are_tools_that_could_not_answer() -> None:
    rows = entries(
        calling("Lights on in the hall", "light_on", listed=("light_dim",)),
        calling("Book a table", "book_table", listed=("beside_both",)),
        calling("Dim it", "light_dim", listed=("beside_both",)),
        calling("What is the weather?", "weather"),
        calling("Sell it", "hall_light"),
        calling("Sell it", "stock"),
    )
    add = partial(add_distractors, OtherTools(rows))
    found = set()
    for seed in range(40):
        names = [tool.function.name for tool in changed(add(rows[0].row, random.Random(seed))).tools or []]
        assert [name for name in names if name.startswith("light")] == ["light_on", "light_dim"]
        found |= set(names)
    # beside_both stands beside light_dim in some row; hall_light shares a word with tool and request.
    assert found == {"light_on", "light_dim", "book_table", "weather", "stock"}
    assert add(row(calling("Hi", listed=("stock",))), random.Random(0)) is None
    assert add_distractors(OtherTools(rows[:1]), rows[0].row, random.Random(0)) is None


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("Sends a mail. Use it for letters.", "Sends a mail."),
        ("Sends a mail, e.g. To a friend. Use it.", "Sends a mail, e.g. To a friend."),
        ("Sends a mail to somebody\nArgs: none", "Sends a mail to somebody"),
        ("Sends a mail.", None),
        ("Version 1.5 of the mailer", None),
        ("", None),
    ],
)
def test_a_description_is_cut_after_its_first_sentence(text: str, short: str | None) -> None:
    shortened = shorten_descriptions(row(raw(user("Hi"), says("Hi"), tools=[tool("mail", text)])), random.Random(0))
    assert (shortened.tools[0].function.description if shortened and shortened.tools else None) == short


OTHERS = OtherTools(entries(calling("Sell", "stock"), calling("Sun?", "weather", listed=("beside",))))


def test_a_row_without_its_tool_ends_on_an_answer_that_calls_nothing() -> None:
    asked = calling("Please ping alpha", "ping", "trace", listed=("beside",), x="alpha")
    rows = OtherTools([*entries(asked, calling("Sell", "stock"), calling("Sun?", "weather", listed=("beside",)))])
    dropped = changed(drop_called_tool(rows, row(asked), random.Random(0)))
    assert [tool.function.name for tool in dropped.tools or []] == ["stock"]  # weather stands beside a tool of the row
    assert [message.role for message in dropped.messages] == ["user", "assistant"]
    assert dropped.messages[-1].content in ANSWERS
    assert dropped.messages[0] == row(asked).messages[0]


@pytest.mark.parametrize(
    "asked",
    [
        calling("Please ping the stock server, whatever the weather, beside me", "ping"),  # speaks of all other tools
        calling("Licht an", "ping"),  # not English
        calling("Please ping alpha", listed=("ping",)),  # no call
    ],
)
def test_a_row_that_could_be_left_with_a_wrong_answer_is_not_made(asked: dict[str, Any]) -> None:
    assert drop_called_tool(OTHERS, row(asked), random.Random(0)) is None
    assert drop_called_tool(OTHERS, row(calling("Please ping alpha", "ping")), random.Random(0)) is not None


@pytest.mark.parametrize("name", REAL)
def test_real_rows_without_their_tool_call_nothing_and_are_added(name: str, shared_data: Path, ruler: Ruler) -> None:
    rows = real_entries(shared_data, name, 80)
    result = augment(rows, OtherTools(rows), Augment(drop_called_tool=0.1), DEFAULTS, ruler, seed=0)
    added: list[Entry] = result.kept[80:]
    assert result.kept[:80] == rows
    assert len(added) == result.notes["drop_called_tool"]["rows"] <= 8
    originals = {entry.key: entry.row for entry in rows}
    for entry in added:
        before = originals[entry.key]
        assert not entry.row.tool_names() & before.tool_names()
        assert entry.row.tools and called_names(before) and not called_names(entry.row)
        assert entry.row.messages[:-1] == before.messages[: len(entry.row.messages) - 1]
        assert entry.num_tokens > 0
        for left in entry.row.tools:
            assert not tool_topics(left) & request_topics(entry.row)


def test_a_changed_row_that_would_be_too_long_stays_as_it_was(ruler: Ruler) -> None:
    rows = [
        ruler.measured(entry) for entry in entries(calling("Hi alpha", "a", listed=("b",)), calling("Sell", "stock"))
    ]
    tight = ruler._replace(max_length=max(entry.num_tokens for entry in rows))
    result = augment(rows, OtherTools(rows), Augment(distractor_tools=1), DEFAULTS, tight, seed=0)
    assert result.kept[0] == rows[0]
    assert result.notes["distractor_tools"]["refused"] >= 1


def test_words_of_names_and_topics() -> None:
    assert name_words("getHTTPStatus_now-2") == ["get", "http", "status", "now", "2"]
    assert topic_words("Get the libraryCards of_users, bosses & classes") == {"library", "card", "bosse", "classe"}
