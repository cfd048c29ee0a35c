"""Lines that have not even the form of a row, and files that hold no rows."""

import gzip
import json
from pathlib import Path

import pytest

from data.reading import read_row_file, read_rows
from data.row import JsonObject
from data.user_error import UserError
from tests.data.rows import GOOD, PING, found, good_file, ping, raw, says, user, with_tool

FORM = "see the row format in the README"
FORM_FAULTS: dict[str, tuple[JsonObject | str, list[str]]] = {
    "broken JSON": (
        '{"messages": [}',
        ["broken JSON at column 15: Expecting value (fix: write one complete JSON object a line)"],
    ),
    "JSON that is no object": (
        '["messages"]', ['the line is no JSON object (fix: start with {"messages": [...]})']
    ),
    "NaN": (
        '{"messages": NaN}', ["broken JSON: NaN is no JSON value (fix: write one complete JSON object a line)"]
    ),
    "a key twice": (
        '{"messages": [], "messages": []}',
        ["broken JSON: key 'messages' comes twice in one object (fix: write one complete JSON object a line)"],
    ),
    "half a surrogate pair": (
        '{"messages": "\\ud800"}',
        [
            "broken JSON: half a surrogate pair (\\ud800 to \\udfff) is no character"
            " (fix: write one complete JSON object a line)"
        ],
    ),
    "endless nesting": (
        "[" * 100_000, ["broken JSON: nested too deeply (fix: write one complete JSON object a line)"]
    ),
    "no messages": ({"tools": [PING]}, [f"key \"messages\": missing key 'messages' (fix: {FORM})"]),
    "empty messages": (
        {"messages": []},
        [f'key "messages": Expected a non-empty list (fix: {FORM})'],
    ),
    "unknown key of the row": (GOOD | {"tool": []}, [f'key "tool": Extra inputs are not permitted (fix: {FORM})']),
    "unknown key of a message": (
        raw(user("Hi"), says("Hello.", wieght=0)),
        [f'message 2, key "wieght": Extra inputs are not permitted (fix: {FORM})']
    ),
    "unknown key of a call": (
        raw(user("Hi"), says(None, ping() | {"index": 0})),
        [f'message 2, key "tool_calls[0].index": Extra inputs are not permitted (fix: {FORM})'],
    ),
    "unknown role": (
        raw({"role": "robot", "content": "ok"}, says("Hello.")),
        [f'message 1, key "role": Invalid role "robot" (fix: {FORM})'],
    ),
    "weight between 0 and 1": (
        raw(user("Hi"), says("Hello.", weight=0.5)),
        [f'message 2, key "weight": weight must be 0 or 1 (fix: {FORM})'],
    ),
    "arguments that are a number": (
        raw(user("Hi"), says(None, ping(5))),
        [
            'message 2, key "tool_calls[0].function.arguments": '
            f"Input should be a valid string: JSON-encode the arguments object (fix: {FORM})"
        ],
    ),
    "an image": (
        raw(user([{"type": "image_url", "text": ""}]), says("Nice.")),
        [
            'message 1, key "content[0].type": image_url parts are not supported: the models served here read only text'
            f" (fix: {FORM})"
        ],
    ),
    "a tool name with a space": (
        raw(user("Hi"), says("Hello."), tools=with_tool(name="my ping")),
        [f"key \"tools[0].function.name\": String should match pattern '^[A-Za-z0-9_-]{{1,64}}$' (fix: {FORM})"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("bad", "expected"), FORM_FAULTS.values(), ids=FORM_FAULTS)
def test_a_line_that_is_no_row_is_told_by_key_and_reason(bad: JsonObject | str, expected: list[str]) -> None:
    assert found(bad) == [f"f.jsonl:7: {line}" for line in expected]


def test_a_warning_refuses_no_row(tmp_path: Path) -> None:
    path = good_file(tmp_path / "rows.jsonl", raw(user("Hi") | {"name": "bob"}, says("Hello."), user("Bye")))
    file = read_row_file(path)
    assert [(str(finding), finding.severity) for finding in file.findings] == [
        (f"{path}:1: the row does not end on the assistant", "warning"),
        (f'{path}:1: message 1, key "name": name is not rendered', "warning"),
    ]
    assert [row.line for row in file.rows] == [1]


def test_lines_are_physical_and_blank_ones_are_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl.gz"
    text = "\ufeff" + json.dumps(raw(user("a\u2028b"), says("ok")), ensure_ascii=False) + "\n\n{\n"
    path.write_bytes(gzip.compress(text.encode()))
    file = read_row_file(path)
    assert (file.num_lines, [row.line for row in file.rows], [finding.line for finding in file.findings]) == (
        2,
        [1],
        [3],
    )


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "the file is empty (fix: one JSON object a line: messages and tools)"),
        (b"\n \n", "the file is empty (fix: one JSON object a line: messages and tools)"),
        (
            b"\x93NUMPY\x01",
            "is not UTF-8 JSONL: 'utf-8' codec can't decode byte 0x93 in position 0: invalid start byte"
            " (fix: save it as UTF-8)",
        ),
    ],
)
def test_a_file_that_holds_no_rows_is_refused(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)
    with pytest.raises(UserError) as error:
        read_row_file(path)
    assert str(error.value) == f"{path}: {expected}"


@pytest.mark.parametrize(
    "content",
    [gzip.compress(b"{}" * 500)[:-9], b"\x1f\x8b\x08\x00" + b"\xff" * 40],
    ids=["cut off", "garbage"],
)
def test_a_broken_gzip_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(content)
    with pytest.raises(UserError, match="is not UTF-8 JSONL"):
        read_row_file(path)


@pytest.mark.parametrize("limit", [-1, 2**40], ids=["large", "small"])
def test_packed_or_not_is_told_from_what_the_file_holds(
    limit: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("data.reading.LARGE_BYTES", limit)
    data = good_file(tmp_path / "rows", GOOD, GOOD).read_bytes()
    for name, content in (("a.jsonl", gzip.compress(data)), ("b.jsonl.gz", data)):
        (tmp_path / name).write_bytes(content)
        assert [numbered.line for numbered in read_rows(tmp_path / name)] == [1, 2]


@pytest.mark.parametrize(
    "text", [f"[{json.dumps(GOOD)}, {json.dumps(GOOD)}]", json.dumps([GOOD], indent=2), json.dumps(GOOD, indent=2)]
)
def test_a_json_document_is_told_as_one(tmp_path: Path, text: str) -> None:
    path = tmp_path / "rows.json"
    path.write_text(text)
    with pytest.raises(UserError) as error:
        read_row_file(path)
    fix = f"python -m data.convert {path} --out ROWS.jsonl"
    assert str(error.value) == f"{path}: is one JSON document, not one row a line (fix: {fix})"


def test_a_file_that_changes_while_it_is_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("data.reading.LARGE_BYTES", -1)
    path = good_file(tmp_path / "rows.jsonl", GOOD, GOOD, GOOD)
    rows = read_rows(path)
    data = path.read_bytes()
    with path.open("r+b") as file:  # the same file, cut off in its second line
        file.truncate(len(data) // 2)
    assert rows[0].line == 1
    with pytest.raises(UserError, match=r"rows\.jsonl:2: the file was changed while it was read \(fix: start again"):
        rows[1]
    with pytest.raises(UserError, match=r"rows\.jsonl:3: the file was changed"):
        list(rows[2:])


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        read_row_file(tmp_path / "absent.jsonl")
    assert (
        str(error.value) == f"{tmp_path}/absent.jsonl: cannot be read: No such file or directory (fix: check the path)"
    )


def test_reading_for_use_stops_at_the_first_error_and_counts_the_rest(tmp_path: Path) -> None:
    path = good_file(tmp_path / "rows.jsonl", GOOD, raw(user("Hi"), says("")), raw(user("Hi"), says("", weight=0)))
    with pytest.raises(UserError) as error:
        read_rows(path)
    assert str(error.value) == (
        f'{path}:2: message 2, key "content": content is required unless tool_calls is given'
        " (+2 more; run data.check) (fix: write it)"
    )
