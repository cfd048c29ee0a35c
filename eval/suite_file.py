"""A YAML suite: rows and how they are asked and compared.

    rows: [held_out.jsonl, hard.jsonl.gz]     # relative to this file
    bfcl: [simple_python]                     # and categories of the installed bfcl-eval package
    environment: task_service
    limit: 100                                # rows of each file
    tool_choice: auto                         # or required
    temperature: 0.7
    samples: 5                                # each item five times: pass^k
    max_tokens: 256
    normalise: {create_task.title: [case, whitespace], "*.due_date": [date]}
    free_text: [create_task.notes]            # scored apart from exact
    defaults: true                            # an argument left out has its schema's default

Every key may be left out but `rows` or `bfcl`; the recipe's `eval` section or the command line then says.
"""

from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, NamedTuple, get_args

from pydantic import BeforeValidator, Field

from data.row import JsonObject
from data.settings import load_settings
from data.user_error import UserError
from eval.comparison import SCHEMA_KEY, patterns, properties
from eval.item import Item
from eval.settings import Comparison, EnvironmentName, EvalSection, Normaliser, RequestOptions

_BFCL = "bfcl:"


class _SuiteYaml(RequestOptions, Comparison):
    rows: list[Path] = []
    bfcl: Annotated[list[str], BeforeValidator(lambda given: [given] if isinstance(given, str) else given)] = []
    environment: EnvironmentName | None = None
    limit: int | None = Field(default=None, ge=0)
    samples: int | None = Field(default=None, ge=1)


class SuiteFile(NamedTuple):
    """One suite with every option decided."""

    rows: list[Path]
    bfcl: list[str]
    """Categories."""
    environment: EnvironmentName | None
    limit: int
    samples: int
    options: RequestOptions
    comparison: Comparison


def read_suite_file(path: Path, settings: EvalSection) -> SuiteFile:
    """A row file, a YAML suite or bfcl:CATEGORY. Raises UserError."""
    if str(path).startswith(_BFCL):
        return _plain([], [str(path).removeprefix(_BFCL)], settings)
    if path.suffix not in (".yaml", ".yml"):
        return _plain([path], [], settings)
    suite = load_settings(path, [], _SuiteYaml)
    if not suite.rows and not suite.bfcl:
        raise UserError("a suite without rows", where=str(path), fix="give `rows: [FILE.jsonl]` or `bfcl: [CATEGORY]`")
    return SuiteFile(
        rows=[path.parent / rows for rows in suite.rows],
        bfcl=suite.bfcl,
        environment=suite.environment or settings.environment,
        limit=settings.limit if suite.limit is None else suite.limit,
        samples=suite.samples or settings.samples,
        options=RequestOptions(**{name: getattr(suite, name) for name in RequestOptions.model_fields}),
        comparison=Comparison(**{name: getattr(suite, name) for name in Comparison.model_fields}),
    )


def _plain(rows: list[Path], bfcl: list[str], settings: EvalSection) -> SuiteFile:
    options, comparison = RequestOptions(), Comparison()
    return SuiteFile(rows, bfcl, settings.environment, settings.limit, settings.samples, options, comparison)


def files_of(paths: list[Path]) -> list[Path]:
    """Every file whose bytes shape these suites, bfcl-eval's own left out."""
    files = []
    for path in paths:
        if not str(path).startswith(_BFCL):
            files += [path, *(rows for rows in read_suite_file(path, EvalSection()).rows if rows != path)]
    return files


def check_comparison(file: SuiteFile, items: list[Item], where: str) -> None:
    """Raise UserError for a declaration that no offered argument fits: it would be ignored without a word."""
    tools = {name: tool for item in items for name, tool in item.tools.items()}
    arguments = [(name, key) for name, tool in tools.items() for key in properties(tool)]
    known = {pattern for name, key in arguments for pattern in patterns(name, key)}
    for pattern in [*file.comparison.normalise, *file.comparison.free_text]:
        if pattern not in known:
            near = get_close_matches(pattern, known, n=1)
            fix = f"did you mean {near[0]}?" if near else "write TOOL.ARGUMENT, or * for any"
            raise UserError(f"no tool offered here has the argument {pattern!r}", where=where, fix=fix)
    for name, tool in tools.items():
        _check_schema(name, tool, where)


def _check_schema(name: str, tool: JsonObject, where: str) -> None:
    for key, schema in properties(tool).items():
        declared = schema.get(SCHEMA_KEY, [])
        unknown = declared if not isinstance(declared, list) else [n for n in declared if n not in get_args(Normaliser)]
        if unknown:
            fix = f"give a list of {', '.join(get_args(Normaliser))}"
            raise UserError(f"{name}.{key}: {SCHEMA_KEY} {unknown!r} is unknown", where=where, fix=fix)
