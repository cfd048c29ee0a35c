"""Tokens of pieces are the tokens of the whole, with the real tokenizers of both families."""

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from tokenizers import AddedToken

from data.conversation import conversation
from data.pieces import ASCII_WORDS, LONE_LINE_END, NEVER, PieceEncoder, boundaries, known_words
from data.reading import read_rows
from data.row import Row
from data.task_api.scenarios import synthesize
from data.template import load_template
from data.template_text import render_text
from data.tool_text import tool_line, tool_list_text
from tests.eval.tricky_rows import DIALECTS, TRICKY_ROWS

FAMILIES = ["chatml", "llama"]
TEMPLATES = {"chatml": "chatml", "llama": "llama3"}
SETS = ["home_assistant", "seal_tools", "taskmaster_coffee"]
# What tokenizers join, cut or squeeze: blanks, line ends, digits, marks, wide letters, halves of special tokens.
SCRAPS = [
    " ", "  ", "\n", "\n\n", "\t", "\r\n", "\u00a0", "\u2028", "a", "the", " the", "'s", "'S", "12345", "7", ".", "...",
    "}}\n{", '{"a":', "é", "e\u0301", "日本", "🙂", "👩‍🚀", "\u200b", "\u202e", "<|", "|>", "<|im_", "im_end|>",
    "<tool_call>", "assistant", "\ufffd",
]  # fmt: skip


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def tokenizer(family: str, request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(family)


def require_same(text: str, encoder: PieceEncoder, tokenizer: Any, random: Random) -> None:
    whole = tokenizer(text, add_special_tokens=False)
    characters = random.sample(range(len(text)), min(6, len(text)))
    encoded = encoder.encode(text, characters)
    assert encoded.ids == whole["input_ids"], text
    assert encoded.token_at == {place: whole.char_to_token(place) for place in characters}, text
    for place in characters:
        token = encoded.token_at[place]
        expected = tokenizer(text[:place], add_special_tokens=False)["input_ids"] == encoded.ids[:token]
        assert encoder.is_prefix(encoded, place, token) == expected, (text, place)


def test_both_families_are_cut_at_their_special_tokens(tokenizer: Any) -> None:
    assert boundaries(tokenizer).split(f"a{tokenizer.eos_token}b") == ["a", tokenizer.eos_token, "b"]


def test_both_families_are_cut_at_lone_line_ends(tokenizer: Any) -> None:
    assert known_words(tokenizer) in ASCII_WORDS
    assert LONE_LINE_END.split("a\nb }\n{ c\n\nd\n e \nf\u00a0\ng\n") == ["a", "b }", "{ c\n\nd\n e \nf\u00a0\ng\n"]


def test_random_scraps_between_special_tokens(tokenizer: Any) -> None:
    random, encoder = Random(0), PieceEncoder(tokenizer)
    special = [*map(str, list(tokenizer.added_tokens_decoder.values())[:8]), tokenizer.eos_token]
    for _ in range(1500):
        text = "".join(random.choice([*SCRAPS, *SCRAPS, *special]) for _ in range(random.randrange(1, 25)))
        require_same(text, encoder, tokenizer, random)


def rows(shared_data: Path | None) -> Iterator[Row]:
    yield from (Row.model_validate(raw) for raw in TRICKY_ROWS.values())
    yield from (Row.model_validate(raw) for raw in synthesize(30, 1, seed=5).train)
    for name in SETS if shared_data else ():
        yield from (numbered.row for numbered in read_rows(shared_data / name / "test.jsonl")[:25])


def test_rendered_rows(tokenizer: Any, family: str, shared_data: Path) -> None:
    random, encoder, template = Random(1), PieceEncoder(tokenizer), load_template(TEMPLATES[family])
    for row in rows(shared_data):
        text = render_text(conversation(row), template, tokenizer.special_tokens_map).text
        require_same(text, encoder, tokenizer, random)


def test_a_tool_list_written_once_is_what_the_whole_template_writes(
    tokenizer: Any, family: str, shared_data: Path
) -> None:
    template = load_template(TEMPLATES[family])
    dialects = [
        Row.model_validate(raw | {"tools": [tool]}) for raw in TRICKY_ROWS.values() for tool in DIALECTS.values()
    ]
    for row in [*rows(shared_data), *dialects]:
        talk = conversation(row)
        if talk.tools:
            text = tool_list_text([tool_line(json.loads(json.dumps(tool))) for tool in talk.tools])
            whole = render_text(talk, template, tokenizer.special_tokens_map)
            assert render_text(talk, template, tokenizer.special_tokens_map, text) == whole


@pytest.mark.parametrize(
    ("what", "value"),
    [("lstrip", True), ("rstrip", True), ("single_word", True), ("normalized", True), ("split_special_tokens", True)],
)
def test_a_tokenizer_that_may_look_beyond_its_special_tokens_gets_its_texts_whole(
    what: str, value: bool, smollm2: Path
) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(smollm2)
    assert boundaries(tokenizer) != NEVER
    if what == "split_special_tokens":
        tokenizer.split_special_tokens = value
    else:
        tokenizer.add_tokens(AddedToken("<|new|>", special=True, **{"normalized": False, what: value}))
    assert boundaries(tokenizer) == NEVER
    encoder, random = PieceEncoder(tokenizer), Random(2)
    for text in ("a <|new|> b<|im_end|>\n", "<|im_start|>user\nHi<|new|>", "x<|new|>y"):
        require_same(text, encoder, tokenizer, random)


def test_what_the_tokenizer_was_set_to_before_does_not_count(smollm2: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(smollm2)
    encoder = PieceEncoder(tokenizer)
    text = "<|im_start|>user\nOne two three four five<|im_end|>\n"
    expected = encoder.encode(text, ()).ids
    tokenizer(["a", text], truncation=True, max_length=4, padding=True)
    assert PieceEncoder(tokenizer).encode(text, ()).ids == encoder.encode(text, ()).ids == expected
    assert len(expected) > 8


def test_what_is_remembered_is_bounded(chatml: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("data.pieces.MAX_REMEMBERED", 100)
    encoder = PieceEncoder(chatml)
    for number in range(50):
        text = f"<|im_start|>user\nPlease ping host {number}<|im_end|>\n"
        assert encoder.encode(text, ()).ids == chatml(text, add_special_tokens=False)["input_ids"]
        assert sum(map(len, encoder._remembered)) <= 100 + len(text)
