"""vLLM's API server on a CPU, where tuned models answer beside their base: python -m serve.cpu_vllm FLAGS_OF_VLLM

Without a GPU, vLLM 0.32 looks up the adapter of each row by its number, and rows without one have -1: they get the last
adapter in memory, with no error, whenever base and tuned models share a batch (vllm-project/vllm#48421). Here they get
none.
"""

from typing import Any

# Before torch, whose environment vLLM sets up: so nothing here names torch's types.
from vllm.lora.ops import torch_ops
from vllm.lora.ops.torch_ops import lora_ops

_shrink = lora_ops.bgmv_shrink


def shrink(inputs: Any, weights: Any, output: Any, indices: Any, scaling: Any = 1.0) -> None:
    """Rows of -1 are scaled to zero, so that the second half of the adapter adds nothing to them."""
    _shrink(inputs, weights, output, indices, scaling * (indices >= 0).unsqueeze(1))


# When the module is imported: processes that vLLM spawns import it too, and need it as well.
lora_ops.bgmv_shrink = torch_ops.bgmv_shrink = shrink


def main() -> None:
    from vllm.entrypoints.launchers.api_server.entry import main as serve

    serve()


if __name__ == "__main__":
    main()
