"""Thresholds and calibration in a bundle: kept to the last bit, bound to the weights, or refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from onelabel.io.errors import OneLabelError
from onelabel.io.ids import IdTable
from onelabel.io.manifest import digest_file
from onelabel.labels.table import ClassInfo
from onelabel.models.bundle import NEVER, Bundle, Calibration, Thresholds
from onelabel.models.bundle_read import load_bundle
from onelabel.models.bundle_write import write_bundle, write_decisions
from onelabel.models.heads import LinearHead
from onelabel.models.seen import SEEN, Seen, hash_ids, read_seen, write_seen

IDS = ("cat", "dog")


def make(thresholds: list[float], curves: list[list[float]] | None = None) -> Bundle:
    torch.manual_seed(0)
    head = LinearHead(4, 2)
    torch.nn.init.normal_(head.weight)
    fitted = Thresholds(np.array(thresholds), "best F1", {"rule": "f1", "images": 3, "f1": None})
    calibration = None
    if curves is not None:
        slope, intercept = map(np.array, curves)
        calibration = Calibration(slope, intercept, "Platt", {"method": "platt"})
    return Bundle(tuple(ClassInfo(name, name) for name in IDS), head, None, fitted, calibration=calibration)


finite = st.floats(-1e6, 1e6)
inside = st.one_of(st.floats(0, 1), st.floats(0, 1, width=32), st.just(NEVER))


@given(
    st.lists(inside, min_size=2, max_size=2),
    st.none()
    | st.tuples(
        st.lists(st.floats(1e-6, 1e6), min_size=2, max_size=2), st.lists(finite, min_size=2, max_size=2)
    ).map(list),
)
@settings(max_examples=25, deadline=None)
def test_they_come_back_to_the_last_bit(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[float], curves: list[list[float]] | None
) -> None:
    folder = tmp_path_factory.mktemp("x") / "b"
    bundle = make(cuts, curves)
    write_bundle(folder, bundle)
    again = load_bundle(folder)
    model = digest_file(folder / "model.safetensors")
    np.testing.assert_array_equal(again.thresholds.values, bundle.thresholds.values)
    assert again.thresholds.fit == {"rule": "f1", "images": 3, "f1": None, "model": model}
    logits = torch.randn(50, 2, generator=torch.Generator().manual_seed(1)) * 9
    np.testing.assert_array_equal(again.probabilities(logits), bundle.probabilities(logits))
    if curves is None:
        assert again.calibration is None
    else:
        assert again.calibration is not None and again.calibration.fit == {"method": "platt", "model": model}
    bare = load_bundle(folder, without_decisions=True)
    assert (bare.calibration, bare.thresholds.source) == (None, "0.5 (not calibrated)")


def test_new_decisions_change_nothing_else(tmp_path: Path) -> None:
    write_bundle(tmp_path / "b", make([0.5, 0.5]))
    write_bundle(tmp_path / "whole", make([0.1, 0.9], [[2.0, 3.0], [0.0, -1.0]]))
    write_decisions(tmp_path / "b", make([0.1, 0.9], [[2.0, 3.0], [0.0, -1.0]]))
    for name in ("bundle.json", "README.md", "model.safetensors"):
        assert (tmp_path / "b" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_decisions_of_other_weights_are_not_written(tmp_path: Path) -> None:
    write_bundle(tmp_path / "a", make([0.5, 0.5], [[2.0, 3.0], [0.0, -1.0]]))
    kept = load_bundle(tmp_path / "a")
    other = replace(kept, head=LinearHead(4, 2))
    for change in ({"calibration": None}, {"thresholds": Thresholds.not_calibrated(2)}):
        with pytest.raises(OneLabelError, match="fitted to other weights"):
            write_bundle(tmp_path / "b", replace(other, **change))
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    write_bundle(tmp_path / "b", replace(other, thresholds=Thresholds.not_calibrated(2), calibration=None))


def test_a_bundle_of_an_earlier_release_is_read(tmp_path: Path) -> None:
    write_bundle(tmp_path / "b", make([0.2, 0.4]))
    file = tmp_path / "b" / "bundle.json"
    content = json.loads(file.read_text())
    del content["thresholds_fit"], content["calibration"]
    file.write_text(json.dumps(content))
    bundle = load_bundle(tmp_path / "b")
    assert (bundle.thresholds.values.tolist(), bundle.thresholds.source) == ([0.2, 0.4], "best F1")
    assert bundle.calibration is None and bundle.thresholds.fit == {}


CURVES = {"slope": {"cat": 1, "dog": 1}, "intercept": {"cat": 0, "dog": 0}, "source": "x", "fit": {}}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("thresholds_fit", []), ("thresholds_fit", {"rule": "f1"}), ("thresholds_fit", {"model": 3}),
        ("calibration", []), ("calibration", {}), ("calibration", CURVES | {"fit": None}),
        ("calibration", CURVES | {"slope": {"cat": 1}}), ("calibration", CURVES | {"source": None}),
        ("calibration", CURVES | {"slope": {"cat": 0, "dog": 1}}),
        ("calibration", CURVES | {"fit": {"a": 1}}),
        ("calibration", CURVES | {"slope": {"cat": 10**400, "dog": 1}}),
        ("calibration", CURVES | {"intercept": {"cat": "nan", "dog": 1}}),
        ("thresholds", {"cat": 1.1, "dog": 0.5}), ("thresholds", {"cat": "nan", "dog": 0.5}),
    ],
)  # fmt: skip
def test_hostile_decisions(key: str, value: Any, tmp_path: Path) -> None:
    write_bundle(tmp_path / "b", make([0.2, 0.4]))
    file = tmp_path / "b" / "bundle.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {key: value}))
    with pytest.raises(OneLabelError) as error:
        load_bundle(tmp_path / "b")
    assert "\n" not in str(error.value)
    load_bundle(tmp_path / "b", without_decisions=True)


def test_a_threshold_is_reached_by_an_equal_probability() -> None:
    bundle = make([0.25, NEVER])
    probs = np.array([[0.25, 1.0], [np.nextafter(np.float32(0.25), np.float32(0)), 1.0]], np.float32)
    assert bundle.decide(probs).tolist() == [[1, -1], [-1, -1]]
    assert bundle.decide(probs.astype(np.float16)).tolist() == [
        [1, -1],
        [1, -1],
    ]  # float16 rounds both to 0.25


# -- images seen ---


@given(st.sets(st.text(max_size=6), max_size=8), st.sets(st.text(max_size=6), max_size=8))
@settings(max_examples=40, deadline=None)
def test_images_are_recognised_by_their_names(one: set[str], other: set[str]) -> None:
    seen = Seen(train=hash_ids(IdTable.from_strings(sorted(one))))
    counts = seen.counts(IdTable.from_strings(sorted(other)))
    assert counts == {"train": len(one & other), "val": 0, "fitted": 0}


def test_images_are_kept_and_damage_is_said(tmp_path: Path) -> None:
    ids = IdTable.from_strings(["a.jpg", "ü/b.jpg"])
    assert read_seen(tmp_path) is None
    write_seen(tmp_path, Seen(hash_ids(ids)).fitted_to(ids))
    found = read_seen(tmp_path)
    assert found is not None and found.counts(ids) == {"train": 2, "val": 0, "fitted": 2}
    assert (tmp_path / SEEN).stat().st_size < 2000
    whole = (tmp_path / SEEN).read_bytes()
    np.savez(tmp_path / "other.npz", train=np.zeros(2), val=np.zeros(2), fitted=np.zeros(2))
    for content in (b"", whole[:50], b"no archive", (tmp_path / "other.npz").read_bytes()):
        (tmp_path / SEEN).write_bytes(content)
        with pytest.raises(OneLabelError, match=r"images\.npz is damaged"):
            read_seen(tmp_path)
