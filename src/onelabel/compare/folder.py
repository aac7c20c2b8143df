"""The folder of a comparison: one file for each finished trial, so that an interrupted one goes on."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelabel.compare.contenders import Contender
from onelabel.compare.plan import Plan
from onelabel.compare.problem import Data
from onelabel.io.arrays import load_npy
from onelabel.io.atomic import atomic_write, check_output
from onelabel.io.errors import OneLabelError
from onelabel.io.manifest import digest_file, read_manifest, write_manifest
from onelabel.labels.table import LabelTable
from onelabel.sources.registry import inputs_of

MANIFEST, KIND, VERSION = "comparison.json", "onelabel-comparison", 1
TRIAL_KIND = "onelabel-trial"
RUNS, SCORES, TUNE = "runs", "checked-scores", "tune"
GROWS = ("methods", "sources")
"""Settings to which more may be added when a comparison goes on; of seeds there may be more, too."""

_INSIDE = ("set.json", "manifest.json", "bundle.json", "bundle/bundle.json", "bundle/model.safetensors")


class Folder:
    """Where the results of one comparison lie.

    Args:
        path: the folder.

    Example:
        >>> import tempfile
        >>> folder = Folder(Path(tempfile.mkdtemp()))
        >>> folder.keep(Contender("an", "an"), 0, 1, {"score": 0.5})
        >>> folder.trial(Contender("an", "an"), 0, 1)["score"], folder.trial(Contender("an", "an"), 0, 2)
        (0.5, None)
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def _name(self, contender: Contender, seed: int, number: int) -> str:
        return f"{contender.slug}-seed{seed}-{number}"

    def trial(self, contender: Contender, seed: int, number: int) -> dict[str, Any] | None:
        """Return a finished trial, or None.

        Raises:
            OneLabelError: its file cannot be read.
        """
        file = self.path / RUNS / f"{self._name(contender, seed, number)}.json"
        if not file.is_file():
            return None
        found = read_manifest(file, TRIAL_KIND, VERSION)
        return {key: value for key, value in found.items() if key not in ("kind", "format_version")}

    def trials(self, contender: Contender, seed: int, number: int) -> list[dict[str, Any]] | None:
        """Return all ``number`` trials of a seed, or None where one is not finished."""
        found = [self.trial(contender, seed, place) for place in range(number)]
        done = [trial for trial in found if trial is not None]
        return done if len(done) == number else None

    def keep(
        self,
        contender: Contender,
        seed: int,
        number: int,
        trial: Mapping[str, Any],
        checked: NDArray[np.float32] | None = None,
    ) -> None:
        """Write a finished trial, and its scores of the checked images before it."""
        name = self._name(contender, seed, number)
        if checked is not None:
            with atomic_write(self.path / SCORES / f"{name}.npy", "wb") as stream:
                np.save(stream, checked)
        write_manifest(self.path / RUNS / f"{name}.json", TRIAL_KIND, VERSION, trial)

    def checked_scores(self, contender: Contender, seed: int, number: int) -> NDArray[np.float32]:
        """Return the scores (N, C) of the checked images.

        Raises:
            OneLabelError: the file is gone.
        """
        file = self.path / SCORES / f"{self._name(contender, seed, number)}.npy"
        try:
            return load_npy(file)
        except OneLabelError as error:
            raise OneLabelError(f"{error}: remove {self.path / RUNS}") from None

    def journal(self, contender: Contender, seed: int) -> Path:
        """Return the file of a search."""
        return self.path / TUNE / f"{contender.slug}-seed{seed}.log"


def open_folder(out: str, plan: Plan, data: Data, *, overwrite: bool) -> tuple[Folder, bool]:
    """Open the folder of a comparison, new or to go on with; say whether it goes on.

    Raises:
        OneLabelError: it holds something else, or a comparison with other settings or other data, which are
            named.
    """
    path = Path(out)
    wanted = {"settings": plan.to_dict(), "data": digests(plan, data)}
    if path.exists():
        found = _ours(path)
        if not overwrite:
            _require_same(path, found, wanted)
            write_manifest(path / MANIFEST, KIND, VERSION, wanted)  # with what was added
            return Folder(path), True
        shutil.rmtree(path)
    check_output(path)
    write_manifest(path / MANIFEST, KIND, VERSION, wanted)
    return Folder(path), False


def _ours(path: Path) -> dict[str, Any]:
    if not (path / MANIFEST).is_file():
        raise OneLabelError(f"{path} exists and holds no comparison; give another --out")
    return read_manifest(path / MANIFEST, KIND, VERSION)


def _require_same(path: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Refuse to go on with other settings or other data."""
    old, new = found.get("settings", {}), json.loads(json.dumps(wanted["settings"]))
    different = [
        f"--{key.replace('_', '-')} {_shown(old.get(key))}, not {_shown(value)}"
        for key, value in new.items()
        if old.get(key) != value and not _grown(key, old.get(key), value)
    ]
    before, now = found.get("data", {}), wanted["data"]
    different += [
        f"other {what}" for what in sorted({*before, *now}) if _other(before.get(what), now.get(what), what)
    ]
    if different:
        raise OneLabelError(
            f"the comparison in {path} has {'; '.join(different)}: give the same, or another --out, or "
            "--overwrite to begin again"
        )


def _grown(key: str, old: Any, new: Any) -> bool:
    if key == "seeds":
        return isinstance(old, int) and old < new
    return key in GROWS and isinstance(old, list) and set(old) <= set(new)


def _other(old: Any, new: Any, what: str) -> bool:
    """Say whether data differs; a source may be new."""
    return old != new and not (old is None and what.startswith("source "))


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value)) or "none"
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def digests(plan: Plan, data: Data) -> dict[str, str]:
    """Return what tells the labels, features and pseudo-labels of one comparison from others."""
    found = {"labels": digest_table(data.table)}
    if data.checked is not None:
        found["checked labels"] = digest_table(data.checked)
    for what, given in (("features", plan.features), ("vlm-store", plan.vlm_store)):
        if given is not None:
            found[what] = _digest_path(Path(given))
    for source in plan.sources:
        paths = inputs_of({"name": source})
        if paths:
            found[f"source {source}"] = " ".join(_digest_path(Path(path)) for path in paths)
    return found


def _digest_path(path: Path) -> str:
    if path.is_file():
        return digest_file(path)
    return " ".join(digest_file(path / name) for name in _INSIDE if (path / name).is_file())


def digest_table(table: LabelTable) -> str:
    """Return the SHA-256 of everything that a table says."""
    digest = hashlib.sha256(
        json.dumps([[info.id, info.name, *info.synonyms] for info in table.classes]).encode()
    )
    digest.update(json.dumps(table.split_names).encode())
    arrays = (
        table.ids.buffer, table.ids.offsets, table.default, table.indptr, table.indices, table.values,
        table.weights, table.groups, table.splits,
    )  # fmt: skip
    for array in arrays:
        digest.update(b"-" if array is None else np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
