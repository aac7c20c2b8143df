"""The text that is printed after reading."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np

from onelabel.labels import LabelTable, describe, summarise


def example() -> LabelTable:
    matrix = np.zeros((12, 4), np.int8)
    matrix[:8, 0] = 1
    matrix[0, :3] = 1
    matrix[8] = -1
    return LabelTable.from_dense([f"{i}.jpg" for i in range(12)], ["cat", "dog", "owl", "emu"], matrix)


def test_summary_counts_cells_images_and_classes() -> None:
    found = summarise(example(), "wide-csv")
    assert found == {
        "format": "wide-csv",
        "images": 12,
        "classes": 4,
        "cells": {"positive": 10, "negative": 4, "unknown": 34},
        "positives_per_image": {"mean": 10 / 12, "min": 0, "max": 3, "histogram": {0: 4, 1: 7, 3: 1}},
        "images_nothing_known": 3,
        "images_without_positive": 4,
        "classes_without_positive": ["emu"],
    }
    assert json.loads(json.dumps(found))["cells"] == found["cells"]


def test_text_has_every_number_that_matters() -> None:
    table = replace(example(), splits=np.array([0] * 10 + [-1] * 2, np.int8), split_names=("train", "val"))
    text = describe(table, "wide-csv")
    for part in (
        "wide-csv", "train 10", "in no split 2", "cat, dog, owl, emu", "20.8 %", "0.8 on average (0 to 3)",
        "images with nothing known: 3", "images without a positive: 4", "classes without a positive: 1 (emu)",
    ):  # fmt: skip
        assert part in text, part
    assert max(map(len, text.splitlines())) < 100


def test_long_tails_are_gathered_and_many_classes_cut() -> None:
    table = LabelTable.from_dense(["a", "b"], [f"class{i:02}" for i in range(20)], np.ones((2, 20), np.int8))
    text = describe(table, "coco")
    assert "and 15 more" in text
    assert "8+ 2" in text


def test_table_without_images_is_described() -> None:
    assert "images" in describe(LabelTable.from_dense([], ["cat"], np.zeros((0, 1), np.int8)), "x")
