"""Opinions on images and classes in one table: what files, people and models give alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onelabel.io.errors import OneLabelError, nearest
from onelabel.io.ids import IdTable


@dataclass(frozen=True, eq=False)
class Opinions:
    """What one source says of N images and C classes.

    Args:
        ids: image ids, distinct.
        class_ids: class ids, distinct.
        decision: (N, C) int8, +1 present, 0 no decision, -1 absent; or None for scores alone.
        score: (N, C) float32 in [0, 1], NaN where the source abstains; None for 1, NaN and 0 where the
            decision is +1, 0 and -1.
    """

    ids: IdTable
    class_ids: tuple[str, ...]
    decision: NDArray[np.int8] | None
    score: NDArray[np.float32] | None


def require_known(found: tuple[str, ...], known: tuple[str, ...], origin: str) -> None:
    """Refuse a class that the labels do not have.

    Raises:
        OneLabelError: names the first one, and the class of the labels most like it.
    """
    for number, name in enumerate(found):
        if name not in known:
            raise OneLabelError(f"{origin}: classes[{number}] {not_a_class(name, known)}")


def not_a_class(name: str, known: tuple[str, ...]) -> str:
    """Return the complaint about a class that the labels do not have.

    Example:
        >>> not_a_class("dgo", ("cat", "dog"))
        "'dgo' is no class of the labels (did you mean 'dog'?): correct it, or take it out"
    """
    hint = nearest(name, known) or f" ({', '.join(known[:5])}{', ...' if len(known) > 5 else ''})"
    return f"{name!r} is no class of the labels{hint}: correct it, or take it out"
