"""What a job's error names when its recipe run found a fault of the user's."""

import pytest

from serve.jobs.blame import blamed

UNTUNED = (
    "model.path: the model never trained <|im_end|>: it was not tuned (fix: run train.sft and train.merge first, and "
    "give the merged folder)"
)
ROW = "training-chosen.jsonl:12: message 1 holds <repo_name>, a special token"


@pytest.mark.parametrize(
    ("cause", "code", "param", "begins"),
    [
        (ROW, "invalid_training_file", "training_file", "The job failed due to an invalid training file."),
        ("validation.jsonl:2: bad", "invalid_validation_file", "validation_file", "The job failed due to an invalid v"),
        ("training.jsonl: no row is left", "invalid_training_file", "training_file", "training.jsonl: no row is left"),
        (UNTUNED, "model_not_tuned", None, "Preferences cannot be learnt from this base model: the model nev"),
        ("lora.target_modules: no module x", "invalid_job", None, "lora.target_modules: no module x"),
    ],
)
def test_the_error_names_what_is_at_fault(cause: str, code: str, param: str | None, begins: str) -> None:
    failure = blamed(cause)
    assert (failure.code, failure.param) == (code, param)
    assert failure.message.startswith(begins) and ("(fix:" not in failure.message or code == "invalid_job")
