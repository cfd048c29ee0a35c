"""fp32 sums as bf16: to the nearest value, or up or down by chance.

A base in bf16 lies on bf16's steps, so a change of less than half a step is rounded away, whichever way it went: of a
training at a small learning rate, a preference stage above all, much is lost. Rounded up with the chance that the rest
of the step gives, the change is kept on the mean (Gupta et al. 2015, "Deep Learning with Limited Numerical Precision",
section 3), at up to 1.4 times the noise of rounding to the nearest.
"""

import torch

_BELOW_BF16 = 16
"""Bits that fp32 has and bf16 has not."""


def round_by_chance(values: torch.Tensor, seed: int) -> torch.Tensor:
    """fp32, all of whose values are bf16's: those of `values`, each rounded up or down. The same seed, the same."""
    bits, generator = values.view(torch.int32), torch.Generator().manual_seed(seed)
    # Sign and magnitude: what is added carries into bf16's bits as often as the bits below them are many.
    chance = torch.randint(0, 1 << _BELOW_BF16, bits.shape, generator=generator, dtype=torch.int32)
    return chance.add_(bits).bitwise_and_(-1 << _BELOW_BF16).view(torch.float32)
