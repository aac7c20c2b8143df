"""The processes that train one network together: what each of them reads, and what they tell each other."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import Literal

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous
from torch.utils.data import Sampler

from onelabel.io.errors import OneLabelError
from onelabel.training.place import Place

Strategy = Literal["ddp", "fsdp"]
"""Whether each process holds all weights of the network, or a part of them."""
PATIENCE = timedelta(minutes=10)
"""How long a process waits for another one that is silent; one that has ended is noticed at once."""
LOST = 3
"""Exit code of a process whose partners are gone."""
_LINGER = 5.0
"""Seconds that the first process waits for the others to end as well; only a mistake is that slow."""

_CPU = torch.device("cpu")


@dataclass(frozen=True)
class Team:
    """Some processes with the same work, of which each does its share; one process alone is a team too.

    A global batch of B rows is cut into ``size`` slices of ceil(B / size) rows. Where that is more than B,
    rows of the batch are read once more, and what comes of them is dropped.

    Args:
        rank: number of this process, from 0.
        size: number of processes.
        device: where they meet: that of the network.
        store: what they say to each other in words; None for a process alone.

    Example:
        >>> Team().leads, Team().share([7, 8, 9]), Team(rank=1, size=2).share([7, 8, 9])
        (True, [7, 8, 9], [9, 7])
    """

    rank: int = 0
    size: int = 1
    device: torch.device = _CPU
    store: Store | None = None

    @property
    def leads(self) -> bool:
        """Whether this process writes files and speaks to the user."""
        return self.rank == 0

    def share(self, rows: Sequence[int]) -> list[int]:
        """Return the rows of a global batch that this process reads."""
        count = -(-len(rows) // self.size)
        return [rows[place % len(rows)] for place in range(self.rank * count, (self.rank + 1) * count)]

    def gather(self, own: Tensor, rows: int) -> Tensor:
        """Return the values of a global batch from those of its slices; gradients flow to the own ones.

        Args:
            own: (b, C), the values of :meth:`share`.
            rows: B, number of rows of the global batch.

        Returns:
            (B, C) in the order of the batch, on the device of ``own``.
        """
        if self.size == 1:
            return own
        sent = own.detach().to(self.device).contiguous()
        parts = [torch.empty_like(sent) for _ in range(self.size)]
        dist.all_gather(parts, sent)
        found = [part.to(own.device) for part in parts]
        found[self.rank] = own
        return torch.cat(found)[:rows]

    def follow(self, tensors: Iterable[Tensor]) -> None:
        """Give tensors the values that they have in the process that leads."""
        if self.size == 1:
            return
        for tensor in tensors:
            met = tensor.detach().to(self.device)
            dist.broadcast(met, src=0)
            tensor.detach().copy_(met)

    def decides(self, value: bool) -> bool:
        """Return what the process that leads has said."""
        said = torch.tensor([int(value)])
        self.follow([said])
        return bool(said)

    def agree(self, what: str, value: object) -> None:
        """Check that a value is the same in all processes; waits for them.

        Args:
            what: its name in the message, in the plural.
            value: anything that prints as what it is.

        Raises:
            OneLabelError: it is not; in every process.
        """
        if self.size == 1:
            return
        digest = torch.frombuffer(bytearray(hashlib.sha256(repr(value).encode()).digest()), dtype=torch.uint8)
        everyone = self.gather(digest[None], self.size)
        if not bool((everyone == digest).all()):
            raise OneLabelError(
                f"{what} differ between the {self.size} processes: all machines need the same packages and "
                "files, and a run folder that they share"
            )

    def claim(self) -> bool:
        """Say whether this process is the first that has something to tell the user."""
        if self.store is None:
            return True
        try:
            first = self.store.compare_set("said", "", str(self.rank)) == str(self.rank).encode()
        except RuntimeError:  # the process that kept the store is gone, and cannot have spoken for us
            return True
        with suppress(RuntimeError):  # it has just ended
            self.store.add("asked", 1)  # after the question: the store is kept until all have asked
        return bool(first)

    def linger(self) -> None:
        """Keep the store for a moment, so that the others can ask whether something has been said."""
        if self.store is None or not self.leads:
            return
        end = time.monotonic() + _LINGER
        while time.monotonic() < end and self.store.add("asked", 0) < self.size:
            time.sleep(0.02)


ALONE = Team()


class Slices(Sampler[list[int]]):
    """The rows that one process of a team reads, global batch by global batch; the last batch is kept.

    Args:
        sampler: all rows in their order. Lightning tells it the epoch.
        rows: their number.
        batch_size: rows of a global batch.
        team: the processes.

    Example:
        >>> list(Slices(range(5), 5, 4, Team(rank=1, size=2)))
        [[2, 3], [4]]
    """

    def __init__(self, sampler: Iterable[int], rows: int, batch_size: int, team: Team) -> None:
        self.sampler, self.rows, self.batch_size, self.team = sampler, rows, batch_size, team

    def __len__(self) -> int:
        return -(-self.rows // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        left = iter(self.sampler)
        while batch := list(islice(left, self.batch_size)):
            yield self.team.share(batch)


def join(place: Place, patience: timedelta = PATIENCE) -> Team:
    """Meet the other processes.

    Args:
        place: of this process.
        patience: how long a process waits for a silent one, here and later.

    Raises:
        OneLabelError: no GPU is left for this process, or the others were not met.
    """
    if "MASTER_ADDR" not in os.environ or "MASTER_PORT" not in os.environ:
        raise OneLabelError(
            f"{place.size} processes were started and do not know where to meet: set MASTER_ADDR to the name "
            "of the first machine and MASTER_PORT to a free port, or use torchrun"
        )
    device = _device(place)
    try:
        store, _, _ = next(iter(rendezvous("env://", place.rank, place.size, timeout=patience)))
        dist.init_process_group(
            "nccl" if device.type == "cuda" else "gloo", store=store, rank=place.rank, world_size=place.size,
            timeout=patience, device_id=device if device.type == "cuda" else None,
        )  # fmt: skip
    except RuntimeError as error:
        where = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        raise OneLabelError(
            f"process {place.rank} of {place.size} did not meet the others at {where}: {error}"
        ) from error
    if place.launcher is not None:
        threading.Thread(target=_end_with, args=(place.launcher,), daemon=True).start()
        if "OMP_NUM_THREADS" not in os.environ:
            torch.set_num_threads(max(1, torch.get_num_threads() // place.size))
    return Team(place.rank, place.size, device, PrefixStore("onelabel", store))


def leave(team: Team) -> None:
    """Part from the other processes; they need not be there any more."""
    if team.size > 1:
        dist.destroy_process_group()


def partner_lost(error: BaseException) -> bool:
    """Say whether an error means that another process has ended or does not answer.

    Example:
        >>> partner_lost(RuntimeError("[gloo/transport/tcp/pair.cc:547] Connection closed by peer"))
        True
    """
    words = ("gloo", "NCCL", "TCPStore")
    known = isinstance(error, RuntimeError) and any(word in str(error) for word in words)
    return known or isinstance(error, dist.DistError)


def _device(place: Place) -> torch.device:
    """Return the GPU of a process, or the CPU on a machine without GPUs."""
    count = torch.cuda.device_count()
    if not count:
        return torch.device("cpu")
    index = 0 if place.isolated and count == 1 else place.local_rank
    if index >= count:
        raise OneLabelError(
            f"process {place.local_rank + 1} of this machine needs a GPU of its own and there "
            f"{'is' if count == 1 else 'are'} {count}: start at most {count} on it"
        )
    device = torch.device("cuda", index)
    torch.cuda.set_device(device)
    return device


def _end_with(launcher: int) -> None:
    """End this process when its launcher is gone, even by SIGKILL: nobody would watch over it."""
    while os.getppid() == launcher:
        time.sleep(0.2)
    os._exit(LOST)
