"""The body of a job's creation, checked field by field."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt, StrictStr
from pydantic_core import PydanticCustomError

from data.section import Section
from serve.jobs.hyperparameters import Dpo, Supervised
from serve.transport.errors import ApiError, invalid_value, not_supported

MAX_SEED = 2**31 - 1


def _plain(text: str) -> str:
    if any(letter == "\0" or 0xD800 <= ord(letter) < 0xE000 for letter in text):
        raise PydanticCustomError("text", "Input holds NUL or half a surrogate pair, which are no characters")
    return text


Text = Annotated[StrictStr, AfterValidator(_plain)]


class SupervisedMethod(Section):
    hyperparameters: Supervised | None = None


class DpoMethod(Section):
    hyperparameters: Dpo | None = None


class Method(Section):
    type: Literal["supervised", "dpo", "reinforcement"]
    supervised: SupervisedMethod | None = None
    dpo: DpoMethod | None = None
    reinforcement: dict[str, Any] | None = None


class LocalOptions(Section):
    """What OpenAI's API has no field for; clients send it as extra_body={"local": {...}}."""

    r: int | None = Field(default=None, ge=1, le=256)
    """Rank of the adapter."""
    lora_alpha: int | None = Field(default=None, ge=1, le=1024)
    target_modules: list[Annotated[str, Field(pattern=r"^[A-Za-z0-9_.]{1,100}$")]] | None = None
    max_length: int | None = Field(default=None, ge=16, le=1_000_000)
    """Longest row in tokens; longer ones are left out and counted."""
    learning_rate: float | None = Field(default=None, gt=0, le=1)
    """The rate itself, in place of the multiplier."""
    gate: Literal["advisory", "enforce", "off"] | None = None


class JobRequest(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    model: Text
    training_file: Text
    validation_file: Text | None = None
    method: Method | None = None
    hyperparameters: Supervised | None = None
    """The older place for those of `method.supervised`."""
    suffix: Annotated[Text, Field(min_length=1, max_length=64)] | None = None
    seed: Annotated[StrictInt, Field(ge=0, le=MAX_SEED)] | None = None
    metadata: Any = None
    integrations: list[dict[str, Any]] | None = None
    local: LocalOptions | None = None


def method_of(request: JobRequest) -> dict[str, Any]:
    """`type` and its hyperparameters, "auto" where none is given. Raises ApiError for what does not fit together."""
    method = request.method or Method(type="supervised")
    if method.type == "reinforcement":
        raise not_supported("Reinforcement fine-tuning is not supported", "method")
    for other in ("supervised", "dpo", "reinforcement"):
        if other != method.type and getattr(method, other) is not None:
            raise invalid_value(f"method.{other}", f"method.{other} does not fit method.type {method.type!r}")
    chosen: Supervised
    older = request.hyperparameters if request.hyperparameters and request.hyperparameters.model_fields_set else None
    if method.type == "dpo":
        if older:
            raise invalid_value("hyperparameters", "hyperparameters are those of supervised jobs: give method.dpo's")
        chosen = (method.dpo.hyperparameters if method.dpo else None) or Dpo()
    else:
        chosen = _supervised(method.supervised.hyperparameters if method.supervised else None, older)
    return {"type": method.type, method.type: {"hyperparameters": chosen.model_dump()}}


def _supervised(given: Supervised | None, older: Supervised | None) -> Supervised:
    if older and given and given.model_fields_set and older != given:
        raise invalid_value("hyperparameters", "hyperparameters differ from those of method.supervised: give one")
    return given if given and given.model_fields_set else older or Supervised()


def checked_integrations(integrations: list[dict[str, Any]] | None) -> list[dict[str, Any]]:
    """Echoed and not acted on; raises ApiError for what is no integration of OpenAI's."""
    for index, item in enumerate(integrations or []):
        if item.get("type") != "wandb" or not isinstance(item.get("wandb"), dict) or "project" not in item["wandb"]:
            raise invalid_value(f"integrations.{index}", 'expected {"type": "wandb", "wandb": {"project": ...}}')
    return integrations or []


def file_error(field: str, file_id: str, purpose: str | None) -> ApiError:
    if purpose is None:
        return ApiError(400, f"No such File object: {file_id}", param=field, code="file_not_found")
    message = f"File {file_id} has purpose {purpose!r}, expected 'fine-tune'"
    return ApiError(400, message, param=field, code="invalid_file_purpose")
