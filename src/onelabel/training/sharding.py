"""A network whose weights several processes share, each holding its part, by FSDP2 of torch."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, TypeGuard, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from onelabel.io.errors import OneLabelError

if TYPE_CHECKING:  # half a second to import, which training a head must not wait for
    from torch.distributed.device_mesh import DeviceMesh
    from torch.distributed.tensor import DTensor

_LEAST = 0.001  # of all weights; a smaller block is not worth a message of its own

Network = TypeVar("Network", bound=nn.Module)


def shard(network: Network, mesh: DeviceMesh) -> Network:
    """Return a network with the same weights, of which each process keeps its part on its device.

    Each block of the network (see :func:`blocks`) is put together when it computes, forward and backward, and
    taken apart after that; the rest (first layers, head) in the same way, as one more block. A weight is cut
    along its first axis. The whole network is never on the device.

    Source: Zhao et al., "PyTorch FSDP", 2023, https://arxiv.org/abs/2304.11277; computed by
    ``torch.distributed.fsdp.fully_shard``.

    Args:
        network: with weights on the CPU. It gives them away, and is empty until others are assigned to it.
        mesh: the processes, one axis.

    Raises:
        OneLabelError: a weight is a single number, or belongs to two layers.
    """
    from torch.distributed.fsdp import fully_shard

    _require_separate(network)
    twin = copy.deepcopy(network, {id(weight): weight for weight in network.parameters()})
    empty = {name: torch.empty_like(weight, device="meta") for name, weight in network.named_parameters()}
    network.load_state_dict(empty, strict=False, assign=True)
    parts: list[nn.Module] = [*blocks(twin), twin]
    for part in parts:
        fully_shard(part, mesh=mesh, reshard_after_forward=True)
    return twin


def blocks(network: nn.Module) -> list[nn.Module]:
    """Return the parts of a network that are put together one at a time, inner ones before outer ones.

    These are the members of its lists and sequences of layers, however deep, as far as they have weights
    enough that are in no inner one.

    Example:
        >>> layers = [nn.Linear(8, 8), nn.ReLU(), nn.Sequential(nn.Linear(8, 8))]
        >>> [type(block).__name__ for block in blocks(nn.Sequential(*layers))]
        ['Linear', 'Linear']
    """
    boxes = [box for box in network.modules() if isinstance(box, nn.Sequential | nn.ModuleList)]
    members = dict.fromkeys(member for box in boxes for member in box.children())
    least = _LEAST * sum(weight.numel() for weight in network.parameters())
    taken: set[nn.Parameter] = set()
    found = []
    for member in reversed(members):
        left = set(member.parameters()) - taken
        computes = not isinstance(member, nn.ModuleList | nn.ModuleDict)
        if computes and left and sum(weight.numel() for weight in left) >= least:
            taken |= left
            found.append(member)
    return found


def _require_separate(network: nn.Module) -> None:
    single = any(weight.ndim == 0 for weight in network.parameters())
    names = sum(1 for _ in network.named_parameters(remove_duplicate=False))
    if single or names > len(list(network.parameters())):
        why = "a weight that is a single number" if single else "layers that share a weight"
        raise OneLabelError(f"--strategy fsdp cannot cut this network, which has {why}: use --strategy ddp")


def is_cut(value: Tensor) -> TypeGuard[DTensor]:
    """Say whether several processes share a value."""
    return hasattr(value, "full_tensor")


def whole(value: Tensor) -> Tensor:
    """Return a value on the CPU from the parts of all processes, which must all ask; others as they are."""
    return value.full_tensor().cpu() if is_cut(value) else value


def own(value: Tensor) -> Tensor:
    """Return the part that this process holds, in the same memory; a value that is not shared as it is."""
    return value.to_local() if is_cut(value) else value


def cut_like(value: Tensor, model: Tensor) -> Tensor:
    """Return a whole value cut as another one is; nothing is sent."""
    if not is_cut(model):
        return value
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(value, model.device_mesh, model.placements, src_data_rank=None)


@torch.no_grad()
def all_finite(network: nn.Module) -> bool:
    """Say whether all weights are finite numbers; the same in all processes."""
    weights = list(network.parameters())
    fine = torch.stack([torch.isfinite(own(weight)).all() for weight in weights]).all()
    if not any(is_cut(weight) for weight in weights):
        return bool(fine)
    found = fine.to(torch.int32)
    dist.all_reduce(found, dist.ReduceOp.MIN)
    return bool(found)
