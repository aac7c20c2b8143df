"""A small network whose weights two processes share, and what each of them has of it."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn
from torch.distributed.device_mesh import init_device_mesh

from onelabel.training.place import find_place
from onelabel.training.sharding import all_finite, cut_like, is_cut, own, shard, whole
from onelabel.training.team import join, leave


def small() -> nn.Sequential:
    """Return a network with weights that cannot be halved."""
    torch.manual_seed(0)
    inner = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.ReLU())
    return nn.Sequential(inner, nn.Linear(5, 3), nn.Linear(3, 1))


def write_shares(out: Path) -> None:
    """Share the network out, and write what each process holds and says."""
    place = find_place()
    assert place is not None
    team, given = join(place), small().eval()
    wanted = {name: value.clone() for name, value in given.state_dict().items()}
    network = shard(given, init_device_mesh("cpu", (team.size,)))
    assert all(weight.is_meta for weight in given.parameters()) and given.training == network.training
    state = network.state_dict()
    found = {f"whole.{name}": whole(value) for name, value in state.items()}
    found |= {f"own.{name}": own(value).clone() for name, value in state.items()}
    found |= {f"cut.{name}": own(cut_like(wanted[name], value)).clone() for name, value in state.items()}
    assert all(is_cut(weight) for weight in network.parameters())
    said = [all_finite(network)]
    with torch.no_grad():
        network(torch.ones(2, 6))  # leaves nothing put together
        if team.rank == 1:
            own(network.state_dict()["0.0.weight"])[0, 0] = torch.inf
    found["finite"] = torch.tensor([*said, all_finite(network)])
    given.load_state_dict({name: found[f"whole.{name}"] for name in wanted}, assign=True)
    found["result"] = given(torch.ones(2, 6)).detach()
    save_file(found, out / f"{team.rank}.safetensors")
    leave(team)
