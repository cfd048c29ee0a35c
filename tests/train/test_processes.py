"""Two gloo processes on CPU: gradients summed over DDP and FSDP2 wrappers are those of all rows in one process."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch.distributed.fsdp import fully_shard
from torch.multiprocessing.spawn import spawn
from torch.nn.parallel import DistributedDataParallel

from tests.train.tries import Feature, adapted_network, adapter_gradients, random_features, row_by_row_loss
from train.labelled_loss import add_labelled_loss
from train.packing import PackCollator
from train.tree_attention import CPU_ATTENTION, query_blocks

SEED = 5
NUM_PROCESSES = 2


def train_half(rank: int, wrapper: str, folder: Path) -> None:
    """Rows of this rank, one pack each; the other has fewer rows, and a pack without targets in their place."""
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=NUM_PROCESSES)
    torch.set_num_threads(1)
    features = random_features(SEED)
    halves: list[list[Feature]] = [features[:-1], features[-1:]]
    model = adapted_network(SEED)
    model.get_base_model().set_attn_implementation(CPU_ATTENTION)
    add_labelled_loss(model.get_base_model())
    wrapped = DistributedDataParallel(model) if wrapper == "ddp" else sharded(model)
    packs = [PackCollator(0, 1000, on_cpu=True).pack([feature]) for feature in halves[rank]]
    for pack in [*packs, *[packs[0] | nothing(packs[0])] * (len(halves[0]) - len(packs))]:
        inputs = {key: pack[key] for key in ("input_ids", "position_ids", "predictors", "targets")}
        (wrapped(**inputs, blocks=query_blocks(pack["segments"], torch.float32)).loss * NUM_PROCESSES).backward()
    gradients = [p.grad for p in model.parameters() if p.requires_grad]
    whole = [g.full_tensor() if wrapper == "fsdp" else g for g in gradients if g is not None]
    if rank == 0:
        torch.save(torch.cat([gradient.flatten() for gradient in whole]), folder / "gradients.pt")
    dist.barrier()
    dist.destroy_process_group()


def sharded(model: Any) -> Any:
    mesh = dist.init_device_mesh("cpu", (NUM_PROCESSES,))
    for layer in model.get_base_model().model.layers:
        fully_shard(layer, mesh=mesh)
    return fully_shard(model, mesh=mesh)


def nothing(pack: dict[str, Any]) -> dict[str, torch.Tensor]:
    return {key: pack[key][:0] for key in ("predictors", "targets")}


@pytest.mark.parametrize("wrapper", ["ddp", "fsdp"])
def test_gradients_of_two_processes_sum_to_those_of_all_rows(wrapper: str, tmp_path: Path) -> None:
    spawn(train_half, args=(wrapper, tmp_path), nprocs=NUM_PROCESSES)
    model = adapted_network(SEED)
    wanted = adapter_gradients(model, row_by_row_loss(model, random_features(SEED)))
    torch.testing.assert_close(torch.load(tmp_path / "gradients.pt"), wanted, atol=1e-5, rtol=1e-4)
