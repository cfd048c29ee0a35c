"""Silent faults of chat templates: what they leave out, write twice, or mark as the assistant's."""

from copy import deepcopy
from datetime import datetime

from data.template import Template
from data.tokenizer_folder import TokenizerFolder
from train.fault_line import CALL, Line, refusal, rendered, stock, trained, weather_row, with_objects
from train.trl_preparation import prepared_by_trl, trl_dataset


def tools_dropped(llama3: TokenizerFolder) -> Line:
    row, end = weather_row(), llama3.template.end_token
    [trls] = prepared_by_trl(trl_dataset([row]), llama3.tokenizer, stock("llama3"), assistant_only_loss=True).rows
    lost = [word for word in ("get_weather", "city") if word not in trls.text]
    ours = trained(row, llama3)
    refused = refusal(row, llama3, Template("TRL llama3", stock("llama3_training"), [], end))
    return Line(
        "tools and calls dropped by the template (Llama 3)",
        f"{trls.trained!r}, of a text without {' and '.join(lost) or 'nothing'}",
        bool(lost),
        f"{ours!r}; with TRL's template: {refused}",
        ours == f"{CALL}{end}It is 22 C.{end}" and "loses tool 'get_weather'" in refused,
    )


def end_token_alone(llama3: TokenizerFolder) -> Line:
    row, end = weather_row(), llama3.template.end_token
    row["messages"] = row["messages"][:2]
    [trls] = prepared_by_trl(trl_dataset([row]), llama3.tokenizer, stock("llama3"), assistant_only_loss=True).rows
    ours = trained(row, llama3)
    return Line(
        "end of turn trained and nothing else (Llama 3)",
        repr(trls.trained), trls.trained == end, repr(ours), ours == CALL + end,
    )  # fmt: skip


def end_token_untrained(chatml: TokenizerFolder) -> Line:
    row, end = weather_row(), chatml.template.end_token
    marked = f"~ '{end}' -}}}}{{%- endgeneration -%}}"
    unmarked = f"-}}}}{{%- endgeneration -%}}{{{{- '{end}' -}}}}"
    loose = chatml.template._replace(name="loose", source=chatml.template.source.replace(marked, unmarked))
    outcome = prepared_by_trl(
        trl_dataset([with_objects(row)]), chatml.tokenizer, loose.source, assistant_only_loss=True
    )
    [trls] = outcome.rows
    refused = refusal(row, chatml, loose)
    return Line(
        "end of turn not trained (markers around the text alone)",
        f"{trls.trained!r}; {'a warning' if outcome.warnings else 'no warning'}",
        end not in trls.trained,
        f"refused: {refused}; with our template {trained(row, chatml)!r}",
        f"with another end than {end}" in refused and trained(row, chatml) == f"{CALL}{end}It is 22 C.{end}",
    )


def header_trained(chatml: TokenizerFolder) -> Line:
    row, end = weather_row(), chatml.template.end_token
    [trls] = prepared_by_trl(
        trl_dataset([with_objects(row)]), chatml.tokenizer, stock("qwen2_5"), assistant_only_loss=True
    ).rows
    ours = trained(row, chatml)
    return Line(
        "headers trained (Qwen 2.5: the line ends of the header and after the end token)",
        repr(trls.trained), trls.trained.startswith("\n") or trls.trained.endswith("\n"),
        repr(ours), ours == f"{CALL}{end}It is 22 C.{end}",
    )  # fmt: skip


def arguments_encoded_twice(llama3: TokenizerFolder) -> Line:
    row, once = weather_row(), '{"city": "Paris"}'
    [trls] = prepared_by_trl(trl_dataset([row]), llama3.tokenizer, stock("llama3_1")).rows
    found = trls.text.partition('"parameters": "')[2].partition("<|eot_id|>")[0]
    ours = trained(row, llama3)
    return Line(
        "arguments double-encoded (Llama 3.1, arguments as the API gives them)",
        f'"parameters": "{found}' if found else "an object", bool(found),
        f'"arguments": {once}' if f'"arguments": {once}' in ours else ours, f'"arguments": {once}' in ours,
    )  # fmt: skip


def text_dropped(llama3: TokenizerFolder) -> Line:
    row = weather_row("I will look it up.")
    [trls] = prepared_by_trl(trl_dataset([with_objects(row)]), llama3.tokenizer, stock("llama3_1")).rows
    is_lost = "look it up" not in trls.text
    ours = trained(row, llama3)
    return Line(
        "text beside a call dropped (Llama 3.1)",
        f"the call without {row['messages'][1]['content']!r}" if is_lost else "text and call",
        is_lost, repr(ours), ours.startswith(f"I will look it up.\n{CALL}"),
    )  # fmt: skip


def tools_as_they_come(chatml: TokenizerFolder) -> Line:
    """The same tool as two client libraries send it: key order, nulls, `strict`."""
    plain, other = weather_row(), weather_row()
    function = deepcopy(other["tools"][0]["function"])
    function["parameters"] = dict(reversed(function["parameters"].items()))
    other["tools"] = [{"function": {"strict": None, **dict(reversed(function.items()))}, "type": "function"}]
    trls = [
        prepared_by_trl(
            trl_dataset([with_objects(row)]), chatml.tokenizer, stock("qwen2_5"), assistant_only_loss=True
        ).rows[0]
        for row in (plain, other)
    ]
    ours = {rendered(row, chatml).text for row in (plain, other)}
    return Line(
        "JSON written otherwise in training than by the server (tools in the client's key order and nulls)",
        f"{len({row.text for row in trls})} texts of one tool in two clients' dialects", trls[0].text != trls[1].text,
        f"{len(ours)} text: tools in one canonical form", len(ours) == 1,
    )  # fmt: skip


def live_date(llama3: TokenizerFolder) -> Line:
    row, today = weather_row(), datetime.now().strftime("%d %b %Y")
    [trls] = prepared_by_trl(trl_dataset([with_objects(row)]), llama3.tokenizer, stock("llama3_2")).rows
    ours = rendered(row, llama3).text
    return Line(
        "live date in the prompt (Llama 3.2)",
        f"'Today Date: {today}'" if today in trls.text else "no date of today", today in trls.text,
        "no date" if today not in ours else today, today not in ours,
    )  # fmt: skip
