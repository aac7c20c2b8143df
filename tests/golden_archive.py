"""Reference archives, read so that a key that no test looks at is noticed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

Array = npt.NDArray[Any]
EXACT, SINGLE = 1e-9, 2e-5  # largest difference over largest reference, in float64 and in float32


class Archive:
    """One file of the folder of reference vectors; ``unread`` holds the keys that nobody asked for."""

    def __init__(self, path: Path) -> None:
        with np.load(path, allow_pickle=False) as stored:
            self._arrays: dict[str, Array] = dict(stored)
        self.unread = set(self._arrays)

    def __getitem__(self, key: str) -> Array:
        self.unread.discard(key)
        return self._arrays[key]

    def __contains__(self, key: str) -> bool:
        return key in self._arrays

    def keys(self, ending: str) -> list[str]:
        return sorted(key for key in self._arrays if key.endswith(ending))

    def cases(self) -> list[str]:
        return [str(case) for case in self["cases"]]

    def runs(self) -> Iterator[Run]:
        self["cases"]
        for name in self["runs"]:
            case, _, variant = str(name).rpartition("/")
            yield Run(self, case, variant)


class Run:
    """One run on the inputs of one case: a name is looked up in the run, then in its case."""

    def __init__(self, archive: Archive, case: str, variant: str) -> None:
        self.archive, self.case, self.variant = archive, case, variant

    def __getitem__(self, name: str) -> Array:
        own = f"{self.case}/{self.variant}/{name}"
        return self.archive[own if own in self.archive else f"{self.case}/{name}"]

    def __contains__(self, name: str) -> bool:
        return f"{self.case}/{self.variant}/{name}" in self.archive or f"{self.case}/{name}" in self.archive

    def number(self, name: str) -> float:
        return float(self[name])

    def tensor(self, name: str) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(self[name]))


def assert_close(found: torch.Tensor, reference: Array, tolerance: float, where: str) -> None:
    """Largest difference at most ``tolerance`` times the largest reference."""
    wanted = torch.from_numpy(np.asarray(reference, dtype=np.float64))
    assert found.shape == wanted.shape, f"{where}: {tuple(found.shape)}, not {tuple(wanted.shape)}"
    assert torch.isfinite(found).all(), f"{where}: not finite"
    if not wanted.numel():
        return
    # A reference that is 0 throughout was rounded to 0: ours may hold what was lost.
    scale = max(float(wanted.abs().max()), 1e-12 / tolerance)
    worst = float((found.double() - wanted).abs().max())
    assert worst <= tolerance * scale, f"{where}: differs by {worst:.3g}, largest reference {scale:.3g}"
