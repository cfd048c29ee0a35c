"""The text metrics of OpenAI's `text_similarity` grader that can be computed here, each 0 to 1.

`fuzzy_match` is rapidfuzz's ratio. ROUGE-N and ROUGE-L (Lin 2004) are F1 over lower-case words, as in rouge-score
without stemming. GLEU is that of Wu et al. 2016: the smaller of precision and recall of all 1- to 4-grams.
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Literal

from rapidfuzz import fuzz
from rapidfuzz.distance import LCSseq

Metric = Literal["fuzzy_match", "gleu", "rouge_1", "rouge_2", "rouge_3", "rouge_4", "rouge_5", "rouge_l"]
NOT_HERE = {
    "cosine": "it needs OpenAI's embedding model",
    "bleu": "its smoothing of single sentences is not published",
    "meteor": "it needs WordNet",
}


def text_similarity(metric: Metric, text: str, reference: str) -> float:
    if metric == "fuzzy_match":
        return fuzz.ratio(text, reference) / 100
    given, wanted = _words(text), _words(reference)
    if metric == "gleu":
        return min(_overlap(given, wanted, range(1, 5)))
    if metric == "rouge_l":
        common = LCSseq.similarity(given, wanted)
        return _f1(*(common / len(words) if words else 0.0 for words in (given, wanted)))
    size = int(metric.removeprefix("rouge_"))
    return _f1(*_overlap(given, wanted, range(size, size + 1)))


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def _overlap(given: list[str], wanted: list[str], sizes: Sequence[int]) -> tuple[float, float]:
    """(precision, recall) of n-grams of these sizes, each counted as often as it is in both."""
    ours, theirs = _ngrams(given, sizes), _ngrams(wanted, sizes)
    common = (ours & theirs).total()
    return (common / ours.total() if ours else 0.0, common / theirs.total() if theirs else 0.0)


def _ngrams(words: list[str], sizes: Sequence[int]) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[i : i + size]) for size in sizes for i in range(len(words) - size + 1))


def _f1(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
