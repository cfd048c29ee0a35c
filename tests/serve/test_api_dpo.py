"""Preference jobs: what they are trained from, and a real one with a tiny model through `recipes.run`."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI
from sqlalchemy import select

from data.settings import load_settings
from recipes.recipe import Recipe
from serve.jobs.local_runner import RECIPE_RUN
from serve.jobs.start_folder import start_folder
from serve.storage.database import Database
from serve.storage.tables import Model
from tests.serve.api_server import BASE, ApiServer, api_server, ended, rows_file, running_worker, write_settings
from tests.serve.test_api_golden_rules import RULES, preference
from train.manifest import read_manifest

DPO: Any = {"type": "dpo", "dpo": {"hyperparameters": {"n_epochs": 2, "batch_size": 5, "beta": 0.3}}}


def upload(client: OpenAI, before: bytes = b"") -> str:
    rows = before + "".join(json.dumps(preference(number)) + "\n" for number in range(10)).encode()
    return client.files.create(file=("pairs.jsonl", rows), purpose="fine-tune").id


def test_a_dpo_job_becomes_a_preference_recipe(api: ApiServer, client: OpenAI) -> None:
    file_id = upload(client, b"\n")  # a blank line, so that line numbers have to be kept
    auto = client.fine_tuning.jobs.create(training_file=file_id, model=BASE, method={"type": "dpo"})
    given = client.fine_tuning.jobs.create(training_file=file_id, validation_file=file_id, model=BASE, method=DPO)
    with running_worker(api.settings, fail="error: stop here", status=1):
        auto, given = ended(client, auto.id), ended(client, given.id)
    numbers = {"beta": 0.1, "n_epochs": 10, "batch_size": 1, "learning_rate_multiplier": 1.0}
    assert auto.hyperparameters is None and auto.method and auto.method.dpo and auto.method.dpo.hyperparameters
    assert auto.method.dpo.hyperparameters.model_dump() == numbers
    inputs = api.settings.runs / given.id / "inputs"
    recipe = load_settings(inputs / "recipe.yaml", [], Recipe)
    assert recipe.dpo and (recipe.dpo["beta"], recipe.dpo["num_train_epochs"]) == (0.3, 2)
    assert recipe.dpo["per_device_train_batch_size"] * recipe.dpo["gradient_accumulation_steps"] == 5
    assert recipe.dpo["learning_rate"] == 5e-6 and recipe.sft == {"max_length": 1024}
    assert recipe.preferences.samples == 0 and recipe.preferences.files == [inputs / "training.jsonl"]
    blank, first, *_ = (inputs / "training-chosen.jsonl").read_text().split("\n")
    assert blank == "" and json.loads(first)["messages"][-1]["content"] == "It is 0 C."


@pytest.mark.slow
def test_a_tiny_model_learns_from_preferences_through_the_api(tmp_path: Path, smollm2: Path) -> None:
    settings_file = write_settings(tmp_path, smollm2)
    with api_server(settings_file, "--no-worker") as server:
        client = server.client()
        job_id = client.fine_tuning.jobs.create(training_file=upload(client), model=BASE, method=DPO, seed=1).id
        with running_worker(server.settings, program=RECIPE_RUN):
            job = ended(client, job_id, 400)
        assert job.status == "succeeded", job.error
        events = [event for event in client.fine_tuning.jobs.list_events(job_id) if event.type == "metrics"]
        steps: list[Any] = [event.data for event in events[::-1]]
        assert [step["step"] for step in steps] == [1, 2, 3, 4]
        assert all({"train_loss", "train_reward_accuracy", "train_reward_margin"} <= set(step) for step in steps)
        # Nothing is preferred yet, and to a random model each of 49,152 tokens is as likely as the next.
        assert steps[0]["train_reward_margin"] == pytest.approx(0, abs=0.01)
        assert steps[0]["train_loss"] == pytest.approx(math.log(2) + math.log(49_152), abs=0.2)
        kept = list(client.fine_tuning.jobs.checkpoints.list(job_id))
        assert [item.step_number for item in kept] == [4, 2]
        assert job.fine_tuned_model == kept[0].fine_tuned_model_checkpoint
        adapter = server.settings.runs / job_id / "adapter" / "adapter_model.safetensors"
        assert adapter.stat().st_size > 0 and job.trained_tokens
        with Database(server.settings.database_url).read() as session:
            checkpoint = session.scalar(select(Model).where(Model.id == kept[1].fine_tuned_model_checkpoint))
        assert checkpoint
        start = start_folder(server.settings, checkpoint)  # where a job goes on from the checkpoint
        assert start.name == "step-2-merged" and start_folder(server.settings, checkpoint) == start
        hashes = {read_manifest(folder).adapter_sha256 for folder in (start, adapter.parents[1] / "merged")}
        assert len(hashes) == 2


@pytest.mark.slow
def test_a_row_that_only_the_tokenizer_shows_to_be_bad_fails_the_job(tmp_path: Path, smollm2: Path) -> None:
    with api_server(write_settings(tmp_path, smollm2), "--no-worker") as server:
        client = server.client()
        rows = b"\n" + (RULES / "S25.jsonl").read_bytes() + rows_file(10)[1]
        file = client.files.create(file=("rows.jsonl", rows), purpose="fine-tune")
        job_id = client.fine_tuning.jobs.create(training_file=file.id, model=BASE).id
        with running_worker(server.settings, program=RECIPE_RUN):
            job = ended(client, job_id, 200)
    assert job.error and (job.error.code, job.error.param) == ("invalid_training_file", "training_file")
    assert job.error.message.startswith(
        "The job failed due to an invalid training file. Invalid file format. "
        "Line 2: message 1 holds <repo_name>, a special token of the tokenizer"
    )
