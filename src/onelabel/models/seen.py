"""Which images a model has seen, so that nobody measures it on them unawares."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onelabel.io.arrays import load_npz
from onelabel.io.atomic import atomic_write
from onelabel.io.errors import OneLabelError
from onelabel.io.ids import IdTable

SEEN = "images.npz"
Hashes = NDArray[np.uint64]


def _none() -> Hashes:
    return np.zeros(0, np.uint64)


@dataclass(frozen=True, eq=False)
class Seen:
    """Hashes of image ids, sorted: eight bytes an image.

    Ids are paths in the image folder, so a renamed photo is not recognised, and one of the same name in
    another folder is.

    Args:
        train: of the images it was trained on.
        val: of the images that chose the epoch.
        fitted: of the images that thresholds or calibration were fitted to.

    Example:
        >>> ids = IdTable.from_strings(["a.jpg", "b.jpg"])
        >>> Seen(train=hash_ids(ids)).counts(IdTable.from_strings(["b.jpg", "c.jpg"]))
        {'train': 1, 'val': 0, 'fitted': 0}
    """

    train: Hashes = field(default_factory=_none)
    val: Hashes = field(default_factory=_none)
    fitted: Hashes = field(default_factory=_none)

    def counts(self, ids: IdTable) -> dict[str, int]:
        """Return how many of some images are among each."""
        given = hash_ids(ids)
        return {part.name: int(np.isin(given, getattr(self, part.name)).sum()) for part in fields(self)}

    def fitted_to(self, ids: IdTable) -> Seen:
        """Return the same with other images that thresholds or calibration were fitted to."""
        return replace(self, fitted=hash_ids(ids))


def hash_ids(ids: IdTable) -> Hashes:
    """Return the first eight bytes of BLAKE2b of each id, sorted: (N,) uint64."""
    data, offsets = ids.buffer.tobytes(), ids.offsets
    hashes = (
        int.from_bytes(hashlib.blake2b(data[a:b], digest_size=8).digest(), "little")
        for a, b in itertools.pairwise(offsets)
    )
    return np.sort(np.fromiter(hashes, np.uint64, len(ids)))


def write_seen(folder: Path, seen: Seen) -> None:
    """Write the images into a bundle folder, in one step."""
    with atomic_write(folder / SEEN, "wb") as stream:
        np.savez(stream, **{part.name: getattr(seen, part.name) for part in fields(seen)})


def read_seen(folder: Path) -> Seen | None:
    """Read the images of a bundle folder; None where nobody wrote them down.

    Raises:
        OneLabelError: the file is damaged.
    """
    file = folder / SEEN
    if not file.is_file():
        return None
    names = [part.name for part in fields(Seen)]
    try:
        found = load_npz(file, names)
    except OneLabelError:
        found = {}
    if len(found) < len(names) or any(part.dtype != np.uint64 or part.ndim != 1 for part in found.values()):
        raise OneLabelError(
            f"{file} is damaged: it should list the images that the model has seen; delete it"
        )
    return Seen(**found)
