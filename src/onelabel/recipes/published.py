"""Published results, each with its source: ``published.csv``. No torch here."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

UNCLEAR = "nus-unclear"
"""The data set of numbers whose source does not name its list of NUS-WIDE images."""


@dataclass(frozen=True)
class Published:
    """One published number.

    Args:
        method: name of the recipe, or of a method that is not in the catalogue.
        printed_as: how its source calls it.
        setting: "" for fine-tuning of a ResNet-50 at 448 pixels; else what is different, such as a network.
        data_set: name of the reader; ``nus-unclear`` where the source does not name its list of images.
        text: mean average precision on the test images in per cent, with the digits that were printed.
        source: table or figure.
        certainty: "paper" (its text), "figure" (an image of a table by its authors), "paper, figure",
            "log of the code", or why it is not certain.
        note: what else should be known.
    """

    method: str
    printed_as: str
    setting: str
    data_set: str
    text: str
    source: str
    certainty: str
    note: str

    @property
    def map(self) -> float:
        """The number."""
        return float(self.text)

    @property
    def certain(self) -> bool:
        """Whether the number was read where it was published."""
        return "not confirmed" not in self.certainty


@cache
def published() -> tuple[Published, ...]:
    """Return every number, in the order of the file.

    Example:
        >>> [found.map for found in published() if found.method == "vlpl" and found.source == "VLPL Table 1"]
        [89.1, 71.45, 49.55, 24.02]
    """
    text = (files("onelabel.recipes") / "published.csv").read_text(encoding="utf-8")
    return tuple(Published(text=row.pop("map"), **row) for row in csv.DictReader(text.splitlines()))


def find(data_set: str, method: str, setting: str = "") -> tuple[Published, ...]:
    """Return what was published for a recipe on exactly this data set and list of images.

    Example:
        >>> [(found.map, found.source) for found in find("voc2012", "ll-r")]
        [(88.27, 'BoostLU table'), (89.2, 'LargeLossMatters table')]
    """
    wanted = (data_set, method, setting)
    return tuple(each for each in published() if (each.data_set, each.method, each.setting) == wanted)
