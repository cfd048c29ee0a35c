"""Preference rows of a model's mistakes: from an eval.json as eval.run writes it, of real scores."""

import json
import sys
from pathlib import Path

import pytest

from data import pairs
from data.pairing import Pairing, pairs_of_mistakes
from data.reading import read_row_file, read_rows
from data.user_error import UserError
from eval.endpoint import Endpoint
from eval.evaluation import Evaluation, Load, ModelRun, Sampling, SuiteFacts, write_json
from eval.reply import NotRun, RawCall, Reply
from eval.scores import aggregate, result
from eval.settings import EvalSection
from eval.suite import read_suite
from tests.data.rows import ping, raw, says, user
from tests.data.rows import result as tool_result
from tests.models import write_rows

SETTINGS = EvalSection()
ROWS = [raw(user(f"Ping {host}"), says(None, ping(json.dumps({"host": host})))) for host in "abcdefgh"]
HELD_OUT = [raw(user("Ping z"), says(None, ping('{"host": "z"}')))]
TALK = raw(
    user("Hello"), says("Hello."), user("Ping y"), says(None, ping('{"host": "y"}')), tool_result("ok"), says("Up.")
)


def reply(text: str, *calls: tuple[str, str], finish_reason: str = "stop") -> Reply:
    raw_calls = [RawCall(name=name, arguments=arguments) for name, arguments in calls]
    return Reply(content=text, calls=raw_calls, finish_reason=finish_reason, latency_s=0.1)


def evaluate(rows: Path, out: Path, answers: list[Reply | NotRun]) -> Path:
    suite = read_suite([rows], SETTINGS)
    results = [result(item, answer, 0.8) for item, answer in zip(suite.items, answers, strict=True)]
    endpoint = Endpoint(base_url="http://127.0.0.1:1/v1", model="tuned")
    run = ModelRun(endpoint=endpoint, load=Load.of(SETTINGS), scores=aggregate(results), results=results)
    facts, sampling = SuiteFacts.of(suite), Sampling.of(SETTINGS)
    write_json(out, Evaluation(created="", command="", versions={}, suite=facts, sampling=sampling, candidate=run))
    return out


ANSWERS = [
    reply("", ("ping", '{"host": "a"}')),  # right
    reply("", ("ping", '{"host": "x"}')),
    reply("", ("pong", '{"host": "c"}')),
    reply("I will not."),
    reply("", ("ping", '{"host": "e", "n": "many"}')),
    reply('<tool_call>\n{"name": "ping"', finish_reason="length"),
    reply('<tool_call>\n{"name": "ping"\n</tool_call>'),
    NotRun(reason="gone"),
]  # fmt: skip


def paired(tmp_path: Path, *evaluations: Path) -> Pairing:
    held_out = read_rows(write_rows(tmp_path / "test.jsonl", HELD_OUT))
    return pairs_of_mistakes(list(evaluations), held_out)


def test_each_wrong_answer_stands_beside_the_rows_own(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "train.jsonl", ROWS)
    pairing = paired(tmp_path, evaluate(rows, tmp_path / "eval.json", ANSWERS))
    assert pairing.num_items == 7
    assert dict(pairing.mistakes) == {"wrong_value": 1, "unknown_tool": 1, "no_call": 1, "extra_argument": 1}
    assert dict(pairing.dropped) == {"cut off at the token limit": 1, "rule parser_tag": 1}
    first = pairing.pairs[0]
    assert [message.content for message in first.input.messages] == ["Ping b"]
    better, worse = (message.tool_calls for message in (*first.preferred_output, *first.non_preferred_output))
    assert better and worse
    assert (better[0].function.arguments, worse[0].function.arguments) == ('{"host": "b"}', '{"host": "x"}')


def test_an_answer_that_no_file_takes_gives_no_pair(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "train.jsonl", ROWS[:2])
    evaluation = evaluate(rows, tmp_path / "eval.json", [reply("No \ud83c"), reply("No.")])
    pairing = paired(tmp_path, evaluation)
    assert (len(pairing.pairs), dict(pairing.dropped)) == (1, {"half a surrogate pair": 1})


def test_an_input_is_never_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held_out = write_rows(tmp_path / "test.jsonl", HELD_OUT)
    evaluation = evaluate(write_rows(tmp_path / "train.jsonl", ROWS), tmp_path / "eval.json", ANSWERS)
    before = evaluation.read_bytes()
    words = ["data.pairs", str(evaluation), "--held-out", str(held_out), "--out", str(evaluation)]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(UserError, match=r"eval\.json: would be overwritten, as it is also an input"):
        pairs.main()
    assert evaluation.read_bytes() == before


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (NotRun(reason="gone"), "no item was answered"),
        (ANSWERS[0], r"1 answers gave no pair \(dropped: none\) \(fix: a model without mistakes"),
    ],
)
def test_nothing_to_learn_is_told_from_no_answer(
    answer: Reply | NotRun, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held_out = write_rows(tmp_path / "test.jsonl", HELD_OUT)
    evaluation = evaluate(write_rows(tmp_path / "train.jsonl", ROWS[:1]), tmp_path / "eval.json", [answer])
    words = ["data.pairs", str(evaluation), "--held-out", str(held_out), "--out", str(tmp_path / "pairs.jsonl")]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(UserError, match=told):
        pairs.main()


def test_what_is_written_is_read_as_preference_rows_without_an_error(tmp_path: Path) -> None:
    """Also an unknown tool and arguments that break the schema: that is what is wrong with them."""
    rows = write_rows(tmp_path / "train.jsonl", ROWS)
    pairs = paired(tmp_path, evaluate(rows, tmp_path / "eval.json", ANSWERS)).pairs
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(pair.model_dump_json(exclude_unset=True) + "\n" for pair in pairs))
    file = read_row_file(path)
    assert file.findings == []
    assert [numbered.row for numbered in file.preferences] == pairs


def test_a_call_where_none_was_due_and_every_turn_of_a_talk(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "train.jsonl", [TALK])
    answers = [reply("", ("ping", '{"host": "hello"}')), reply("", ("ping", '{"host": "y"}')), reply("")]
    pairing = paired(tmp_path, evaluate(rows, tmp_path / "eval.json", answers))
    assert dict(pairing.mistakes) == {"unneeded_call": 1}
    assert dict(pairing.dropped) == {"rule content": 1}  # an empty answer is no message
    assert pairing.pairs[0].preferred_output[0].content == "Hello."


def test_the_same_mistake_of_several_samples_is_taken_once(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "train.jsonl", ROWS)
    twice = [evaluate(rows, tmp_path / name, ANSWERS) for name in ("0.json", "1.json")]
    pairing = paired(tmp_path, *twice)
    assert (len(pairing.pairs), pairing.dropped["repeated"]) == (4, 4)


def test_mistakes_on_held_out_rows_are_refused(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "copied.jsonl", HELD_OUT)
    evaluation = evaluate(rows, tmp_path / "eval.json", [reply("No.")])
    with pytest.raises(UserError, match=r"copied\.jsonl:1#2: asks what a held-out row asks"):
        paired(tmp_path, evaluation)


def test_rows_that_changed_after_the_evaluation_are_refused(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "train.jsonl", ROWS)
    evaluation = evaluate(rows, tmp_path / "eval.json", ANSWERS)
    write_rows(rows, ROWS[::-1])
    with pytest.raises(UserError, match=r"#2 is not what the file now has there"):
        paired(tmp_path, evaluation)
