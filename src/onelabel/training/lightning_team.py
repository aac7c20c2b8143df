"""A team of processes, as Lightning wants to be told of it."""

from __future__ import annotations

from typing import Any

from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.pytorch.strategies import DDPStrategy, ModelParallelStrategy

from onelabel.training.team import Strategy, Team


class _EachOnItsOwn(ClusterEnvironment):
    """Processes that have met already; each counts as a machine with one device.

    Which device is whose was decided when they met, so that Lightning need not count them.
    """

    def __init__(self, team: Team) -> None:
        self.team = team

    @property
    def creates_processes_externally(self) -> bool:
        return True

    @property
    def main_address(self) -> str:
        raise NotImplementedError("the processes have met")

    @property
    def main_port(self) -> int:
        raise NotImplementedError("the processes have met")

    @staticmethod
    def detect() -> bool:
        return False

    def world_size(self) -> int:
        return self.team.size

    def set_world_size(self, size: int) -> None:
        """Nothing to set."""

    def global_rank(self) -> int:
        return self.team.rank

    def set_global_rank(self, rank: int) -> None:
        """Nothing to set."""

    def local_rank(self) -> int:
        return 0

    def node_rank(self) -> int:
        return self.team.rank


def machines(team: Team, strategy: Strategy) -> dict[str, Any]:
    """Return the arguments of a ``Trainer`` that say where it runs.

    Args:
        team: the processes.
        strategy: whether each holds all weights (ddp) or a part of them (fsdp).
    """
    if team.size == 1:
        return {"accelerator": "auto", "devices": 1}
    engine: DDPStrategy | ModelParallelStrategy
    if strategy == "fsdp":
        engine = ModelParallelStrategy(data_parallel_size=team.size, tensor_parallel_size=1)
        engine.cluster_environment = _EachOnItsOwn(team)
    else:
        engine = DDPStrategy(
            cluster_environment=_EachOnItsOwn(team),
            # Else torch groups gradients anew after the first step, also after that of a resumed run, and
            # with three processes or more sums in another order from there on.
            find_unused_parameters=True,
            broadcast_buffers=False,
        )
    device = team.device
    return {
        "accelerator": device.type,
        "devices": 1 if device.index is None else [device.index],
        "num_nodes": team.size,
        "strategy": engine,
    }
