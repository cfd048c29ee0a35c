"""Each piece of advice stands just before its boundary and is gone at it; its commands exist."""

import re
from pathlib import Path

import pytest

from data.checking.advice import NAMED, Advice, advise
from data.checking.tool_coverage import ArgumentCoverage, ToolCoverage, ValueCoverage
from data.row_summary import RowSummary, Shape

ROOT = Path(__file__).parents[2]
# 200 rows with nothing to advise on.
SHAPES: dict[Shape, int] = {
    "single": 80, "parallel": 20, "multi_step": 30, "recovery": 25, "no_call": 25, "general": 20,
}  # fmt: skip
FULL = ToolCoverage(
    "add", 180, 155, 155,
    [ArgumentCoverage("to", 155, []), ArgumentCoverage("level", 90, [ValueCoverage("low", 60), ValueCoverage(2, 30)])],
)  # fmt: skip


def summary(personas: int = 3, **shapes: int) -> RowSummary:
    counts = SHAPES | shapes
    num_rows = sum(counts.values())
    return RowSummary(num_rows, num_rows, 0, 0, 0, 0, 4 * num_rows, counts, personas, system_prompts=personas)


def advice(rows: RowSummary, *tools: ToolCoverage, num_held_out: int | None = None) -> dict[str, str]:
    return {one.name: str(one) for one in advise(rows, list(tools or [FULL]), num_held_out)}


def test_a_set_with_all_it_needs_gets_no_advice() -> None:
    assert advice(summary()) == {}


def test_few_rows() -> None:
    assert advice(summary(single=79)) == {
        "few_rows": "199 training rows: a few tools want 200 or more (do: bring in more traces with data.convert; hard"
        " and varied ones are worth more than many alike)"
    }


def test_many_tools_and_chains_want_more_rows() -> None:
    tools = [FULL._replace(name=f"t{number}") for number in range(50)]
    assert advice(summary(), *tools[:49]) == {}
    assert advice(summary(), *tools)["few_rows"].startswith("200 training rows: 50 tools or more want 500 or more")
    assert advice(summary(single=350, general=50), *tools) == {}
    assert "few_rows" not in advice(summary(multi_step=170, general=34))  # 170 of 354 are no majority
    chains = advice(summary(multi_step=185, general=34))
    assert chains["few_rows"].startswith("369 training rows: chains of calls want 500 or more")


def test_few_personas() -> None:
    assert advice(summary(personas=2)) == {
        "few_personas": "2 personas (first lines of system prompts): a model tuned to one persona is brittle when"
        " the prompt changes (do: mix rows of at least 3 agents or system prompts)"
    }


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("no_call", "no row with tools is answered in words alone"),
        ("recovery", "no row recovers from a failed call"),
        ("multi_step", "no row calls again with what a result gave"),
        ("single", "no row has a single call"),
    ],
)
def test_a_missing_kind(kind: Shape, found: str) -> None:
    rest = {"parallel": 20 + SHAPES[kind]}
    assert list(advice(summary(**{kind: 0}, **rest))) == [f"no_{kind}"]
    assert advice(summary(**{kind: 0}, **rest))[f"no_{kind}"].startswith(f"{found}: ")
    assert f"no_{kind}" not in advice(summary(**{kind: 1}))


def test_no_parallel_call_is_no_lack() -> None:
    assert advice(summary(parallel=0, single=100)) == {}


def test_few_of_a_kind() -> None:
    found = advice(summary(parallel=19, recovery=1, single=105))
    assert found == {
        "few_of_a_kind": "few rows of parallel 19, recovery 1: kinds of about 10 rows stayed wrong in our runs"
        " (do: bring each to 20 rows or more)"
    }


def test_the_share_of_general_data() -> None:
    assert advice(summary(general=20)) == {}  # 10.0 %
    assert advice(summary(single=81, general=20)) == {
        "little_general": "20 of 201 rows (10.0%) are general data (no tools): 10 to 15 % of it keep what the model"
        " could do before (do: mix in 1 plain instruction row: a source with `share: 0.1` in the recipe's mixture)"
    }
    assert advice(summary(single=70, general=30)) == {}  # 15.0 %, and 170 with tools
    assert advice(summary(single=70, general=31)) == {
        "much_general": "31 of 201 rows (15.4%) are general data (no tools): above 15 % they take the place of calls"
        " (do: take out 1, or add rows with tools)"
    }
    none = advice(summary(single=100, general=0))["little_general"]
    assert none.startswith("0 of 200 rows (0.0%) are general data") and "mix in 23 plain instruction rows" in none
    assert advice(summary(single=100, general=23)) == {}


def test_rows_without_any_tool_get_no_advice_on_calls() -> None:
    general = summary(0, single=0, parallel=0, multi_step=0, recovery=0, no_call=0, general=300)
    assert list({one.name for one in advise(general, [], None)}) == ["much_general"]


def test_tools_that_are_never_called() -> None:
    uncalled = [ToolCoverage(f"t{number}", 9, 1, 0, [ArgumentCoverage("n", 0, [])]) for number in range(NAMED + 1)]
    only = "the model reads them in each prompt and learns that they are never right"
    assert advice(summary(), FULL, uncalled[0]) == {
        "uncalled_tools": f"1 of 2 tools never called: t0: {only} (do: add rows that call them (data.exercise"
        " makes some), or list them no longer)"
    }
    assert (
        "6 of 7 tools never called: t0, t1, t2, t3, t4 and 1 more: "
        in advice(summary(), FULL, *uncalled)["uncalled_tools"]
    )
    assert advice(summary(), FULL, uncalled[0]._replace(rows=0)) == {}  # called in a failed turn, listed nowhere


def test_arguments_and_values_that_are_never_given() -> None:
    unused = [ArgumentCoverage("to", 155, []), ArgumentCoverage("level", 0, [ValueCoverage("low", 0)])]
    assert advice(summary(), FULL._replace(arguments=unused)) == {
        "unused_arguments": "1 of 2 arguments never given: add.level: the model learns to leave them out"
        " (do: add requests that name them, or take them out of the schema)"
    }
    level = ArgumentCoverage("level", 9, [ValueCoverage("low", 9), ValueCoverage(True, 0), ValueCoverage("a\nb", 0)])
    assert advice(summary(), FULL._replace(arguments=[level])) == {
        "unused_values": "2 of 3 enum values never given: add.level=true, add.level=a b: the model learns to choose"
        " among the others (do: add requests that want them)"
    }


def test_few_held_out_rows() -> None:
    assert advice(summary(), num_held_out=50) == {}
    assert advice(summary(), num_held_out=49) == {
        "few_held_out": "49 held-out rows: a model is judged by 50 to 100, and a gate with 95 % intervals asks for more"
        " (do: hold out more, none of them trained on)"
    }


def test_every_command_that_advice_names_exists() -> None:
    text = (ROOT / "data" / "checking" / "advice.py").read_text()
    commands = set(re.findall(r"\bdata\.[a-z_]+\b(?! import)", re.sub(r"(?m)^from .*$", "", text)))
    assert commands == {"data.convert", "data.exercise"}
    assert all((ROOT / f"{command.replace('.', '/')}.py").is_file() for command in commands)


def test_advice_is_one_line() -> None:
    everything = advise(summary(0, **dict.fromkeys(SHAPES, 1)), [FULL._replace(name="a\nb", trained_calls=0)], 0)
    assert len(everything) > 4 and all("\n" not in str(one) and isinstance(one, Advice) for one in everything)
