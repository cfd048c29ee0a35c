"""vLLM 0.32's API server on a CPU, with two of its faults mended: python -m serve.cpu_vllm FLAGS_OF_VLLM

It looks up the adapter of each row by its number, and rows without one have -1: they get the last adapter in memory,
with no error, whenever base and tuned models share a batch (vllm-project/vllm#48421). Here they get none.

A prompt that is read in parts draws a token after each, and what the unfinished ones draw is taken back. Of a request
with a seed that sets the generator back by an offset, which only those of CUDA have: the server dies. Here an
unfinished prompt draws without its generator, so that the same seed gives the same answer however it was read.
"""

from typing import Any

# Before torch, whose environment vLLM sets up: so nothing here names torch's types.
from vllm.lora.ops import torch_ops
from vllm.lora.ops.torch_ops import lora_ops
from vllm.v1.worker.gpu_model_runner import GPUModelRunner

_shrink = lora_ops.bgmv_shrink
_sample_tokens = GPUModelRunner.sample_tokens


def shrink(inputs: Any, weights: Any, output: Any, indices: Any, scaling: Any = 1.0) -> None:
    """Rows of -1 are scaled to zero, so that the second half of the adapter adds nothing to them."""
    _shrink(inputs, weights, output, indices, scaling * (indices >= 0).unsqueeze(1))


def sample_tokens(self: Any, grammar_output: Any) -> Any:
    """The rows of unfinished prompts lay their generators aside."""
    generators, is_unfinished = self.input_batch.generators, self.discard_request_mask.np
    aside = {row: generators.pop(row) for row in list(generators) if is_unfinished[row]}
    try:
        return _sample_tokens(self, grammar_output)
    finally:
        generators.update(aside)


# When the module is imported: processes that vLLM spawns import it too, and need it as well.
lora_ops.bgmv_shrink = torch_ops.bgmv_shrink = shrink
GPUModelRunner.sample_tokens = sample_tokens


def main() -> None:
    from vllm.entrypoints.launchers.api_server.entry import main as serve

    serve()


if __name__ == "__main__":
    main()
