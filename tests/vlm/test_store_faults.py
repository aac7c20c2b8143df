"""The store when things go wrong: killed, tampered with, disk full, bad images, changed inputs."""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from onelabel.io.errors import ImageError, OneLabelError
from onelabel.io.ids import IdTable
from onelabel.vlm import embed
from onelabel.vlm.store import EmbeddingStore

FORK = multiprocessing.get_context("fork")


def contents(folder: Path) -> dict[str, bytes]:
    """Return the bytes of all files, times of modification in the manifest left out."""
    files = {file.name: file.read_bytes() for file in folder.iterdir()}
    manifest = json.loads(files.pop("manifest.json"), object_hook=lambda entry: entry | {"mtime_ns": 0})
    return {**files, "manifest": json.dumps(manifest).encode()}


def killed_at(photos: Any, path: Path, sync: int) -> None:
    """Embed in another process that gets SIGKILL at its ``sync``-th fsync, in the middle of writing."""

    def work() -> None:
        torch.set_num_threads(
            1
        )  # the threads of the parent do not live on in a fork; waiting for them is for ever
        real, count = os.fsync, 0

        def fsync(handle: int) -> None:
            nonlocal count
            count += 1
            if count == sync:
                os.kill(os.getpid(), signal.SIGKILL)
            real(handle)

        os.fsync = fsync  # type: ignore[assignment]
        photos.write(path)

    process = FORK.Process(target=work)
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL


# Each file is synced twice (file, folder): 6 for ids and manifest, then 6 a shard.
@pytest.mark.parametrize("sync", [1, 3, 5, 6, 8, 11, 12, 17, 18, 24, 31, 36])
def test_killed_and_run_again_gives_the_same_bytes(photos: Any, tmp_path: Path, sync: int) -> None:
    photos.write(tmp_path / "whole")
    killed_at(photos, tmp_path / "store", sync)
    assert not (tmp_path / "store").exists()
    with pytest.raises(OneLabelError, match="not finished: run the same"):
        EmbeddingStore.open(tmp_path / "store")
    photos.encoder.images = 0
    photos.write(tmp_path / "store")
    assert contents(tmp_path / "store") == contents(tmp_path / "whole")
    assert not (tmp_path / "store.partial").exists()
    finished = min(23, 5 * max(0, sync // 6 - 1))
    assert photos.encoder.images == 2 * (23 - finished)  # finished shards are not embedded again


def test_killed_after_the_last_shard_only_the_name_is_missing(photos: Any, tmp_path: Path) -> None:
    photos.write(tmp_path / "store").path.rename(tmp_path / "store.partial")
    photos.encoder.images = 0
    photos.write(tmp_path / "store")
    assert photos.encoder.images == 0


def interrupted(photos: Any, path: Path) -> None:
    """Leave two finished shards."""
    photos.encoder.images, limit = 0, 20

    def encoder(images: Any) -> Any:
        if photos.encoder.images >= limit:
            raise KeyboardInterrupt
        return photos.encoder(images)

    with pytest.raises(KeyboardInterrupt):
        photos.write(path, encoder=encoder)
    assert len(list(path.with_name("store.partial").glob("rows-*.npy"))) == 2


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"fingerprint": {"weights": "w2", "views": "global"}}, "weights"),
        ({"fingerprint": {"weights": "w1", "views": "global", "activation": "gelu"}}, "activation"),
        ({"mirrored": False}, "mirrored"),
        ({"dim": 7}, "dim"),
        ({"ids": IdTable.from_strings([f"{n}" for n in range(23)])}, "image ids"),
    ],
)
def test_going_on_with_something_else_is_refused(
    photos: Any, tmp_path: Path, changes: dict[str, Any], part: str
) -> None:
    interrupted(photos, tmp_path / "store")
    changes = {"paths": photos.ids, **changes}
    with pytest.raises(OneLabelError, match=rf"store\.partial was begun with other {part}: .*--overwrite"):
        photos.write(tmp_path / "store", **changes)
    assert len(list((tmp_path / "store.partial").glob("rows-*.npy"))) == 2


def test_overwrite_begins_anew_where_unfinished_work_is_of_something_else(
    photos: Any, tmp_path: Path
) -> None:
    interrupted(photos, tmp_path / "store")
    photos.encoder.images = 0
    store = photos.write(tmp_path / "store", fingerprint={"weights": "w2"}, overwrite=True)
    assert photos.encoder.images == 46 and store.fingerprint == {"weights": "w2"}


def test_a_changed_image_is_found_before_going_on(photos: Any, tmp_path: Path) -> None:
    interrupted(photos, tmp_path / "store")
    Image.new("RGB", (12, 10)).save(photos.root / photos.ids.text(4))
    photos.encoder.images = 0
    with pytest.raises(OneLabelError, match=r"004\.png has changed since"):
        photos.write(tmp_path / "store")
    assert photos.encoder.images == 0


def test_a_tampered_shard_is_found_before_going_on(photos: Any, tmp_path: Path) -> None:
    interrupted(photos, tmp_path / "store")
    flip(tmp_path / "store.partial" / "rows-00001.npy", keep_time=True)
    with pytest.raises(OneLabelError, match=r"rows-00001\.npy has changed"):
        photos.write(tmp_path / "store")
    photos.write(tmp_path / "store", overwrite=True)


def test_foreign_files_in_the_way_are_left_alone(photos: Any, tmp_path: Path) -> None:
    (tmp_path / "store.partial").mkdir()
    (tmp_path / "store.partial" / "thesis.txt").write_text("all my work")
    with pytest.raises(OneLabelError, match=r"in the way: it holds thesis\.txt"):
        photos.write(tmp_path / "store", overwrite=True)
    assert (tmp_path / "store.partial" / "thesis.txt").read_text() == "all my work"


# -- outputs ---


def test_an_existing_store_is_kept_unless_overwritten(photos: Any, tmp_path: Path) -> None:
    photos.write(tmp_path / "store")
    photos.encoder.images = 0
    with pytest.raises(OneLabelError, match="exists already"):
        photos.write(tmp_path / "store")
    assert photos.encoder.images == 0
    store = photos.write(tmp_path / "store", mirrored=False, overwrite=True)
    assert not store.mirrored and {file.name for file in tmp_path.iterdir()} == {"photos", "store"}


def test_an_existing_store_stays_whole_while_a_new_one_fails(photos: Any, tmp_path: Path) -> None:
    photos.write(tmp_path / "store")
    before = contents(tmp_path / "store")
    (photos.root / photos.ids.text(22)).write_bytes(b"no image")
    with pytest.raises(ImageError):
        photos.write(tmp_path / "store", overwrite=True)
    assert contents(tmp_path / "store") == before
    EmbeddingStore.open(tmp_path / "store", verify=True)


def test_a_full_disk_is_one_line_and_finished_shards_stay(photos: Any, tmp_path: Path) -> None:
    def encoder(images: Any) -> Any:
        if photos.encoder.images >= 20:  # two shards are done: from now on no file may pass 200 bytes
            resource.setrlimit(resource.RLIMIT_FSIZE, (200, hard))
        return photos.encoder(images)

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with pytest.raises(OneLabelError, match=r"cannot write .*rows-00002\.npy"):
            photos.write(tmp_path / "store", encoder=encoder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not (tmp_path / "store").exists()
    assert not list((tmp_path / "store.partial").glob(".*"))
    photos.encoder.images = 0
    photos.write(tmp_path / "store")
    assert photos.encoder.images == 2 * 13


def test_too_little_space_is_said_at_once(photos: Any, tmp_path: Path, monkeypatch: Any) -> None:
    usage = shutil._ntuple_diskusage(100, 80, 20)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(OneLabelError, match="MB are needed"):
        photos.write(tmp_path / "store")
    assert photos.encoder.images == 0


def test_an_unwritable_place_is_one_line(photos: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OneLabelError, match="cannot write"):
        photos.write(tmp_path / "file" / "store")


# -- images ---


@pytest.mark.parametrize("workers", [0, 2])
def test_a_bad_image_is_named_and_finished_shards_stay(photos: Any, tmp_path: Path, workers: int) -> None:
    bad = photos.root / photos.ids.text(12)
    good = bad.read_bytes()
    bad.write_bytes(good[: len(good) // 2])
    with pytest.raises(ImageError) as caught:
        photos.write(tmp_path / "store", workers=workers)
    assert caught.value.path == str(bad)
    assert len(list((tmp_path / "store.partial").glob("rows-*.npy"))) == 2
    bad.write_bytes(good)
    photos.encoder.images = 0
    photos.write(tmp_path / "store", workers=workers)
    assert photos.encoder.images == 2 * 13


def test_missing_images_are_found_before_the_first_is_embedded(photos: Any, tmp_path: Path) -> None:
    for row in (20, 22):
        (photos.root / photos.ids.text(row)).unlink()
    with pytest.raises(ImageError, match=r"020\.png: there is no such file \(and 1 more\)"):
        photos.write(tmp_path / "store")
    assert photos.encoder.images == 0 and not list(tmp_path.glob("store*"))


def test_a_worker_that_dies_is_one_line(photos: Any, tmp_path: Path, monkeypatch: Any) -> None:
    def die(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(embed.HashedImages, "hash", die)
    with pytest.raises(OneLabelError, match=r"a process that reads photos died .*--workers 0"):
        photos.write(tmp_path / "store", workers=1)


# -- opening what is damaged ---


def flip(file: Path, *, keep_time: bool) -> None:
    facts, data = file.stat(), bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(bytes(data))
    if keep_time:
        os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns))


FILES = ["rows-00002.npy", "hashes-00004.npy", "ids.npy", "offsets.npy"]


@pytest.mark.parametrize("name", FILES)
def test_a_changed_file_is_found(photos: Any, tmp_path: Path, name: str) -> None:
    photos.write(tmp_path / "store")
    flip(tmp_path / "store" / name, keep_time=False)
    with pytest.raises(OneLabelError, match=rf"{name} has changed since"):
        EmbeddingStore.open(tmp_path / "store")


@pytest.mark.parametrize("name", FILES)
def test_a_change_that_hides_its_time_is_found_by_verify(photos: Any, tmp_path: Path, name: str) -> None:
    photos.write(tmp_path / "store")
    flip(tmp_path / "store" / name, keep_time=True)
    with pytest.raises(OneLabelError, match=rf"{name} has changed since"):
        EmbeddingStore.open(tmp_path / "store", verify=True)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_cut_off_or_missing_is_found(photos: Any, tmp_path: Path, name: str) -> None:
    photos.write(tmp_path / "store")
    file = tmp_path / "store" / name
    file.write_bytes(file.read_bytes()[:-3])
    with pytest.raises(OneLabelError, match=rf"{name} has changed since"):
        EmbeddingStore.open(tmp_path / "store")
    file.unlink()
    with pytest.raises(OneLabelError, match=rf"{name} is missing"):
        EmbeddingStore.open(tmp_path / "store")


def test_a_copied_store_opens_although_its_times_are_new(photos: Any, tmp_path: Path) -> None:
    store = photos.write(tmp_path / "store")
    shutil.copytree(tmp_path / "store", tmp_path / "copy", copy_function=shutil.copyfile)
    for file in (tmp_path / "copy").iterdir():
        os.utime(file, (1, 1))
    np.testing.assert_array_equal(EmbeddingStore.open(tmp_path / "copy").rows([7]), store.rows([7]))


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads((folder / "manifest.json").read_text())
    change(content)
    (folder / "manifest.json").write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(format_version=99), "update onelabel"),
        (lambda c: c.update(kind="onelabel-bundle"), "is not a onelabel-store"),
        (lambda c: c.pop("fingerprint"), "is damaged"),
        (lambda c: c.update(rows=22), "is damaged"),
        (lambda c: c.update(shard_rows=0), "is damaged"),
        (lambda c: c.update(shard_rows="many"), "is damaged"),
        (lambda c: c.update(shards=[1, 2]), "is damaged"),
        (lambda c: c.update(names=None), "is damaged"),
        (lambda c: c["shards"].append(c["shards"][0]), "is damaged"),
        (lambda c: c["shards"].pop(), "is not finished"),
        (lambda c: c["shards"].reverse(), "has changed"),
        (lambda c: c.update(dim=5), "does not hold what manifest.json says"),
        (lambda c: c.update(mirrored=False), "does not hold what manifest.json says"),
        (lambda c: c.update(views=["global", "tile"]), "does not hold what manifest.json says"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(
    photos: Any, tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    photos.write(tmp_path / "store")
    edit(tmp_path / "store", change)
    with pytest.raises(OneLabelError, match=message):
        EmbeddingStore.open(tmp_path / "store")


@pytest.mark.parametrize("text", ["", "{", "[]", "null"])
def test_a_manifest_that_is_no_manifest_is_refused(photos: Any, tmp_path: Path, text: str) -> None:
    photos.write(tmp_path / "store")
    (tmp_path / "store" / "manifest.json").write_text(text)
    with pytest.raises(OneLabelError, match=r"manifest\.json"):
        EmbeddingStore.open(tmp_path / "store")


def test_what_is_no_store_is_said(tmp_path: Path) -> None:
    with pytest.raises(OneLabelError, match="no such folder"):
        EmbeddingStore.open(tmp_path / "none")
    with pytest.raises(OneLabelError, match=r"manifest\.json is missing"):
        EmbeddingStore.open(tmp_path)
