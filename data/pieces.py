"""Text to tokens piece by piece: what stands between two special tokens is tokenised by itself, and remembered.

A tokenizer cuts a text at its special tokens before anything else, so the pieces give the tokens of the whole. One
that might look beyond its special tokens gets its texts whole; one whose words end with the line gets line by line.
Tested on the real tokenizers of both families.
"""

import json
import re
from bisect import bisect_right
from collections.abc import Collection, Iterable
from itertools import chain
from typing import Any, NamedTuple

MAX_REMEMBERED = 2_000_000  # letters; with their tokens about 30 MB
NEVER = re.compile(r"(?!)")
# Steps before the model that see one piece at a time, whatever stands beside it.
LOCAL_STEPS = {"ByteLevel", "Digits", "Split"}


def _for_ascii(pattern: str) -> re.Pattern[str]:
    """Python's `re` has no classes of Unicode: inside brackets they become ranges, outside of them brackets."""
    inside = re.sub(r"(\[\^[^]]*)\\p{L}\\p{N}\]", r"\1A-Za-z0-9]", pattern)
    return re.compile(inside.replace(r"\p{L}", "[A-Za-z]").replace(r"\p{N}", "[0-9]"), re.ASCII)


# How Llama 3 and Qwen cut a piece into words; ByteLevel does it as GPT-2. Merges never cross a word, and with these a
# word always ends on a line end that stands alone between two letters or marks: each line can be tokenised by itself.
_LETTERS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
_MARKS = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3, QWEN = _LETTERS + r"\p{N}{1,3}" + _MARKS, _LETTERS + r"\p{N}" + _MARKS
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
# The same for ASCII, on which all versions of Unicode agree. Words recur, and a look-up is faster than the tokenizer.
ASCII_WORDS = {pattern: _for_ascii(pattern) for pattern in (LLAMA3, QWEN, GPT2)}
LONE_LINE_END = re.compile(
    r"\n(?=\S)(?<=\S\n)"
)  # begins with its letter, which is searched for faster than a look-behind


class Cut(NamedTuple):
    character: int
    token: int


class Encoded(NamedTuple):
    text: str
    ids: list[int]
    token_at: dict[int, int]
    """Of each character that was asked for, the token that holds it."""
    cuts: list[Cut]
    """Where the text may be cut without a change of tokens: at its start and after each special token."""


class PieceEncoder:
    """The tokens of texts that share pieces: tools, headers, system prompts."""

    def __init__(self, tokenizer: Any) -> None:
        self._backend = tokenizer.backend_tokenizer
        self._backend.encode_special_tokens = tokenizer.split_special_tokens
        self._special_ids = {token.content: number for number, token in tokenizer.added_tokens_decoder.items()}
        self._boundaries = boundaries(tokenizer)
        known = known_words(tokenizer)
        self._line_ends = LONE_LINE_END if known else NEVER
        self._ascii_words = ASCII_WORDS.get(known)
        self._words = _Words()
        self._remembered: dict[str, list[int]] = {}
        self._num_letters = 0

    def encode(self, text: str, characters: Collection[int]) -> Encoded:
        """The tokens of a text, and which of them hold the given characters."""
        pieces = self._pieces(text)
        self._learn(piece for piece, is_special in pieces if not is_special)
        ids: list[int] = []
        token_at: dict[int, int] = {}
        cuts = [Cut(0, 0)]
        asked = sorted(characters, reverse=True)
        end = 0
        for piece, is_special in pieces:
            start, end = end, end + len(piece)
            encoding = None
            while asked and asked[-1] < end:
                character = asked.pop()
                inside = 0
                if character > start and not is_special:
                    encoding = encoding or self._backend.encode(piece, add_special_tokens=False)
                    inside = encoding.char_to_token(character - start)
                token_at[character] = len(ids) + inside
            if is_special:
                ids.append(self._special_ids[piece])
                cuts.append(Cut(end, len(ids)))
            else:
                ids += self._remembered[piece]
        return Encoded(text, ids, token_at, cuts)

    def is_prefix(self, encoded: Encoded, character: int, token: int) -> bool:
        """Whether the text up to `character`, tokenised alone, gives the first `token` tokens."""
        cut = encoded.cuts[bisect_right(encoded.cuts, character, key=lambda cut: cut.character) - 1]
        rest = encoded.text[cut.character : character]
        self._learn([rest])
        return encoded.ids[cut.token : token] == self._remembered[rest]

    def _pieces(self, text: str) -> list[tuple[str, bool]]:
        """The text in pieces; which of them are special tokens."""
        pieces: list[tuple[str, bool]] = []
        for number, piece in enumerate(self._boundaries.split(text)):
            if number % 2:
                pieces.append((piece, True))
            elif piece:
                *lines, last = self._line_ends.split(piece)
                pieces += [(f"{line}\n", False) for line in lines]
                pieces.append((last, False))
        return pieces

    def _learn(self, pieces: Iterable[str]) -> None:
        if self._num_letters > MAX_REMEMBERED:
            self._remembered, self._words, self._num_letters = {}, _Words(), 0
        new = dict.fromkeys(piece for piece in pieces if piece not in self._remembered)
        if not new:
            return
        # Whoever had the tokenizer before may have left it cutting or filling up texts.
        self._backend.no_truncation()
        self._backend.no_padding()
        self._num_letters += sum(map(len, new))
        ascii_pieces = [piece for piece in new if self._ascii_words and piece.isascii()]
        others = list(new.keys() - ascii_pieces)
        encodings = self._backend.encode_batch(others, add_special_tokens=False)
        self._remembered |= {piece: encoding.ids for piece, encoding in zip(others, encodings, strict=True)}
        if self._ascii_words:
            of_words = [list(map(self._words.__getitem__, self._ascii_words.findall(piece))) for piece in ascii_pieces]
            self._words.learn(self._backend)
            for piece, ids in zip(ascii_pieces, of_words, strict=True):
                self._remembered[piece] = list(chain.from_iterable(ids))


class _Words(dict[str, list[int]]):
    """The tokens of each word. Of one that is asked for the first time an empty list, which `learn` fills."""

    def __init__(self) -> None:
        super().__init__()
        self._new: list[str] = []

    def __missing__(self, word: str) -> list[int]:
        self._new.append(word)
        ids: list[int] = []
        self[word] = ids
        return ids

    def learn(self, backend: Any) -> None:
        """All new words in one call, which takes half the time of a batch: it makes one result for all."""
        encoding = backend.encode(self._new, is_pretokenized=True, add_special_tokens=False)
        for number, token in zip(encoding.word_ids, encoding.ids, strict=True):
            self[self._new[number]].append(token)
        self._new = []


def boundaries(tokenizer: Any) -> re.Pattern[str]:
    """Finds the special tokens of a text, in a group; NEVER where its pieces might need their neighbours."""
    added = list(tokenizer.added_tokens_decoder.values())
    takes_neighbours = any(token.lstrip or token.rstrip or token.single_word for token in added)
    is_searched_twice = len({token.normalized for token in added}) > 1
    if not added or takes_neighbours or is_searched_twice or tokenizer.split_special_tokens:
        return NEVER
    if not _is_local(tokenizer.backend_tokenizer):
        return NEVER
    names = sorted((re.escape(token.content) for token in added), key=len, reverse=True)
    return re.compile(f"({'|'.join(names)})")


def known_words(tokenizer: Any) -> str:
    """The pattern by which the words of each line can be tokenised by themselves; "" where it is not a known one."""
    steps = _steps(tokenizer.backend_tokenizer) if boundaries(tokenizer) != NEVER else []
    patterns = [GPT2 if step["type"] == "ByteLevel" else _split_pattern(step) for step in steps if _cuts_words(step)]
    return patterns[0] if len(patterns) == 1 and patterns[0] in ASCII_WORDS else ""


def _cuts_words(step: dict[str, Any]) -> bool:
    return step["type"] != "ByteLevel" or bool(step["use_regex"])


def _split_pattern(step: dict[str, Any]) -> str:
    """Of a Split that only cuts; "" for any other step."""
    if step["type"] != "Split" or step["behavior"] != "Isolated" or step["invert"]:
        return ""
    return str(step["pattern"].get("Regex", ""))


def _is_local(backend: Any) -> bool:
    """Whether each piece between special tokens is cut into words by itself."""
    if backend.normalizer is not None or backend.pre_tokenizer is None:
        return False
    return all(step["type"] in LOCAL_STEPS and not step.get("add_prefix_space") for step in _steps(backend))


def _steps(backend: Any) -> list[dict[str, Any]]:
    state = json.loads(backend.pre_tokenizer.__getstate__())
    steps: list[dict[str, Any]] = state["pretokenizers"] if state["type"] == "Sequence" else [state]
    return steps
