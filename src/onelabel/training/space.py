"""How much room a run takes on disk, asked before the work starts."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from torch import Tensor, nn

from onelabel.io.errors import OneLabelError
from onelabel.training.checkpoint import NAME
from onelabel.training.recipe import Recipe

_SMALL_FILES = 1 << 20


def bytes_needed(recipe: Recipe, trained: nn.Module, whole: nn.Module | None = None) -> int:
    """Return how many bytes checkpoints, model and predictions of a run take, about.

    A checkpoint holds the weights as they are, the best ones, their average if asked for, two moments
    (of Adam), the state of the method and the scores of the validation images. The next one is written
    beside it.

    Args:
        recipe: what is trained.
        trained: all weights that change.
        whole: all weights of the model that is written; by default ``trained``.
    """
    weights = _bytes(trained.state_dict().values())
    copies = 3 if recipe.settings.ema else 2
    state = _bytes(recipe.method.state().values())
    val = recipe.parts.val
    scores = 0 if val is None else 4 * len(val) * val.num_classes
    checkpoint = copies * weights + 2 * _bytes(trained.parameters()) + state + scores
    model = weights if whole is None else _bytes(whole.state_dict().values())
    return 2 * checkpoint + state + model + scores + _SMALL_FILES


def require_room(run: str | Path, needed: int) -> None:
    """Check that the disk has room for a run.

    Args:
        run: its folder, which need not be there.
        needed: bytes; what a checkpoint in ``run`` holds already counts as room.

    Raises:
        OneLabelError: says how much is missing.

    Example:
        >>> require_room("run", 10**18)
        Traceback (most recent call last):
        onelabel.io.errors.OneLabelError: the run needs about ... make room, or give another --out
    """
    folder = Path(run).absolute()
    there = folder / NAME
    own = there.stat().st_size if there.is_file() else 0
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free + own
    if free < needed:
        raise OneLabelError(
            f"the run needs about {_size(needed)} for checkpoints and model, and the disk of {run} has "
            f"{_size(free)} left: make room, or give another --out"
        )


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _size(count: int) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.1f} MB"
