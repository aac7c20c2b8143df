"""What commands do that several processes can share: ``--part``, torchrun, SLURM."""

from __future__ import annotations

import os

from onelabel.io.shares import Share, local_number, share_of


def this_share(part: str | None) -> Share:
    """Return which part this process does, and print it where there are several.

    Args:
        part: ``"I/N"``, or None to ask torchrun and SLURM.

    Raises:
        OneLabelError: no such part, or variables that contradict each other.

    Example:
        >>> this_share("2/3").range(9)
        part 2 of 3, by --part
        range(3, 6)
    """
    share = share_of(part, os.environ)
    if share.of > 1:
        print(f"{share}, by {share.said_by}", flush=True)
    return share


def this_device(device: str, share: Share) -> str:
    """Return the device of this process: of several that all say ``cuda``, each takes one of the machine's.

    Example:
        >>> this_device("cpu", Share(1, 2))
        'cpu'
    """
    if device != "cuda" or share.of == 1:
        return device
    import torch

    return f"cuda:{local_number(os.environ) % max(1, torch.cuda.device_count())}"
