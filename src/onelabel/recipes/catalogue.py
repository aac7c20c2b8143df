"""Recipes: what a paper set for a method on a data set, as options of ``onelabel train``. No torch here.

A recipe is ``settings/DATA_SET/METHOD.yaml``. Under it lie ``common.yaml`` and the protocol of its paper,
``protocols/NAME.yaml``; over it a network of ``backbones/`` where one is named. The upper wins, key by key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from onelabel.io.errors import OneLabelError, unknown_name

DATA_SETS = {
    "voc2012": "voc2012",
    "coco2014": "coco2014",
    "nus-official": "nus",
    "nus-cole": "nus",
    "nus-splc": "nus",
    "cub": "cub",
}
"""Each data set, by the name of its reader, and the folder of its settings: the NUS-WIDE lists share one."""

STANDARD_BACKBONE = "resnet50.tv_in1k"
_OWN_KEYS = ("paper", "protocol", "simulate", "embed", "unconfirmed", "differs")
_SETTINGS = files("onelabel.recipes") / "settings"


@dataclass(frozen=True)
class Recipe:
    """What was published for a method on a data set.

    Args:
        data_set: name of its reader.
        method: name of the recipe; that of the method, as a rule.
        backbone: name of the network.
        paper: where the settings come from.
        train: options of ``onelabel train``.
        simulate: options of ``onelabel simulate`` that differ from one positive per image.
        embed: options of ``onelabel embed`` for the vision-language model, or empty.
        unconfirmed: which settings are not known from a paper or its code, in words.
        differs: what is known to be done otherwise here, in words.

    Example:
        >>> recipe = load_recipe("voc2012/vlpl")
        >>> recipe.train["source"]["temperature"], recipe.train["batch_size"], recipe.embed["vlm"]
        (0.03, 8, 'ViT-L-14-336/openai')
    """

    data_set: str
    method: str
    backbone: str
    paper: str
    train: Mapping[str, Any]
    simulate: Mapping[str, Any]
    embed: Mapping[str, Any]
    unconfirmed: tuple[str, ...]
    differs: tuple[str, ...]

    @property
    def name(self) -> str:
        """What ``onelabel benchmark`` takes."""
        short = f"{self.data_set}/{self.method}"
        return short if self.backbone == STANDARD_BACKBONE else f"{short}/{self.backbone}"

    @property
    def setting(self) -> str:
        """What ``published.csv`` calls this variant: "" for the standard one, else the network."""
        return "" if self.backbone == STANDARD_BACKBONE else self.backbone

    @property
    def cautions(self) -> tuple[str, ...]:
        """What is not confirmed and what is done otherwise, a sentence each."""
        return cautions(self.unconfirmed, self.differs)


def cautions(unconfirmed: Sequence[str], differs: Sequence[str]) -> tuple[str, ...]:
    """Return what is not confirmed and what is done otherwise, a sentence each.

    Args:
        unconfirmed: which settings are not known from a paper or its code.
        differs: what is known to be done otherwise here.

    Example:
        >>> cautions(["the weight"], ["one run, the paper has two"])
        ('setting not confirmed: the weight', 'known to differ: one run, the paper has two')
    """
    unknown = (f"setting not confirmed: {text}" for text in unconfirmed)
    return (*unknown, *(f"known to differ: {text}" for text in differs))


def methods_of(data_set: str) -> tuple[str, ...]:
    """Return the names of the recipes of a data set, by name.

    Example:
        >>> "vlpl" in methods_of("cub")
        True
    """
    return _names(_folder_of(data_set))


def backbones() -> tuple[str, ...]:
    """Return the networks that have a variant of their own.

    Example:
        >>> len(backbones()), STANDARD_BACKBONE in backbones()
        (4, True)
    """
    return _names("backbones")


def load_recipe(name: str) -> Recipe:
    """Read a recipe.

    Args:
        name: ``DATA_SET/METHOD`` or ``DATA_SET/METHOD/BACKBONE``.

    Raises:
        OneLabelError: there is none; the nearest name is given.

    Example:
        >>> load_recipe("voc2012/vlpl/convnext_xlarge.fb_in22k").train["backbone"]
        'convnext_xlarge.fb_in22k'
        >>> load_recipe("voc2012/vpl")
        Traceback (most recent call last):
        onelabel.io.errors.OneLabelError: unknown recipe for voc2012 'vpl' (did you mean 'vlpl'?); known: ...
    """
    data_set, *rest = name.split("/")
    if len(rest) not in (1, 2):
        raise OneLabelError(
            f"a recipe is named DATA_SET/METHOD, such as voc2012/vlpl, not {name!r}; "
            "onelabel benchmark --list shows them"
        )
    folder = _folder_of(data_set)
    if rest[0] not in methods_of(data_set):
        raise unknown_name(f"recipe for {data_set}", rest[0], methods_of(data_set))
    own = _read(f"{folder}/{rest[0]}")
    layers = [_read("common"), _read(f"protocols/{own['protocol']}"), own]
    backbone = rest[1] if rest[1:] else STANDARD_BACKBONE
    if backbone not in backbones():
        raise unknown_name("backbone of a recipe", backbone, backbones())
    if backbone != STANDARD_BACKBONE:
        layers.append(_read(f"backbones/{backbone}"))
    return _recipe(data_set, rest[0], backbone, _merge(layers))


def _folder_of(data_set: str) -> str:
    if data_set not in DATA_SETS:
        raise unknown_name("data set", data_set, DATA_SETS)
    return DATA_SETS[data_set]


def _recipe(data_set: str, method: str, backbone: str, merged: Mapping[str, Any]) -> Recipe:
    return Recipe(
        data_set,
        method,
        backbone,
        paper=str(merged["paper"]),
        train={key: value for key, value in merged.items() if key not in _OWN_KEYS},
        simulate=merged.get("simulate", {}),
        embed=merged.get("embed", {}),
        unconfirmed=tuple(merged.get("unconfirmed", ())),
        differs=tuple(merged.get("differs", ())),
    )


def _merge(layers: list[dict[str, Any]]) -> dict[str, Any]:
    """Lay settings over each other; mappings key by key, lists one after the other, the rest replaced."""
    merged: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            if isinstance(value, dict):
                merged[key] = {**merged.get(key, {}), **value}
            elif key in ("unconfirmed", "differs"):
                merged[key] = [*merged.get(key, ()), *value]
            else:
                merged[key] = value
    return merged


@cache
def _names(folder: str) -> tuple[str, ...]:
    entries = (_SETTINGS / folder).iterdir()
    return tuple(
        sorted(entry.name.removesuffix(".yaml") for entry in entries if entry.name.endswith(".yaml"))
    )


def _read(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((_SETTINGS / f"{name}.yaml").read_text(encoding="utf-8"))
    return content
