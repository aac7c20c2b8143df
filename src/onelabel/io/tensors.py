"""What a network's weights are, whatever file they came from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor


def digest_weights(state: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of names, types, shapes and values, whatever file they came from.

    Example:
        >>> digest_weights({"a": torch.zeros(2)}) == digest_weights({"a": torch.zeros(1, 2)})
        False
    """
    digest = hashlib.sha256()
    for name in sorted(state):
        value = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
