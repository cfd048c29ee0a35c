"""The published fine-tuning scripts, unchanged but for base_url: real training of a real model, real vLLM, CPU."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from openai import NotFoundError, OpenAI

from data.task_api.scenarios import synthesize
from tests.conftest import ROOT
from tests.serve.api_server import api_server, write_settings


def script(client: OpenAI, rows: Path, ask: dict[str, Any]) -> tuple[Any, Any, Any]:
    """Prepare, upload, train, poll, call: as OpenAI's tutorials have it."""
    file = client.files.create(file=rows.open("rb"), purpose="fine-tune")
    job = client.fine_tuning.jobs.create(
        training_file=file.id, model="gpt-4o-mini-2024-07-18", hyperparameters={"n_epochs": 3}
    )
    while job.status not in ("succeeded", "failed", "cancelled"):
        time.sleep(1)
        job = client.fine_tuning.jobs.retrieve(job.id)
    assert job.status == "succeeded", job.error
    tuned = client.chat.completions.create(model=job.fine_tuned_model, **ask, store=True, metadata={"app": "router"})
    base = client.chat.completions.create(model="gpt-4o-mini-2024-07-18", **ask)
    return job, tuned, base


@pytest.mark.slow
def test_the_tutorials_script_runs_unchanged_and_its_model_calls_tools(tmp_path: Path) -> None:
    settings_file = write_settings(tmp_path)
    (tmp_path / "storage" / "bases" / "org-tiny" / "base").unlink()  # the real one is made by the first job
    text = settings_file.read_text().replace(str(tmp_path / "tiny.yaml"), str(ROOT / "recipes" / "quickstart.yaml"))
    settings_file.write_text(text)
    made = synthesize(12, 4, seed=7, level="basic")
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps(row) + "\n" for row in made.train))
    row = next(row for row in made.test if any("tool_calls" in message for message in row["messages"]))
    first = next(n for n, message in enumerate(row["messages"]) if message["role"] == "assistant")
    ask = {"messages": row["messages"][:first], "tools": row["tools"], "temperature": 0, "max_tokens": 96}
    with api_server(settings_file) as server:
        client = server.client(timeout=600)
        job, tuned, base = script(client, rows, ask)
        names = {tool["function"]["name"] for tool in row["tools"]}
        assert job.fine_tuned_model.startswith("ft:org/tiny:local::")
        assert tuned.model == job.fine_tuned_model and base.model == "org/tiny"
        assert tuned.choices[0].finish_reason == "tool_calls" and not base.choices[0].message.tool_calls
        assert {call.function.name for call in tuned.choices[0].message.tool_calls} <= names
        listed = [model.id for model in client.models.list()]
        assert {"org/tiny", job.fine_tuned_model} <= set(listed)
        assert client.models.retrieve(job.fine_tuned_model).id == job.fine_tuned_model
        (stored,) = client.chat.completions.list(metadata={"app": "router"})
        assert stored.id == tuned.id
        checkpoints = list(client.fine_tuning.jobs.checkpoints.list(job.id))
        assert len(checkpoints) == 3
        older = client.chat.completions.create(model=checkpoints[1].fine_tuned_model_checkpoint, **ask)
        assert older.model == checkpoints[1].fine_tuned_model_checkpoint
        assert client.models.delete(job.fine_tuned_model).deleted
        with pytest.raises(NotFoundError):
            client.chat.completions.create(model=job.fine_tuned_model, **ask)
