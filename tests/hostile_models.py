"""Stores, bundles, sets of pseudo-labels and settings that were changed, their digests made right again."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch

from hostile_child import WARM_UP, random_of
from hostile_mutations import changed_file, lay_out, mutate, mutate_json, remove
from hostile_samples import npy, parquet_of
from onelabel.cli import check as check_command
from onelabel.cli.parser import parse
from onelabel.io.ids import IdTable
from onelabel.io.manifest import digest_file
from onelabel.labels.entries import CONTROL
from onelabel.labels.readers.classes import read_classes
from onelabel.labels.table import ClassInfo, LabelTable
from onelabel.models.bundle import Bundle, Thresholds
from onelabel.models.bundle_layout import identity
from onelabel.models.bundle_read import load_bundle
from onelabel.models.bundle_write import write_bundle
from onelabel.models.heads import LinearHead
from onelabel.models.weights import write_weights
from onelabel.sources.file import FileSource
from onelabel.sources.named import NamedSet, write_set
from onelabel.sources.opinions import Opinions
from onelabel.training.opening import read_rules
from onelabel.vlm.features import open_features
from onelabel.vlm.layout import FileRecord, Manifest, Plan
from onelabel.vlm.relation import read_relation
from onelabel.vlm.store import EmbeddingStore

Files = dict[str, bytes]
TABLE = LabelTable.from_dense(["a", "b"], ["cat", "dog"], [[1, 0], [0, 1]])
_OPINIONS = Opinions(
    IdTable.from_strings(["a", "b"]), ("cat", "dog"), np.array([[1, 0], [0, -1]], np.int8),
    np.array([[0.9, np.nan], [0.5, 0.1]], np.float32),
)  # fmt: skip


def _content(folder: Path) -> Files:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


# -- bundles ---


def make_bundle(folder: Path, names: tuple[str, ...] = ("cat", "dog")) -> Path:
    """Write a bundle of a head alone."""
    classes = tuple(ClassInfo(name, name) for name in names)
    thresholds = Thresholds(np.full(len(names), 0.5), "fixed")
    head = LinearHead(4, len(names))
    write_bundle(folder, Bundle(classes, head, None, thresholds, {"name": "an"}, {}, {}), overwrite=True)
    return folder


def seal_bundle(folder: Path, content: Any) -> None:
    """Write ``bundle.json`` so that all digests are right, as somebody would who made it to do harm."""
    if isinstance(content, dict):
        try:
            owner = identity({"backbone": None, "head": None, **content})
        except Exception:
            owner = ""
        state = {"head.weight": torch.zeros(2, 4), "head.bias": torch.zeros(2)}
        write_weights(folder / "model.safetensors", state, {"belongs_to": owner})
        if isinstance(content.get("digests"), dict):
            content["digests"]["model.safetensors"] = digest_file(folder / "model.safetensors")
    (folder / "bundle.json").write_bytes(json.dumps(content).encode(errors="surrogatepass"))


def _read_bundle(folder: Path) -> None:
    bundle = load_bundle(folder)
    shown = [text for info in bundle.classes for text in (info.id, info.name, *info.synonyms)]
    assert not any(CONTROL.search(text) for text in shown), shown
    assert len(set(bundle.class_ids)) == len(bundle.class_ids)
    assert np.isfinite(bundle.thresholds.values).all()
    assert bundle.head(torch.zeros(1, bundle.head.in_features)).shape == (1, len(bundle.classes))


def _spoil_bundle(folder: Path, files: Files, random: Random) -> None:
    if random.random() < 0.4:
        _spoil_one(folder, files, random)
    else:
        seal_bundle(folder, json.loads(mutate_json(files["bundle.json"], random)))


# -- stores ---


def make_store(folder: Path) -> Path:
    """Write a store of two images."""
    folder.mkdir(exist_ok=True)
    plan = Plan(
        IdTable.from_strings(["a.jpg", "b.jpg"]), 4, {"views": "global"}, True, 128, encoder={"kind": "timm"}
    )
    manifest = Manifest.begin(folder, plan)
    manifest.add(0, np.ones(plan.shape_of(0), np.float16), np.zeros((2, 32), np.uint8))
    manifest.complete()
    return folder


def seal_store(folder: Path, content: Any) -> None:
    """Write ``manifest.json`` so that it describes the files as they are."""
    files = {
        "ids": "ids.npy",
        "offsets": "offsets.npy",
        "rows": "rows-00000.npy",
        "hashes": "hashes-00000.npy",
    }
    record = {name: vars(FileRecord.of(folder / file)) for name, file in files.items()}
    content["names"] = {name: record[name] for name in ("ids", "offsets")}
    content["shards"] = [{name: record[name] for name in ("rows", "hashes")}]
    (folder / "manifest.json").write_text(json.dumps(content))


def _read_store(folder: Path) -> None:
    store = EmbeddingStore.open(folder)
    assert all(isinstance(text, str) and text for text in store.ids)
    assert store.rows([0]).shape == (1, len(store.views), store.dim)
    store.rows(np.arange(len(store)))


def _spoil_store(folder: Path, files: Files, random: Random) -> None:
    if random.random() < 0.4:
        _spoil_one(folder, files, random)
        return
    if random.random() < 0.5:
        (folder / "manifest.json").write_bytes(mutate_json(files["manifest.json"], random))
        return
    odd: list[Any] = [
        np.array([0, 9, 10]), np.array([5, 0, 10]), np.array([0, -1, 10]), np.array([0, 5, 10.0]),
        np.array([]), np.array([[0, 5, 10]]), np.array(3), np.array([0, 5, 2**62]), np.array([1, 5, 10]),
        np.array(["a", "b"]), np.array([0xFF] * 10, np.uint8), np.array([0] * 10, np.uint8),
        np.ones((2, 1, 2, 4), np.float16) * np.nan, np.array([{}], object),
    ]  # fmt: skip
    name = random.choice(["ids.npy", "offsets.npy", "rows-00000.npy", "hashes-00000.npy"])
    (folder / name).write_bytes(
        npy(random.choice(odd)) if random.random() < 0.7 else mutate(files[name], random)
    )
    content = json.loads(files["manifest.json"])
    if random.random() < 0.3:
        content["rows"] = random.choice([0, 1, 3, 10**9])
    seal_store(folder, content)


# -- sets and files of opinions, features, relations, settings ---


def _read_set(folder: Path) -> None:
    NamedSet.open(folder).opinions()


def _spoil_set(folder: Path, files: Files, random: Random) -> None:
    _spoil_one(folder, files, random)
    if random.random() < 0.6 and all((folder / name).is_file() for name in ("opinions.npz", "table.csv")):
        facts = json.loads(files["set.json"])
        facts["digests"] = {name: digest_file(folder / name) for name in ("opinions.npz", "table.csv")}
        (folder / "set.json").write_text(json.dumps(facts))


def _start(path: Path) -> None:
    FileSource(path).start(TABLE)


def _npz(**arrays: Any) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def _config(path: Path) -> None:
    parse("check", check_command, ["labels.csv", "--config", str(path)])


_SCORES = [[0.5, 0.1], [1.0, 0.0]]
_RULES = b"cat: {name: threshold, positive: 0.8}\ndog: &x {name: top, k: 1}\n"
_LONG = b"image,class,score,decision\na,cat,0.5,1\nb,dog,,-1\n"
SINGLE: dict[str, tuple[str, bytes, Callable[[Path], Any]]] = {
    "opinions long": ("o.csv", _LONG, _start),
    "opinions wide": ("o.csv", b"image,cat,dog\na,0.5,1\nb,,0\n", _start),
    "opinions parquet": ("o.parquet", parquet_of({"image": ["a", "b"], "cat": [0.5, None]}), _start),
    "opinions npz": ("o.npz", _npz(ids=["a", "b"], classes=["cat", "dog"], score=_SCORES), _start),
    "features": ("f.npz", _npz(ids=["a", "b"], X=_SCORES), open_features),
    "relation": ("r.npy", npy(np.eye(2)), lambda path: read_relation(path, 2)),
    "rules": ("r.yaml", _RULES, lambda path: read_rules(str(path), ("cat", "dog"))),
    "config": ("c.yaml", b"strict: true\nmax_pixels: 1000\nimages: photos\n", _config),
    "classes": ("c.txt", b"cat\ndog\n", read_classes),
}
Spoil = Callable[[Path, Files, Random], None]
FOLDERS: dict[str, tuple[Callable[[Path], Any], Spoil, Callable[[Path], None]]] = {
    "bundle": (make_bundle, _spoil_bundle, _read_bundle),
    "store": (make_store, _spoil_store, _read_store),
    "set": (lambda folder: write_set(folder, _OPINIONS, {}, overwrite=True), _spoil_set, _read_set),
}  # fmt: skip
_made: dict[str, Files] = {}


def read(name: str, seed: int, folder: Path) -> None:
    """Read one changed file, or one folder of which something was changed."""
    random = random_of(name, seed)
    if name in SINGLE:
        file, data, use = SINGLE[name]
        (folder / file).write_bytes(data if seed == WARM_UP else changed_file(file, data, random))
        use(folder / file)
        return
    make, spoil, use = FOLDERS[name]
    place = folder / "it"
    if name not in _made:
        make(place)
        _made[name] = _content(place)
    if seed != WARM_UP:
        remove(place)
        lay_out(place, _made[name])
        spoil(place, _made[name], random)
    use(place)


def _spoil_one(folder: Path, files: Files, random: Random) -> None:
    name = random.choice(sorted(files))
    (folder / name).write_bytes(changed_file(name, files[name], random))
    if random.random() < 0.05:
        remove(folder / name)
        (folder / name).symlink_to("/dev/zero")
