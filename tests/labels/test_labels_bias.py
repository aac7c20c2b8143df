"""Which positive is kept: by size, by place, by class prior."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onelabel.cli import main
from onelabel.io.errors import OneLabelError
from onelabel.labels import LabelTable, ReadOptions, load_labels, simulate_single_positives
from onelabel.labels.bias import Preference, choose
from onelabel.labels.boxes import box_preference

FULL = ReadOptions(exhaustive=True)


def coco(path: Path, seed: int = 0, images: int = 40, classes: int = 6) -> Path:
    """Write random boxes, at least one an image."""
    rng = np.random.default_rng(seed)
    shapes = [{"id": i + 3, "file_name": f"{i}.jpg", "width": 100 + i, "height": 80} for i in range(images)]
    boxes = [
        {
            "image_id": 3 + (n if n < images else int(rng.integers(images))),
            "category_id": int(rng.integers(classes)) * 2,
            "area": float(rng.integers(1, 900)),
            "bbox": rng.integers(0, 60, 4).tolist(),
        }
        for n in range(images * 4)
    ]
    content = {
        "images": shapes,
        "annotations": boxes,
        "categories": [{"id": 2 * c, "name": f"c{c}"} for c in range(classes)],
    }
    path.write_text(json.dumps(content))
    return path


def slow_draw(content: dict[str, Any], how: str, seed: int, classes: int) -> list[int]:
    """The published draw, image by image, with weights that add up to one."""
    generator, drawn = random.Random(seed), []
    for image in content["images"]:
        weights = [0.0] * classes
        for box in content["annotations"]:
            if box["image_id"] != image["id"]:
                continue
            x, y, w, h = box["bbox"]
            far = math.hypot(x + w / 2 - image["width"] / 2, y + h / 2 - image["height"] / 2)
            weights[box["category_id"] // 2] += box["area"] if how == "size" else 1 / (far or 0.0005)
        drawn.append(generator.choices(range(classes), [w / sum(weights) for w in weights])[0])
    return drawn


@pytest.mark.parametrize("how", ["size", "location"])
@pytest.mark.parametrize("seed", [0, 1200])
def test_first_draw_is_the_published_one(tmp_path: Path, how: str, seed: int) -> None:
    path = coco(tmp_path / "boxes.json", seed)
    table = load_labels(path, FULL).table
    hidden = simulate_single_positives(table, seed=seed, preference=box_preference(path, FULL, table, how))
    wanted = slow_draw(json.loads(path.read_text()), how, seed, 6)
    assert hidden.dense().argmax(axis=1).tolist() == wanted
    assert (hidden.dense() == 1).sum(axis=1).tolist() == [1] * len(table)
    assert not hidden.counts().negative.any()


def test_classes_in_another_order_and_negatives(tmp_path: Path) -> None:
    path = coco(tmp_path / "boxes.json")
    turned = ReadOptions(exhaustive=True, class_ids=("c3", "c0", "c1", "c5", "c4", "c2"))
    table = load_labels(path, turned).table
    preference = box_preference(path, turned, table, "size")
    plain = load_labels(path, FULL).table
    same = box_preference(path, FULL, plain, "size")
    for row in range(len(table)):
        weights = dict(zip(table.class_ids, preference.of(row, np.arange(6)).tolist(), strict=True))
        assert [weights[name] for name in plain.class_ids] == pytest.approx(
            same.of(row, np.arange(6)).tolist()
        )
    biased = simulate_single_positives(table, positives=2, negatives=1, preference=preference)
    uniform = simulate_single_positives(table, positives=2, negatives=1)
    assert np.array_equal(biased.dense() == -1, uniform.dense() == -1)
    assert np.array_equal(biased.counts_per_image().positive, uniform.counts_per_image().positive)
    assert ((biased.dense() == 1) <= (table.dense() == 1)).all()
    everything = simulate_single_positives(table, positives=-1, preference=preference)
    assert np.array_equal(everything.dense() == 1, table.dense() == 1)


def test_coco_2014(tmp_path: Path) -> None:
    (tmp_path / "annotations").mkdir()
    path = coco(tmp_path / "annotations" / "instances_train2014.json", 5)
    table = load_labels(tmp_path).table
    for options in (ReadOptions(), ReadOptions(images=tmp_path.parent)):
        table = load_labels(tmp_path, options).table
        preference = box_preference(tmp_path, options, table, "size")
        content = json.loads(path.read_text())
        for row, name in enumerate(table.ids):
            number = int(name[-16:-4])
            areas = [0.0] * 6
            for box in content["annotations"]:
                if box["image_id"] == number:
                    areas[box["category_id"] // 2] += box["area"]
            assert preference.of(row, np.arange(6)).tolist() == areas


def test_large_objects_are_named_more_often() -> None:
    table = LabelTable.from_dense([str(i) for i in range(4000)], ["big", "small"], np.ones((4000, 2), int))
    rows = np.repeat(np.arange(4000), 2)
    preference = Preference.from_cells(4000, rows, np.tile([0, 1], 4000), np.tile([3.0, 1.0], 4000))
    hidden = simulate_single_positives(table, preference=preference)
    assert hidden.counts().positive[0] / 4000 == pytest.approx(0.75, abs=0.03)


def test_class_prior() -> None:
    labels = -np.ones((1000, 2), int)
    labels[:, 0] = 1
    labels[:250, 1] = 1
    table = LabelTable.from_dense([str(i) for i in range(1000)], ["common", "rare"], labels)
    preference = Preference.by_prior(table)
    assert preference.of(0, np.array([0, 1])).tolist() == [1.0, 0.25]
    hidden = simulate_single_positives(table, preference=preference)
    assert hidden.counts().positive[1] / 250 == pytest.approx(0.2, abs=0.08)


@settings(deadline=None)
@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=6), st.integers(-1, 8), st.integers(0, 99))
def test_draws_are_distinct_positives_and_weighted_ones_come_first(
    weights: list[float], number: int, seed: int
) -> None:
    columns = np.arange(len(weights)) * 3 + 1
    preference = Preference.from_cells(1, np.zeros(len(weights), int), columns, weights)
    drawn = choose(preference, 0, columns, number, random.Random(seed)).tolist()
    wanted = len(weights) if number == -1 else min(number, len(weights))
    assert len(set(drawn)) == len(drawn) == wanted and set(drawn) <= set(columns.tolist())
    if number > 0:
        with_weight = [weights[column // 3] > 0 for column in drawn]
        assert with_weight == sorted(with_weight, reverse=True)


def test_weights_that_are_none() -> None:
    for wrong in (-1.0, float("nan"), float("inf")):
        with pytest.raises(OneLabelError, match="finite and not negative"):
            Preference.from_cells(1, [0], [0], [wrong])


@pytest.mark.parametrize("key", ["area", "bbox", "width"])
def test_objects_without_size_or_place(tmp_path: Path, key: str) -> None:
    path = coco(tmp_path / "boxes.json")
    content = json.loads(path.read_text())
    content["annotations"][7].pop(key, None)
    for image in content["images"]:
        image.pop(key, None)
    path.write_text(json.dumps(content))
    table = load_labels(path, FULL).table
    with pytest.raises(OneLabelError, match=rf"annotations\[\d+\] or its image has no '{key}': --bias"):
        box_preference(path, FULL, table, "size" if key == "area" else "location")


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = coco(tmp_path / "boxes.json"), tmp_path / "out.csv"
    for bias in ("uniform", "size", "location", "prior"):
        command = ["simulate", str(path), "--exhaustive", "--bias", bias, "--out", str(out), "--overwrite"]
        assert main(command) == 0
        assert load_labels(out).table.counts_per_image().positive.tolist() == [1] * 40
    capsys.readouterr()
    for labels, bias, message in ((path, "sise", "did you mean 'size'"), (out, "size", "needs boxes")):
        again = tmp_path / "again.csv"
        assert main(["simulate", str(labels), "--bias", bias, "--out", str(again)]) == 2
        assert message in capsys.readouterr().err and not again.exists()
