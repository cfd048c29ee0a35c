"""An eval.json as eval.run writes it, of answers that are made here."""

import json
from pathlib import Path

from eval.endpoint import Endpoint
from eval.evaluation import Evaluation, Load, ModelRun, Sampling, SuiteFacts, write_json
from eval.reply import NotRun, RawCall, Reply
from eval.scores import aggregate, result
from eval.settings import EvalSection
from eval.suite import Item, read_suite

SETTINGS = EvalSection()


def answer(item: Item, wrong: str) -> Reply | NotRun:
    """Right, but for the items whose user text ends on a letter of `wrong`; the one that ends on f is not run."""
    asked = item.messages[0]["content"]
    if asked.endswith("f"):
        return NotRun(reason="gone")
    expected = [] if asked[-1] in wrong else item.expected_calls
    calls = [RawCall(name=call.name, arguments=json.dumps(call.arguments)) for call in expected]
    return Reply(content=item.expected_text or "no", calls=calls, finish_reason="stop", latency_s=0.1)


def evaluate(rows: Path, out: Path, wrong: str) -> Path:
    suite = read_suite([rows], SETTINGS)
    results = [result(item, answer(item, wrong), SETTINGS.fuzzy_threshold) for item in suite.items]
    endpoint = Endpoint(base_url="http://127.0.0.1:1/v1", model="tuned")
    run = ModelRun(endpoint=endpoint, load=Load.of(SETTINGS), scores=aggregate(results), results=results)
    facts, sampling = SuiteFacts.of(suite), Sampling.of(SETTINGS)
    write_json(out, Evaluation(created="", command="", versions={}, suite=facts, sampling=sampling, candidate=run))
    return out
