"""The page of data.check: its structure, that no text of a row becomes markup, and its mask token by token."""

import base64
import hashlib
import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest

from data import check
from data.checking.histogram import Bin, histogram
from data.checking.length_chart import HEIGHT, WIDTH, length_chart
from data.checking.row_sample import sample_rows
from data.reading import NumberedRow
from data.render import IGNORE, render
from data.row_summary import shape_of
from data.template import load_template
from tests.data.rows import GOOD, good_file, ping, raw, result, row, says, user
from tests.data.test_check import BAD, RECOVERY, UNANSWERED, WARNED

HOSTILE = '</pre><script>alert("1")</script><img src=x onerror=alert(1)> & "quoted" \'text\''
ATTACK = raw(
    {"role": "system", "content": HOSTILE}, user(HOSTILE), says(None, ping('{"host": "<b>é 日本 🙂</b>"}')),
    result(HOSTILE), says(HOSTILE),
)  # fmt: skip
VOID = {"meta", "input", "br", "img"}


class Element(NamedTuple):
    tag: str
    attributes: dict[str, str | None]
    inside: list["Element | str"]

    @property
    def text(self) -> str:
        return "".join(part if isinstance(part, str) else part.text for part in self.inside)

    def find(self, tag: str, **attributes: str) -> list["Element"]:
        """All of a tag below, in order; `class` is given as `kind`."""
        wanted = {"class" if key == "kind" else key: value for key, value in attributes.items()}
        return [one for one in self.all() if one.tag == tag and wanted.items() <= one.attributes.items()]

    def all(self) -> Iterator["Element"]:
        for part in self.inside:
            if isinstance(part, Element):
                yield part
                yield from part.all()


class Tree(HTMLParser):
    """Fails on a tag that is closed in the wrong place."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.root = Element("", {}, [])
        self.open = [self.root]
        self.feed(page)
        self.close()
        assert self.open == [self.root], [element.tag for element in self.open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, dict(attrs), [])
        self.open[-1].inside.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].inside.append(Element(tag, dict(attrs), []))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        self.open[-1].inside.append(data)


def page_of(folder: Path, *words: str | Path, status: int = 0) -> Element:
    out = folder / "check.html"
    with patch.object(sys, "argv", ["check", *map(str, words), "--html", str(out)]):
        assert check.main() == status
    text = out.read_text()
    tree = Tree(text).root
    assert [one.tag for one in tree.all() if {"src", "href", "action"} & set(one.attributes)] == []
    assert "url(" not in tree.find("style")[0].text and "@import" not in tree.find("style")[0].text
    return tree


def sections(page: Element) -> dict[str, Element]:
    return {section.find("h2")[0].text: section for section in page.find("section") if section.find("h2")}


def test_a_page_has_its_parts_in_order(tmp_path: Path, smollm2: Path) -> None:
    path = good_file(tmp_path / "rows.jsonl", GOOD, RECOVERY, WARNED, UNANSWERED, BAD)
    page = page_of(tmp_path, path, "--tokenizer", smollm2, "--max-length", "300", status=2)
    parts = sections(page)
    assert list(parts) == [
        "✕ 3 errors", "Figures", "Shapes", "Lengths", "Advice", "Coverage of 1 tool", "Findings", "3 rows of 3",
        "To run it again",
    ]  # fmt: skip
    assert [group.find("summary")[0].text for group in parts["Findings"].find("details")] == [
        "error unknown_tool 2", "error unanswered_call 1", "warning ends_without_answer 1",
    ]  # fmt: skip
    figure = {line.find("th")[0].text: line.find("td")[0].text for line in parts["Figures"].find("tr")}
    assert (figure["rows good"], figure["rows, recovery"]) == ("3", "1 (33.3%)")
    assert len(parts["Advice"].find("li")) == 6
    coverage = [[cell.text.strip() for cell in line.find("td")] for line in parts["Coverage of 1 tool"].find("tr")]
    assert coverage == [[], ["host", "2", "100.0%", ""], ["n", "0", "0.0%", ""]]
    assert "At most 300 tokens are allowed (the line);" in parts["Lengths"].text
    assert len(parts["Lengths"].find("line", kind="threshold")) == 1
    assert f"python -m data.check {path} --tokenizer" in parts["To run it again"].text


def test_the_only_script_is_our_own_and_the_browser_is_told_so(tmp_path: Path) -> None:
    page = page_of(tmp_path, good_file(tmp_path / "rows.jsonl", ATTACK))
    (script,) = page.find("script")
    source = (Path(__file__).parents[2] / "data" / "checking" / "page.js").read_text()
    digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
    assert script.text == source and script.attributes == {}
    (policy,) = [meta.attributes["content"] for meta in page.find("meta") if "http-equiv" in meta.attributes]
    assert policy == f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    for tag in ("link", "img", "iframe", "object", "b"):
        assert [one for one in page.find(tag) if one.text == "" or tag != "b"] == []


def test_no_text_of_a_row_becomes_markup(tmp_path: Path, smollm2: Path) -> None:
    odd = raw(user("Hi"), says(None, ping(name="<script>")), result("<i>"), says("."))  # a name that is refused
    path = good_file(tmp_path / "<u>rows.jsonl", ATTACK, odd)
    for words in ([path], [path, "--tokenizer", smollm2]):
        page = page_of(tmp_path, *words, status=2)
        assert [len(page.find(tag)) for tag in ("script", "img", "u", "i", "title")] == [
            1, 0, 0, 0 if len(words) == 1 else 3, 1 + (len(words) > 1) * len(page.find("rect", kind="bar-fill")),
        ]  # fmt: skip
        (shown,) = page.find("details", kind="row")
        assert shown.text.count(HOSTILE) == 5 and "<b>é 日本 🙂</b>" in shown.text
        assert "&lt;" not in shown.text and "<u>rows.jsonl:1" in shown.text


def test_the_mask_of_the_page_is_the_mask_of_the_labels(
    tmp_path: Path, smollm2: Path, llama3: Path, chatml: Any, llama: Any
) -> None:
    rows = [GOOD, RECOVERY, ATTACK, WARNED, raw(user("Go"), says("🙂🙃 ok", ping('{"host": "ü"}'), ping(call_id="c2")))]
    path = good_file(tmp_path / "rows.jsonl", *rows)
    for folder, tokenizer, name in ((smollm2, chatml, "chatml"), (llama3, llama, "llama3")):
        page = page_of(tmp_path, path, "--tokenizer", folder)
        shown = {item.find("summary")[0].text: item for item in page.find("details", kind="row")}
        assert len(shown) == len(rows)
        for line, one in enumerate(rows, start=1):
            (item,) = [item for title, item in shown.items() if f"{path}:{line} " in title]
            expected = render(row(*one["messages"], tools=one["tools"]), tokenizer, load_template(name))
            runs = [part for part in item.find("pre")[0].inside if isinstance(part, Element)]
            assert len(runs) == len(item.find("pre")[0].inside), "text outside of any run"
            is_trained: list[bool] = []
            for run in runs:
                first, last = map(int, re.findall(r"\d+", run.attributes["title"] or ""))
                assert first == len(is_trained) + 1
                is_trained += [run.tag == "mark"] * (last - first + 1)
                assert run.text == tokenizer.decode(expected.input_ids[first - 1 : last])
            assert is_trained == [label != IGNORE for label in expected.labels]
            assert f"{len(expected.labels):,} tokens, {expected.num_trained:,} trained" in item.text


def test_without_a_tokenizer_messages_are_shown_with_what_is_learnt(tmp_path: Path) -> None:
    page = page_of(tmp_path, good_file(tmp_path / "rows.jsonl", RECOVERY))
    (item,) = page.find("details", kind="row")
    messages = [part for part in item.find("div") if "message" in (part.attributes["class"] or "")]
    assert [(one.attributes["class"], " ".join(one.text.split())) for one in messages] == [
        ("message", "user Ping b"), ("message", 'assistant ping({"hots": "b"})'), ("message", "tool error"),
        ("message trained", 'assistant ping({"host": "a"})'),
    ]  # fmt: skip
    assert page.find("svg", kind="lengths") == [] and page.find("pre") == []


def test_the_page_of_a_file_is_always_the_same_and_written_whole(tmp_path: Path) -> None:
    path, out = good_file(tmp_path / "rows.jsonl", GOOD, WARNED), tmp_path / "check.html"
    page_of(tmp_path, path)
    first = out.read_bytes()
    page_of(tmp_path, path)
    assert out.read_bytes() == first
    assert sorted(tmp_path.iterdir()) == [out, path]


def test_a_file_without_a_good_row_has_a_page_too(tmp_path: Path, smollm2: Path) -> None:
    path = good_file(tmp_path / "rows.jsonl", BAD)
    for words in ([path], [path, "--tokenizer", smollm2], ["--test", path]):
        page = page_of(tmp_path, *words, status=2)
        assert "✕ 2 errors" in sections(page) and page.find("details", kind="row") == []


@pytest.mark.parametrize("folder", ["home_assistant", "seal_tools", "taskmaster_coffee"])
def test_real_sets_have_a_page(folder: str, shared_data: Path, tmp_path: Path) -> None:
    page = page_of(tmp_path, shared_data / folder / "train.jsonl")
    assert len(page.find("details", kind="row")) == 40
    assert (tmp_path / "check.html").stat().st_size < 3_000_000


def test_a_sample_takes_of_each_shape_from_the_first_to_the_last() -> None:
    path = Path("f.jsonl")
    texts = [row(user(str(number)), says("Hm.")) for number in range(90)]
    calls = [row(user(str(number)), says(None, ping())) for number in range(3)]
    rows = [NumberedRow(path, line, one) for line, one in enumerate([*texts, *calls], start=1)]
    assert [one.line for one in sample_rows(rows, 10)] == [91, 92, 93, 1, 13, 26, 39, 52, 65, 78]
    assert [shape_of(one.row) for one in sample_rows(rows, 3)] == ["single", "single", "no_call"]
    assert len(sample_rows(rows, 200)) == 93 and sample_rows([], 9) == []


def test_a_histogram_has_readable_borders_and_loses_nobody() -> None:
    assert histogram([]) == []
    assert histogram([0]) == [Bin(0, 1, 1)]
    assert histogram([0, 29]) == [Bin(0, 1, 1), *(Bin(n, n + 1, 0) for n in range(1, 29)), Bin(29, 30, 1)]
    numbers = [7 * number for number in range(300)]
    bins = histogram(numbers)
    assert (bins[0], bins[-1], len(bins)) == (Bin(0, 100, 15), Bin(2000, 2100, 14), 21)
    assert sum(one.rows for one in bins) == 300
    assert histogram([30])[-1] == Bin(30, 32, 1)


def test_a_chart_stands_in_its_drawing_and_draws_a_limit_that_is_near() -> None:
    chart = length_chart([10, 10, 25])
    assert [(bar.x, bar.y, bar.height, bar.label) for bar in chart.bars] == [
        (246.15, 0, HEIGHT, "10 tokens: 2 rows"), (615.38, HEIGHT / 2, HEIGHT / 2, "25 tokens: 1 row"),
    ]  # fmt: skip
    assert [tick.label for tick in chart.ticks] == ["0", "5", "10", "15", "20", "25"] and chart.limit_x is None
    assert length_chart([10, 25], 13).limit_x == WIDTH / 2
    assert length_chart([10, 25], 39).limit_x == WIDTH
    assert length_chart([10, 25], 40).limit_x is None
