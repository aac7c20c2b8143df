"""How probable the loss of a run believed a missing label to be: K of the generalised robust loss."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from onelabel.io.errors import OneLabelError
from onelabel.io.yaml_file import read_yaml
from onelabel.losses.gr_parts import gr_k, gr_schedule
from onelabel.models.bundle import Bundle
from onelabel.models.bundle_read import find_bundle


@dataclass(frozen=True)
class KEstimate:
    """K(p) = sigmoid(w p + b).

    Args:
        w: slope.
        b: offset.
        source: where w and b come from, in words.

    Example:
        >>> KEstimate(2.0, -2.0, "given").curve([0.0, 1.0]).round(4).tolist()
        [0.1192, 0.5]
    """

    w: float
    b: float
    source: str

    def curve(self, probs: ArrayLike) -> NDArray[np.float64]:
        """Return K at some probabilities."""
        values: NDArray[np.float64] = gr_k(
            torch.as_tensor(probs, dtype=torch.float64), self.w, self.b
        ).numpy()
        return values


def k_given(text: str) -> KEstimate:
    """Read ``W,B``.

    Raises:
        OneLabelError: not two numbers.

    Example:
        >>> k_given("10,-8").w
        10.0
    """
    try:
        w, b = (float(part) for part in text.split(","))
    except ValueError:
        raise OneLabelError(f"--k {text!r} must be W,B, two numbers, such as --k 10,-8") from None
    return KEstimate(w, b, "given")


def k_of_run(run: str | Path, bundle: Bundle) -> KEstimate | None:
    """Return K with the parameters of the epoch that a run kept, or None if its loss has no K.

    Args:
        run: run folder, or its bundle folder.
        bundle: the model in it.
    """
    beta, epochs, epoch = bundle.method.get("beta"), _epochs(run), bundle.facts.get("epoch")
    if not isinstance(beta, list | tuple) or len(beta) != 4 or epochs is None or not isinstance(epoch, int):
        return None
    first_w, last_w, first_b, last_b = (float(value) for value in beta)
    state = gr_schedule(
        epoch, epochs, beta=(first_w, last_w, first_b, last_b), alpha=(0.5, 2.0, 0.8, 0.5),
        linear_epochs=int(bundle.method.get("linear_epochs", 0)),
    )  # fmt: skip
    return KEstimate(state.w, state.b, f"epoch {epoch} of {epochs} of {bundle.method.get('name')}")


def _epochs(run: str | Path) -> int | None:
    """Read for how many epochs the run was to go, which its schedule depends on."""
    file = find_bundle(run).parent / "config.yaml"
    try:
        return int(read_yaml(file, "settings")["epochs"])
    except (OneLabelError, ValueError, TypeError, KeyError):
        return None


def chance_missing(probs: ArrayLike, observed_share: float) -> NDArray[np.float64]:
    """Return P(present | unknown) = (1 - a) p / (1 - a p) if each positive is observed with probability a.

    The curve that the paper compares K with, with a the share of positives that are observed.

    Source: Chen et al. (2024), https://arxiv.org/abs/2405.03501; `KFunction1` in the code.

    Example:
        >>> chance_missing([0.5, 1.0], 0.5).round(4).tolist()
        [0.3333, 1.0]
    """
    p, a = np.asarray(probs, np.float64), observed_share
    with np.errstate(invalid="ignore"):
        return (1 - a) * p / (1 - a * p)
