"""data.convert as a user starts it: files of every kind, whole lines of its report, exit status and faults."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

from data.conversion import Kept, Refusal, convert_file
from data.layouts.detection import detect
from data.row import JsonObject
from data.source_records import Record, read_records
from data.user_error import UserError
from tests.data.layout_records import PING_BARE, PING_CALL, said, sharegpt
from tests.data.rows import GOOD, PING, ping, raw, says, user
from tests.models import write_rows

CALL = {"messages": [user("Ping a"), says(None, ping())]}
UNREADABLE = sharegpt(said("human", "Hi"), said("function_call", "ping(a)"))
CHAT = sharegpt(said("human", "Hi"), said("gpt", "Hello."))
CALLING = sharegpt(said("human", "Ping a"), said("function_call", PING_CALL), id=7)
WHY = (
    "a call is neither JSON (Expecting value: line 1 column 1 (char 0)) nor a Python literal (ping(a) is no value that "
    "JSON has)"
)


def convert(folder: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "data.convert", *map(str, words)]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=300,
        cwd=folder,
        env={"PYTHONPATH": str(root), "COLUMNS": "200"},
    )


def cells(output: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in output.splitlines() if line.startswith("│")]


def kept_lines(path: Path) -> list[JsonObject]:
    layout = detect(path, read_records(path))
    return [json.loads(o.line) for o in convert_file(path, layout, None) if isinstance(o, Kept)]


def test_files_of_two_layouts_become_one(tmp_path: Path) -> None:
    write_rows(tmp_path / "a.jsonl", [CHAT, UNREADABLE, CALLING, UNREADABLE])
    write_rows(tmp_path / "b.jsonl", [GOOD])
    done = convert(tmp_path, "a.jsonl", "b.jsonl", "--out", "out/rows.jsonl", "--json", "report.json")
    assert (done.returncode, done.stderr) == (0, "")
    assert cells(done.stdout) == [["a.jsonl", "sharegpt", "4", "2", "2"], ["b.jsonl", "openai", "1", "1", "0"]]
    assert [line for line in done.stdout.splitlines() if line and line[0] not in "│┏┃┡└"] == [
        f"refused, unreadable: 2; the first: a.jsonl:2: {WHY} (fix: write it as JSON)",
        "note, key 'id' left out: 1",
    ]
    rows = [json.loads(line) for line in (tmp_path / "out/rows.jsonl").read_text().splitlines()]
    assert rows == [
        raw(user("Hi"), says("Hello.")), raw(user("Ping a"), says(None, ping(call_id="call_1"))), GOOD,
    ]  # fmt: skip
    refused = [json.loads(line) for line in (tmp_path / "out/rows.refused.jsonl").read_text().splitlines()]
    assert refused == [
        {"where": f"a.jsonl:{line}", "cause": "unreadable", "what": WHY, "fix": "write it as JSON"} for line in (2, 4)
    ]
    assert json.loads((tmp_path / "report.json").read_text()) == {
        "files": [
            {"path": "a.jsonl", "layout": "sharegpt", "kept": 2, "refused": 2, "read": 4},
            {"path": "b.jsonl", "layout": "openai", "kept": 1, "refused": 0, "read": 1},
        ],
        "refused": {"unreadable": {"rows": 2, "first": refused[0]}},
        "notes": {"key 'id' left out": 1},
    }
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == [
        "a.jsonl", "b.jsonl", "report.json", "rows.jsonl", "rows.refused.jsonl",
    ]  # fmt: skip


def test_twice_gives_the_same_bytes_and_leaves_the_source_alone(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "a.jsonl", [CHAT, UNREADABLE, CALLING])
    before, seen = source.read_bytes(), []
    for out in ("one.jsonl", "two.jsonl", "two.jsonl"):
        done = convert(tmp_path, "a.jsonl", "--out", out, "--json", "report.json")
        files = [tmp_path / out, (tmp_path / out).with_suffix(".refused.jsonl"), tmp_path / "report.json"]
        seen.append((done.stdout, [file.read_bytes() for file in files]))
    assert seen[0] == seen[1] == seen[2]
    assert source.read_bytes() == before


def test_all_cores_convert_as_one_process_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.jsonl"
    rows = [CHAT, UNREADABLE, CALLING, CHAT | {"lang": "en"}, {"text": "Hi"}]
    path.write_text("".join(json.dumps(row) + "\n{\n" for row in rows * 5))
    layout = detect(path, read_records(path))
    alone = list(convert_file(path, layout, None))
    monkeypatch.setattr("data.conversion.BATCH", 3)
    monkeypatch.setattr("data.conversion.ALONE", 2)
    assert list(convert_file(path, layout, None)) == alone and len(alone) == 50
    assert {type(outcome) for outcome in alone} == {Kept, Refusal}


def test_given_tools_are_for_rows_without_a_list(tmp_path: Path) -> None:
    write_rows(tmp_path / "a.jsonl", [{"traj": CALL["messages"]}])
    (tmp_path / "tools.json").write_text(json.dumps({"tools": [PING_BARE]}))
    done = convert(tmp_path, "a.jsonl", "--out", "rows.jsonl", "--tools", "tools.json")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "rows.jsonl").read_text()) == CALL | {"tools": [PING]}


def test_nothing_kept_is_status_2_and_writes_no_rows(tmp_path: Path) -> None:
    write_rows(tmp_path / "a.jsonl", [{"traj": CALL["messages"]}])
    (tmp_path / "rows.jsonl").write_text("what stood here\n")
    done = convert(tmp_path, "a.jsonl", "--out", "rows.jsonl")
    assert done.returncode == 2
    assert done.stderr == "error: a.jsonl: none of 1 rows could be kept (fix: see rows.refused.jsonl)\n"
    assert (tmp_path / "rows.jsonl").read_text() == "what stood here\n"
    assert json.loads((tmp_path / "rows.refused.jsonl").read_text())["cause"] == "missing_tools"


LAYOUT_NAMES = (
    "openai, sharegpt, trajectory, stored_completion, hermes, content_parts, xlam, glaive, seal_tools, tool_alpaca, "
    "react, api_bank, hammer_bench, otel"
)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["gone.jsonl"], "gone.jsonl: cannot be read: No such file or directory (fix: check the path)"),
        (["."], ".: is no file that can be read twice (fix: save it as a file)"),
        (["empty.jsonl"], "empty.jsonl: the file is empty (fix: give a file with records)"),
        (["binary.json"], "binary.json:2: is not UTF-8 at byte 1: invalid start byte (fix: save it as UTF-8)"),
        (["loop.jsonl"], "loop.jsonl: cannot be read: Too many levels of symbolic links (fix: check the path)"),
        (["x" * 300], f"{'x' * 300}: cannot be read: File name too long (fix: check the path)"),
        (["cut.json"], "cut.json:1: broken JSON at column 5: Expecting value (fix: write whole JSON)"),
        (["cut.jsonl.gz"], "cut.jsonl.gz: is no whole gzip file: Compressed file ended before the end-of-stream marker "
         "was reached (fix: compress it anew)"),
        (["cut.parquet"], "cut.parquet: is no whole Parquet file: "),
        (["other.jsonl"], f"other.jsonl: no layout fits (fix: bring it to one of {LAYOUT_NAMES})"),
        (["broken.jsonl"], "broken.jsonl: no layout fits (broken JSON at column 2: Expecting property name enclosed in "
         f"double quotes) (fix: bring it to one of {LAYOUT_NAMES})"),
        (["two.jsonl"], "two.jsonl: two layouts fit: openai (row 1) and sharegpt (row 2) (fix: split the file, or name "
         "one with --from)"),
        (["good.jsonl", "--out", "good.jsonl"],
         "good.jsonl: would be overwritten, as it is also an input (fix: name another)"),
        (["good.jsonl", "--out", "sub/../good.jsonl"],
         "sub/../good.jsonl: would be overwritten, as it is also an input (fix: name another)"),
        (["rows.refused.jsonl", "--out", "rows.jsonl"],
         "rows.refused.jsonl: would be overwritten, as it is also an input (fix: name another)"),
        (["good.jsonl", "--json", "rows.jsonl"],
         "rows.jsonl: would be overwritten, as it is also another output (fix: name another)"),
        (["good.jsonl", "--out", "rows.json"],
         "rows.json: rows are written as JSON lines (fix: give a name that ends in .jsonl)"),
        (["good.jsonl", "--out", "good.jsonl/rows.jsonl"],
         "good.jsonl/rows.refused.jsonl: cannot be written: File exists (fix: give a path in a folder that you own)"),
        (["good.jsonl", "--tools", "gone.json"], "gone.json: cannot be read: No such file or directory (fix: check the "
         "path)"),
        (["good.jsonl", "--tools", "cut.json"], "cut.json: is not JSON: Expecting value: line 3 column 1 (char 6) "
         "(fix: give a JSON list of tools)"),
        (["good.jsonl", "--tools", "tools.json"],
         "tools.json: tool 0, key function.name: String should match pattern '^[A-Za-z0-9_-]{1,64}$' (fix: give OpenAI "
         "function tools)"),
    ],
)  # fmt: skip
def test_a_users_fault_is_one_line_and_status_2(tmp_path: Path, words: list[str], message: str) -> None:
    write_rows(tmp_path / "good.jsonl", [GOOD])
    (tmp_path / "empty.jsonl").write_text("\n \n")
    (tmp_path / "binary.json").write_bytes(b"[\n\xff")
    (tmp_path / "cut.json").write_text("[{},\n\n")
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(json.dumps(GOOD).encode())[:-9])
    (tmp_path / "cut.parquet").write_bytes(b"PAR1")
    write_rows(tmp_path / "other.jsonl", [{"text": "Hi"}])
    (tmp_path / "broken.jsonl").write_text("{broken\n")
    write_rows(tmp_path / "two.jsonl", [GOOD, CALLING])
    write_rows(tmp_path / "rows.refused.jsonl", [GOOD])
    (tmp_path / "tools.json").write_text(json.dumps([{"name": "a b"}]))
    (tmp_path / "loop.jsonl").symlink_to("loop.jsonl")
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    failed = convert(tmp_path, *words, *(() if "--out" in words else ("--out", "rows.jsonl")))
    assert (failed.returncode, failed.stdout) == (2, "")
    assert failed.stderr.startswith(f"error: {message}") and failed.stderr.count("\n") == 1, failed.stderr
    assert {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


def test_a_named_layout_refuses_records_of_another(tmp_path: Path) -> None:
    write_rows(tmp_path / "two.jsonl", [GOOD, CALLING])
    done = convert(tmp_path, "two.jsonl", "--out", "rows.jsonl", "--from", "openai")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "rows.refused.jsonl").read_text()) == {
        "where": "two.jsonl:2", "cause": "layout", "what": "is not in the layout openai but in sharegpt",
        "fix": "mend the record, or convert it on its own",
    }  # fmt: skip


def test_chats_without_calls_do_not_hide_the_layout(tmp_path: Path) -> None:
    tagged = {"conversations": [said("human", "Hi"), said("gpt", f"<tool_call>{PING_CALL}</tool_call>")]}
    for records, layout in (([CHAT, CALLING], "sharegpt"), ([CHAT, tagged], "hermes"), ([CHAT], "sharegpt")):
        path = write_rows(tmp_path / "a.jsonl", records)
        assert detect(path, read_records(path)).name == layout


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", "\ufeff{}\n\n{}\n"),
        ("a.json", "{}\n{}\n"),
        ("a.json", "[{}, {}]"),
        ("a.json", "\n[\n\n  {},\n\n  {}\n]\n"),
        ("a.txt", "{}\r\n{}\r\n"),
        ("a.json", "PRETTY\nPRETTY\n"),
        ("a.jsonl", "PRETTY\nPRETTY\n"),
        ("a.jsonl", "[\n{},\n{}]\n"),
    ],
)  # fmt: skip
def test_lines_and_lists_are_told_apart_by_what_they_hold(tmp_path: Path, name: str, content: str) -> None:
    row = json.dumps(GOOD)
    (tmp_path / name).write_bytes(content.replace("{}", row).replace("PRETTY", json.dumps(GOOD, indent=1)).encode())
    assert kept_lines(tmp_path / name) == [GOOD, GOOD]
    (tmp_path / f"{name}.gz").write_bytes(gzip.compress((tmp_path / name).read_bytes()))
    assert kept_lines(tmp_path / f"{name}.gz") == [GOOD, GOOD]


def test_a_broken_record_costs_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    deep = '{"messages": ' + "[" * 300 + "]" * 300 + "}"
    twice = '{"messages": [], "messages": []}'
    path.write_text(f'[{json.dumps(GOOD)}, {twice}, 5, {{"messages": NaN}}, {deep}]')
    found = list(convert_file(path, detect(path, read_records(path)), None))
    assert [type(outcome) for outcome in found] == [Kept, Refusal, Refusal, Refusal, Refusal]
    assert [str(outcome) for outcome in found[1:]] == [
        f"{path}:2: broken JSON: key 'messages' comes twice in one object (fix: write one whole JSON object)",
        f"{path}:3: the record is no JSON object (fix: write one whole JSON object)",
        f"{path}:4: broken JSON: NaN is no JSON value (fix: write one whole JSON object)",
        f"{path}:5: broken JSON: nested too deeply (fix: write one whole JSON object)",
    ]


def test_a_line_in_another_encoding_costs_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    row = json.dumps(GOOD).encode()
    path.write_bytes(row + b"\n\n" + row.replace(b"Ping", b"P\xeeng") + b"\n" + row + b"\n")
    kept, refused, last = convert_file(path, detect(path, read_records(path)), None)
    assert isinstance(kept, Kept) and isinstance(last, Kept)
    at = row.index(b"Ping") + 2
    what = f"not UTF-8 at byte {at}: invalid continuation byte"
    assert str(refused) == f"{path}:3: {what} (fix: write one whole JSON object)"


def test_nesting_that_no_reader_takes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    for depth in range(850, 1000, 10):
        deep = '{"a": ' * depth + "1" + "}" * depth
        schema = json.dumps(raw(user("Hi"), says("Hello."))).replace(
            '"properties": {', f'"properties": {{"d": {deep}, '
        )
        call = json.dumps(GOOD).replace('"{\\"host\\": \\"a\\"}"', '{"host": "a", "d": ' + deep + "}")
        path.write_text(json.dumps(GOOD) + "\n" + schema + "\n" + call + "\n")
        kept, *others = convert_file(path, detect(path, read_records(path)), None)
        assert isinstance(kept, Kept)
        assert all(isinstance(outcome, Kept | Refusal) for outcome in others)


def test_parquet_is_read_without_arrows_nulls(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    text = raw(user("Hi"), says(None, ping()), tools=[])
    filled = raw(user("Hi"), says(None, ping({"host": "a"}), ping({"n": 1}, call_id="c2")), tools=[])
    records = [text | {"tools": json.dumps([PING])}, text | {"tools": json.dumps([PING])}]
    parquet.write_table(pyarrow.Table.from_pylist(records), tmp_path / "a.parquet")
    bare = raw(user("Hi"), {key: value for key, value in says(None, ping()).items() if key != "content"})
    assert kept_lines(tmp_path / "a.parquet") == [bare, bare]
    parquet.write_table(pyarrow.Table.from_pylist([filled]), tmp_path / "b.parquet")
    assert list(read_records(tmp_path / "b.parquet")) == [
        Record(1, None, "Arrow filled an object of arguments or parameters with nulls: save those columns as JSON text")
    ]
    with pytest.raises(UserError, match="no layout fits \\(Arrow filled"):
        detect(tmp_path / "b.parquet", read_records(tmp_path / "b.parquet"))
