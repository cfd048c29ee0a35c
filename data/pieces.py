"""Text to tokens piece by piece: what stands between two special tokens is tokenised by itself, and remembered.

A tokenizer cuts a text at its special tokens before anything else, so the pieces give the tokens of the whole. One
that might look beyond its special tokens gets its texts whole. Tested on the real tokenizers of both families.
"""

import json
import re
from bisect import bisect_right
from collections.abc import Collection
from typing import Any, NamedTuple

MAX_REMEMBERED = 2_000_000  # letters; with their tokens about 30 MB
NEVER = re.compile(r"(?!)")
# Steps before the model that see one piece at a time, whatever stands beside it.
LOCAL_STEPS = {"ByteLevel", "Digits", "Split"}


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
    """The tokens of texts that share pieces: tool lists, headers, system prompts."""

    def __init__(self, tokenizer: Any) -> None:
        self._backend = tokenizer.backend_tokenizer
        self._backend.encode_special_tokens = tokenizer.split_special_tokens
        self._special_ids = {token.content: number for number, token in tokenizer.added_tokens_decoder.items()}
        self._boundaries = boundaries(tokenizer)
        self._remembered: dict[str, list[int]] = {}
        self._num_letters = 0

    def encode(self, text: str, characters: Collection[int]) -> Encoded:
        """The tokens of a text, and which of them hold the given characters."""
        # Whoever had the tokenizer before may have left it cutting or filling up texts.
        self._backend.no_truncation()
        self._backend.no_padding()
        ids: list[int] = []
        token_at: dict[int, int] = {}
        cuts = [Cut(0, 0)]
        asked = sorted(characters, reverse=True)
        start = 0
        for number, piece in enumerate(self._boundaries.split(text)):
            end = start + len(piece)
            is_special = number % 2 == 1
            if is_special:
                while asked and asked[-1] < end:
                    token_at[asked.pop()] = len(ids)
                ids.append(self._special_ids[piece])
                cuts.append(Cut(end, len(ids)))
            elif asked and asked[-1] < end:
                encoding = self._backend.encode(piece, add_special_tokens=False)
                while asked and asked[-1] < end:
                    character = asked.pop()
                    token_at[character] = len(ids) + encoding.char_to_token(character - start)
                ids += encoding.ids
            else:
                ids += self._ids(piece)
            start = end
        return Encoded(text, ids, token_at, cuts)

    def is_prefix(self, encoded: Encoded, character: int, token: int) -> bool:
        """Whether the text up to `character`, tokenised alone, gives the first `token` tokens."""
        cut = encoded.cuts[bisect_right(encoded.cuts, character, key=lambda cut: cut.character) - 1]
        return encoded.ids[cut.token : token] == self._ids(encoded.text[cut.character : character])

    def _ids(self, piece: str) -> list[int]:
        ids = self._remembered.get(piece)
        if ids is None:
            ids = self._backend.encode(piece, add_special_tokens=False).ids
            self._num_letters += len(piece)
            if self._num_letters > MAX_REMEMBERED:
                self._remembered.clear()
                self._num_letters = len(piece)
            self._remembered[piece] = ids
        return ids


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


def _is_local(backend: Any) -> bool:
    """Whether each piece between special tokens is cut into words by itself."""
    if backend.normalizer is not None or backend.pre_tokenizer is None:
        return False
    state = json.loads(backend.pre_tokenizer.__getstate__())
    steps = state["pretokenizers"] if state["type"] == "Sequence" else [state]
    return all(step["type"] in LOCAL_STEPS and not step.get("add_prefix_space") for step in steps)
