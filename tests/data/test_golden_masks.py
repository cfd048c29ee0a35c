"""Golden masks: whole rows, token by token, with the real SmolLM2 and Llama-3 tokenizers.

A row is written as its runs, in turn context (as text) and trained (each token apart, by "·"), beginning with context.
"""

from itertools import groupby
from typing import Any, NamedTuple

import pytest

from data.render import IGNORE, Rendered, render
from data.row import Row
from data.template import load_template
from tests.data.rows import PING_TEXT, ping, result, row, says, user


class Golden(NamedTuple):
    row: Row
    chatml: list[str]
    llama3: list[str]


CHATML_HEAD = f"<|im_start|>system\n{PING_TEXT}<|im_end|>\n<|im_start|>user\nPing a<|im_end|>\n<|im_start|>assistant\n"
CHATML_PING = (
    '<·tool·_·call·>·\n·{"·name·":· "·ping·",· "·arguments·":· {"·host·":· "·a·"·}}·\n·</·tool·_·call·>·<|im_end|>'
)
LLAMA3_HEAD = (
    f"<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n{PING_TEXT}<|eot_id|>"
    "<|start_header_id|>user<|end_header_id|>\n\nPing a<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
)
LLAMA3_PING = '<·tool·_call·>\n·{"·name·":· "·ping·",· "·arguments·":· {"·host·":· "·a·"}}\n·</·tool·_call·>·<|eot_id|>'

GOLDEN = {
    "an answer without calls or tools": Golden(
        row(user("Hi"), says("Hello there."), tools=[]),
        ["<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n", "Hello· there·.·<|im_end|>", "\n"],
        [
            "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\n",
            "Hello· there·.·<|eot_id|>",
        ],
    ),
    "a single call": Golden(
        row(user("Ping a"), says(None, ping())), [CHATML_HEAD, CHATML_PING, "\n"], [LLAMA3_HEAD, LLAMA3_PING]
    ),
    "parallel calls, then text": Golden(
        row(
            user("Ping a"), says(None, ping(), ping('{"host": "b", "n": 2}', "c2")),
            result("up"), result("down", "c2"), says("a is up."),
        ),
        [
            CHATML_HEAD,
            '<·tool·_·call·>·\n·{"·name·":· "·ping·",· "·arguments·":· {"·host·":· "·a·"·}}·\n·</·tool·_·call·'
            '><·tool·_·call·>·\n·{"·name·":· "·ping·",· "·arguments·":· {"·host·":· "·b·",· "·n·":· ·2·}}·\n·'
            "</·tool·_·call·>·<|im_end|>",
            "\n<|im_start|>tool\n<tool_response>\nup\n</tool_response><|im_end|>"
            "\n<|im_start|>tool\n<tool_response>\ndown\n</tool_response><|im_end|>\n<|im_start|>assistant\n",
            "a· is· up·.·<|im_end|>",
            "\n",
        ],
        [
            LLAMA3_HEAD,
            '<·tool·_call·>\n·{"·name·":· "·ping·",· "·arguments·":· {"·host·":· "·a·"}}\n·</·tool·_call·'
            '><·tool·_call·>\n·{"·name·":· "·ping·",· "·arguments·":· {"·host·":· "·b·",· "·n·":· ·2·}}\n·'
            "</·tool·_call·>·<|eot_id|>",
            "<|start_header_id|>tool<|end_header_id|>\n\n<tool_response>\nup\n</tool_response><|eot_id|>"
            "<|start_header_id|>tool<|end_header_id|>\n\n<tool_response>\ndown\n</tool_response><|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\n",
            "a· is· up·.·<|eot_id|>",
        ],
    ),
    "text beside a call, and a system message after the tools": Golden(
        row({"role": "system", "content": "Be brief."}, user("Ping a"), says(" On it.\n", ping())),
        [CHATML_HEAD.replace(PING_TEXT, f"{PING_TEXT}\n\nBe brief."), f"On· it·.·\n·{CHATML_PING}", "\n"],
        [LLAMA3_HEAD.replace(PING_TEXT, f"{PING_TEXT}\n\nBe brief."), f"On· it·.\n·{LLAMA3_PING}"],
    ),
    "a recovery: the failed call is context": Golden(
        row(
            user("Ping a"), says(None, ping('{"hots": "a"}'), weight=0), result("error: no host"),
            says(None, ping(call_id="c2")), result("up", "c2"), says("Up."),
        ),
        [
            CHATML_HEAD + '<tool_call>\n{"name": "ping", "arguments": {"hots": "a"}}\n</tool_call><|im_end|>\n'
            "<|im_start|>tool\n<tool_response>\nerror: no host\n</tool_response><|im_end|>\n<|im_start|>assistant\n",
            CHATML_PING,
            "\n<|im_start|>tool\n<tool_response>\nup\n</tool_response><|im_end|>\n<|im_start|>assistant\n",
            "Up·.·<|im_end|>",
            "\n",
        ],
        [
            LLAMA3_HEAD + '<tool_call>\n{"name": "ping", "arguments": {"hots": "a"}}\n</tool_call><|eot_id|>'
            "<|start_header_id|>tool<|end_header_id|>\n\n<tool_response>\nerror: no host\n</tool_response><|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\n",
            LLAMA3_PING,
            "<|start_header_id|>tool<|end_header_id|>\n\n<tool_response>\nup\n</tool_response><|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\n",
            "Up·.·<|eot_id|>",
        ],
    ),
    "text of weight 0": Golden(
        row(user("Hi"), says("Bad.", weight=0), user("Again"), says("Good.", weight=1), tools=[]),
        [
            "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nBad.<|im_end|>\n"
            "<|im_start|>user\nAgain<|im_end|>\n<|im_start|>assistant\n",
            "Good·.·<|im_end|>",
            "\n",
        ],
        [
            "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\nBad.<|eot_id|>"
            "<|start_header_id|>user<|end_header_id|>\n\nAgain<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\n",
            "Good·.·<|eot_id|>",
        ],
    ),
}  # fmt: skip


def runs(rendered: Rendered, tokenizer: Any) -> list[str]:
    out = []
    pairs = zip(rendered.input_ids, rendered.labels, strict=True)
    for is_trained, run in groupby(pairs, key=lambda pair: pair[1] != IGNORE):
        ids = [token for token, _ in run]
        out.append("·".join(tokenizer.decode([token]) for token in ids) if is_trained else tokenizer.decode(ids))
    return out


def require_same_ids(rendered: Rendered) -> None:
    pairs = zip(rendered.input_ids, rendered.labels, strict=True)
    assert [pair for pair in pairs if pair[1] not in (IGNORE, pair[0])] == []


@pytest.mark.contract(8)
@pytest.mark.parametrize("golden", GOLDEN.values(), ids=GOLDEN)
def test_chatml_trains_exactly_these_tokens(golden: Golden, chatml: Any) -> None:
    rendered = render(golden.row, chatml, load_template("chatml"))
    assert runs(rendered, chatml) == golden.chatml
    require_same_ids(rendered)


@pytest.mark.contract(8)
@pytest.mark.parametrize("golden", GOLDEN.values(), ids=GOLDEN)
def test_llama3_trains_exactly_these_tokens(golden: Golden, llama: Any) -> None:
    rendered = render(golden.row, llama, load_template("llama3"))
    assert runs(rendered, llama) == golden.llama3
    require_same_ids(rendered)
