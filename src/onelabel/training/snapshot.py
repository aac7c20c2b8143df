"""All that changes in a run, as tensors and JSON between two epochs, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from onelabel.io.errors import OneLabelError
from onelabel.models.weights import one_line
from onelabel.training.checkpoint import Saved
from onelabel.training.sharding import cut_like, whole

if TYPE_CHECKING:
    from onelabel.training.course import Course


def take(course: Course, keep: bool = True) -> Saved:
    """Return the state of a run after an epoch.

    Random numbers, the order of the images and their mirroring are functions of seed and epoch and need no
    saving. Tensors may be those that train on: write them at once.

    Args:
        course: the run, between two epochs.
        keep: False for a process that only gives its part of weights that several share: no tensors.
    """
    keeper, parts = course.keeper, {
        "network": course.network.state_dict(),
        "optimizer": optimizer_state(course.optimizer),
        "average": {} if course.average is None else course.average.state,
        "method": course.recipe.method.state(),
        "best": course.keeper.state,
    }  # fmt: skip
    if keeper.logits is not None:
        parts["best_logits"] = {"val": torch.from_numpy(keeper.logits)}
    tensors: dict[str, Tensor] = {}
    for part, state in parts.items():
        for name, tensor in state.items():
            found = whole(tensor)
            if keep:
                tensors[f"{part}.{name}"] = found
    notes = {
        "epoch": course.epoch,
        "over": course.over,
        "why": course.why,
        "history": course.history,
        "keeper": {"epoch": keeper.epoch, "score": keeper.score, "scores": keeper.scores},
        "scaler": {} if course.scaler is None else course.scaler.state_dict(),
    }
    return Saved(tensors, notes)


def restore(course: Course, saved: Saved) -> None:
    """Put a run where it was.

    Args:
        course: a run of the same recipe, fresh.
        saved: what :func:`take` returned.

    Raises:
        OneLabelError: the state is that of another run.
    """
    try:
        live = course.network.state_dict()
        course.network.load_state_dict(
            {name: cut_like(value, live[name]) for name, value in saved.views("network").items()}
        )
        load_optimizer(course.optimizer, saved.views("optimizer"))
        if course.average is not None:
            course.average.load(saved.views("average"))
    except (RuntimeError, LookupError, ValueError) as error:
        raise OneLabelError(f"the checkpoint does not fit this run: {one_line(error)}") from error
    course.recipe.method.load_state(saved.part("method"))
    if course.scaler is not None:
        course.scaler.load_state_dict(dict(saved.notes["scaler"]))
    keeper, kept = course.keeper, saved.notes["keeper"]
    keeper.epoch, keeper.score, keeper.scores = kept["epoch"], kept["score"], list(kept["scores"])
    keeper.state = saved.part("best")
    logits = saved.part("best_logits")
    keeper.logits = logits["val"].numpy() if logits else None
    course.epoch, course.why, course.history = saved.epoch, saved.notes["why"], list(saved.notes["history"])


def optimizer_state(optimizer: Optimizer | None) -> dict[str, Tensor]:
    """Return moments and number of steps, as ``number_of_the_parameter.name``."""
    states: Mapping[int, Mapping[str, Any]] = {} if optimizer is None else optimizer.state_dict()["state"]
    return {
        f"{number}.{name}": torch.as_tensor(value)
        for number, state in states.items()
        for name, value in state.items()
    }


def load_optimizer(optimizer: Optimizer | None, state: Mapping[str, Tensor]) -> None:
    """Take over what :func:`optimizer_state` returned; rates and the like stay those of the run."""
    if optimizer is None:
        return
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    states: dict[int, dict[str, Tensor]] = {}
    for key, value in state.items():
        number, _, name = key.partition(".")
        weight = weights[int(number)]
        if value.shape == weight.shape:  # a moment, not the number of steps
            value = cut_like(value, weight)
        states.setdefault(int(number), {})[name] = value.clone()
    optimizer.load_state_dict({**optimizer.state_dict(), "state": states})
