"""The two real tokenizers, loaded once."""

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def chatml(smollm2: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(smollm2)


@pytest.fixture(scope="session")
def llama(llama3: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(llama3)
