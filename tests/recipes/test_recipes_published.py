"""``published.csv``: its shape, its ranges, and numbers read from the papers' tables once more by hand."""

from __future__ import annotations

import csv
import re
from collections import Counter
from pathlib import Path

import pytest

from onelabel.recipes import published as module
from onelabel.recipes.catalogue import DATA_SETS, backbones, methods_of
from onelabel.recipes.published import UNCLEAR, find, published

FILE = Path(module.__file__).with_name("published.csv")
CERTAINTIES = {
    "paper", "figure", "paper, figure", "log of the code", "not confirmed", "recalled, not confirmed",
}  # fmt: skip
OTHERS = {"smile", "mime", "dualcoop", "scpnet", "hspnet", "iu"}
"""Methods that are not in the catalogue."""


def test_shape() -> None:
    with FILE.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream))
    assert rows[0] == ["method", "printed_as", "setting", "data_set", "map", "source", "certainty", "note"]
    assert {len(row) for row in rows} == {8}
    assert all(cell == cell.strip() for row in rows for cell in row)
    assert len(rows) - 1 == len(published()) == 272


def test_every_number_stands_once_and_says_where_it_comes_from() -> None:
    keys = [(f.method, f.printed_as, f.setting, f.data_set, f.source) for f in published()]
    assert not [key for key, times in Counter(keys).items() if times > 1]
    for found in published():
        assert re.fullmatch(r"\d\d\.\d\d?", found.text) and 5 < found.map < 100
        assert found.printed_as and found.source
        assert found.certainty in CERTAINTIES
        assert found.certain == ("not confirmed" not in found.certainty)
        assert found.data_set in {*DATA_SETS, UNCLEAR}
        assert found.method in {*methods_of("cub"), *OTHERS}


def test_tables_are_whole() -> None:
    """Methods × data sets of each source, without the ablations."""
    numbers = Counter(found.source for found in published())
    assert numbers == {
        "VLPL Table 1": 16 * 4, "BoostLU table": 6 * 4, "AEVLP table": 3 * 4, "AEVLP README": 4,
        "VLPL README of 2026": 3, "LargeLossMatters table": 9 * 8, "Cole et al., linear": 9 * 4,
        "VLPL Table 2": 4 * 4, "logs of SCPNet and HSPNet": 2 * 3 * 4, "VLPL Table 3": 5,
        "VLPL Table 4": 2 * 4, "VLPL Figure 3": 4,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("data_set", "method", "setting", "source", "text"),
    [
        ("voc2012", "vlpl", "", "VLPL Table 1", "89.10"),
        ("cub", "vlpl", "", "VLPL Table 1", "24.02"),
        ("nus-official", "em-apl", "", "VLPL Table 1", "47.59"),
        ("coco2014", "bce", "", "VLPL Table 1", "76.78"),
        ("coco2014", "aevlp", "", "AEVLP README", "73.54"),
        (UNCLEAR, "gr", "", "AEVLP table", "49.08"),
        ("nus-cole", "ll-cp", "", "LargeLossMatters table", "48.3"),
        (UNCLEAR, "ll-cp", "", "BoostLU table", "47.92"),
        ("nus-cole", "role-li", "", "LargeLossMatters table", "51.0"),
        ("cub", "ll-ct", "linear initialisation", "LargeLossMatters table", "21.8"),
        ("nus-cole", "bce-ls", "head on fixed features", "Cole et al., linear", "51.7"),
        ("coco2014", "vlpl", "convnext_xlarge.fb_in22k", "VLPL Table 2", "84.65"),
        ("cub", "vlpl", "vit_large_patch14_clip_336.openai", "VLPL Table 2", "12.82"),
        ("nus-splc", "scpnet", "best averaged weights", "logs of SCPNet and HSPNet", "62.04"),
        ("voc2012", "vlpl", "pseudo-negatives 40 %", "VLPL Table 3", "88.13"),
        ("coco2014", "vlpl", "with label smoothing", "VLPL Table 4", "71.34"),
    ],
)
def test_numbers(data_set: str, method: str, setting: str, source: str, text: str) -> None:
    assert [found.text for found in find(data_set, method, setting) if found.source == source] == [text]


def test_lists_of_nus_wide_are_never_mixed() -> None:
    lists = {found.data_set: set[str]() for found in published() if found.data_set.startswith("nus")}
    for found in published():
        if found.data_set in lists:
            lists[found.data_set].add(found.source)
    assert lists["nus-cole"] == {"LargeLossMatters table", "Cole et al., linear"}
    assert lists["nus-splc"] == {"logs of SCPNet and HSPNet"}
    assert lists[UNCLEAR] == {"BoostLU table", "AEVLP table", "AEVLP README"}
    assert all(source.startswith("VLPL") for source in lists["nus-official"])
    assert not find("nus-official", "ll-r") and not find("nus-official", "aevlp")


def test_every_network_of_table_2_is_a_variant() -> None:
    named = {found.setting for found in published() if found.source == "VLPL Table 2"}
    assert named == set(backbones())
