"""The base of every recipe section."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Base of every recipe section: frozen, unknown keys are errors, the docstring under a field is its help."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
