"""What a weight is after bitsandbytes made it 4-bit: QLoRA's adapter was trained on those values."""

from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from train.settings import QuantizationSection


def as_quantized(weight: torch.Tensor, quantization: QuantizationSection) -> torch.Tensor:
    """The values that bitsandbytes' 4-bit layer computes with, in bf16."""
    from bitsandbytes.functional import dequantize_4bit, quantize_4bit

    device = "cuda" if torch.cuda.is_available() else "cpu"
    packed, state = quantize_4bit(
        weight.to(device, torch.bfloat16),
        quant_type=quantization.bnb_4bit_quant_type,
        compress_statistics=quantization.bnb_4bit_use_double_quant,
    )
    values: torch.Tensor = dequantize_4bit(packed, state).cpu()
    return values


def quantized_weights(base: Path) -> frozenset[str]:
    """The weights that transformers puts into 4-bit layers: those of every linear layer but the head."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(base))
    head = model.get_output_embeddings()
    linear = (name for name, layer in model.named_modules() if isinstance(layer, torch.nn.Linear) and layer is not head)
    return frozenset(f"{name}.weight" for name in linear)
