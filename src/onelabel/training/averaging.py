"""A moving average of the weights, scored and kept in place of the weights themselves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from onelabel.training.sharding import cut_like, own


class Average:
    """Exponential moving average of the weights of a network, ``m ← decay · m + (1 - decay) · w``.

    It starts as the network is, and is updated after each step. The running statistics of BatchNorm are
    averaged like weights; whole numbers are copied. Everything is kept in float32 (the type of the weights)
    on the device of the network. With a decay near 1 and few steps it stays near the weights that training
    started from: about 1 / (1 - decay) steps count.

    Source: as in timm's ``ModelEmaV2`` and the code of Ding et al., "Exploring Structured Semantic Prior for
    Multi Label Recognition with Incomplete Labels" (SCPNet), 2023, https://arxiv.org/abs/2303.13223, whose
    decay is 0.9997. The codes of the 448² protocol average nothing.

    Args:
        network: whose weights are averaged; it must be on its device already.
        decay: within [0, 1).

    Example:
        >>> layer = nn.Linear(1, 1, bias=False)
        >>> _ = nn.init.zeros_(layer.weight)
        >>> average = Average(layer, decay=0.75)
        >>> _ = nn.init.ones_(layer.weight)
        >>> average.update()
        >>> average.state["weight"].item()
        0.25
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network, self.decay = network, decay
        live = network.state_dict()
        self.state = {name: value.detach().clone() for name, value in live.items()}
        self._pairs = [(own(self.state[name]), own(value)) for name, value in live.items()]

    @torch.no_grad()
    def update(self) -> None:
        """Move towards the weights as they are now."""
        for mean, value in self._pairs:
            if mean.is_floating_point():
                mean.lerp_(value, 1.0 - self.decay)
            else:
                mean.copy_(value)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Put the average into the network for a while."""
        weights = {name: value.clone() for name, value in self.network.state_dict().items()}
        self.network.load_state_dict(self.state)
        try:
            yield
        finally:
            self.network.load_state_dict(weights)

    def load(self, state: dict[str, Tensor]) -> None:
        """Take over a saved average."""
        for name, value in state.items():
            self.state[name].copy_(cut_like(value, self.state[name]))
