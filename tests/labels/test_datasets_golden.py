"""Data sets from their original layout against the released scripts, and the published protocol."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from golden_archive import Archive
from onelabel.labels import (
    LabelTable,
    ReadOptions,
    load_labels,
    observe,
    released_split,
    simulate_single_positives,
)

FOLDERS = {"pascal": ("voc", "voc2012"), "coco": ("coco", "coco2014"), "cub": ("cub", "cub")}
PHASES = {"train": "train", "test": "val"}  # what the scripts call val is what every code tests on
TAGS = {"default": {}, "clean": {"train"}, "val_obs": {"val"}, "sub": {"sub"}}


@pytest.fixture(scope="module")
def found(golden: Path) -> Archive:
    if not (golden / "formatters.npz").is_file():
        pytest.skip("formatters.npz is not in this folder")
    return Archive(golden / "formatters.npz")


def table_of(golden: Path, name: str) -> LabelTable:
    folder, format = FOLDERS[name]
    loaded = load_labels(golden / "fake" / folder)
    assert loaded.format == format
    assert load_labels(golden / "fake" / folder, ReadOptions(format=format)).table == loaded.table
    return loaded.table


def same(found: Archive, key: str, ids: list[str], labels: np.ndarray) -> None:
    assert ids == found[f"{key}_images"].tolist(), key
    assert np.array_equal(labels, 2 * found[f"{key}_labels"] - 1), key


@pytest.mark.parametrize("name", FOLDERS)
def test_complete_and_observed_labels(golden: Path, found: Archive, name: str) -> None:
    table = table_of(golden, name)
    for split, phase in PHASES.items():
        part = table.part(split)
        same(found, f"{name}/{phase}", list(part.ids), part.dense())
        for key in found.keys(""):
            if key.startswith(f"{name}/{phase}_labels_obs_"):
                positives, negatives = (int(text[1:]) for text in key.split("_")[-2:])
                seen = observe(part.dense(), positives, negatives, 1200)
                assert np.array_equal(seen, found[key]), key


@pytest.mark.parametrize("name", FOLDERS)
@pytest.mark.parametrize("tag", TAGS)
def test_what_the_data_module_hands_out(golden: Path, found: Archive, name: str, tag: str) -> None:
    table, how = table_of(golden, name), TAGS[tag]
    train, test = table.part("train"), table.part("test")
    share = float(found["sub_frac"]) if "sub" in how else 1.0
    rows = released_split(
        len(train),
        float(found["val_frac"]),
        int(found["split_seed"]),
        train_share=share,
        val_share=share,
        share_seed=int(found["ss_seed"]),
    )
    truth, seen = train.dense(), observe(train.dense())
    for phase, part, complete in (("train", rows[0], "train" in how), ("val", rows[1], "val" not in how)):
        key = f"{name}/data_{tag}/{phase}"
        same(found, key, [train.ids.text(int(row)) for row in part], truth[part])
        labels = 2 * found[f"{key}_labels_obs"] - 1 if complete else found[f"{key}_labels_obs"]
        assert np.array_equal((truth if complete else seen)[part], labels), key
    key = f"{name}/data_{tag}/test"
    same(found, key, list(test.ids), test.dense())
    assert np.array_equal(found[f"{key}_labels_obs"], found[f"{key}_labels"])


def test_every_array_is_read(golden: Path) -> None:
    archive = Archive(golden / "formatters.npz")
    for name in FOLDERS:
        test_complete_and_observed_labels(golden, archive, name)
        for tag in TAGS:
            test_what_the_data_module_hands_out(golden, archive, name, tag)
    assert not archive.unread, sorted(archive.unread)[:5]


def test_the_check_values_of_coco(data: Path) -> None:
    """Counts and draws of the real train2014, where its annotations are in the folder of real data."""
    if not (data / "coco2014" / "annotations" / "instances_train2014.json").is_file():
        pytest.skip("coco2014 is not in ONELABEL_DATA")
    import hashlib

    train = load_labels(data / "coco2014").table.part("train")
    positive = train.counts().positive
    assert (len(train), positive.sum(), positive[0]) == (82081, 241035, 45174)
    drawn = observe(train.dense()).argmax(axis=1).astype(np.uint8)
    assert hashlib.md5(drawn.tobytes()).hexdigest() == "b53b37b75f848a2ae98d9ac8e218ab83"
    kept = drawn[released_split(len(train))[0]]
    assert hashlib.md5(kept.tobytes()).hexdigest() == "23c5109f667fba2908cc6f5eb4534a89"


@pytest.mark.parametrize(
    ("n", "total"), [(5717, 3_242_061), (82081, 667_885_558), (150_000, 2_243_968_737), (5994, 3_558_234)]
)
def test_the_check_values_of_the_split(n: int, total: int) -> None:
    train, val = released_split(n)
    assert val.sum() == total
    assert len(train) + len(val) == n


@pytest.mark.parametrize("name", FOLDERS)
def test_simulate_gives_what_the_data_module_hands_out(golden: Path, found: Archive, name: str) -> None:
    hidden = simulate_single_positives(
        table_of(golden, name), val_fraction=float(found["val_frac"]), split_seed=int(found["split_seed"])
    )
    for part in ("train", "val", "test"):
        table, key = hidden.part(part), f"{name}/data_default/{part}"
        assert list(table.ids) == found[f"{key}_images"].tolist()
        labels = found[f"{key}_labels_obs"]
        assert np.array_equal(table.dense(), labels if part == "train" else 2 * labels - 1)
