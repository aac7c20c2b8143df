"""What stands in the settings: known options alone, what differs from defaults alone, and from where."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
import yaml

from onelabel.cli.embed import embed
from onelabel.cli.simulate import simulate
from onelabel.cli.train import train
from onelabel.io.errors import OneLabelError
from onelabel.methods.registry import catalogue, load
from onelabel.recipes import catalogue as recipes
from onelabel.recipes.catalogue import DATA_SETS, backbones, load_recipe, methods_of
from onelabel.recipes.listing import listing
from onelabel.sources.registry import load as load_source

SETTINGS = Path(recipes.__file__).parent / "settings"
FOLDERS = ("voc2012", "coco2014", "nus", "cub")
FILES = sorted(path for folder in FOLDERS for path in (SETTINGS / folder).glob("*.yaml"))
NAMES = [f"{data_set}/{method}" for data_set in DATA_SETS for method in methods_of(data_set)]
USUAL_IN_FINE_TUNING = {"epochs": 10, "lr": 1e-5}


def defaults(function: Any) -> dict[str, Any]:
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty}


def test_every_method_has_a_recipe_on_every_data_set() -> None:
    of_losses = {"em-pl": "vlpl", "gpr": "aevlp"}  # their presets
    for data_set in DATA_SETS:
        found = {load_recipe(f"{data_set}/{name}").train["method"]["name"] for name in methods_of(data_set)}
        assert found == {entry.name for entry in catalogue()} - of_losses.keys()
        assert set(of_losses.values()) <= found
    assert len({tuple(methods_of(data_set)) for data_set in DATA_SETS}) == 1


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_file_holds_only_what_differs_and_says_from_where(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    assert lines[0].startswith("# ")
    own = yaml.safe_load(text)
    lower = [SETTINGS / "common.yaml", SETTINGS / "protocols" / f"{own['protocol']}.yaml"]
    below: dict[str, Any] = {}
    for file in lower:
        below |= yaml.safe_load(file.read_text(encoding="utf-8"))
    usual = {**defaults(train), **USUAL_IN_FINE_TUNING}
    plain = {k: v for k, v in own.items() if not isinstance(v, dict) and k in usual}
    assert all(value != below.get(key, usual[key]) for key, value in plain.items())
    for key, kind in (("method", load), ("source", load_source)):
        given = dict(own.get(key, {}))
        usual_here = defaults(kind(given.pop("name"))) if given else {}
        assert all(value != usual_here[name] for name, value in given.items())
    values = [*plain, *own.get("source", {}), *own.get("embed", {}), *own["method"], *own.get("simulate", {})]
    for value in values:
        line = next(line for line in lines if line.strip().startswith(f"{value}:"))
        sourced = "#" in line or value in ("name", "positives", "negatives", "alpha") or "differs" in own
        assert sourced, line


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_has_only_options_of_the_commands(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name and recipe.paper
    assert recipe.train.keys() <= inspect.signature(train).parameters.keys()
    assert recipe.embed.keys() <= inspect.signature(embed).parameters.keys()
    assert recipe.simulate.keys() <= inspect.signature(simulate).parameters.keys()
    assert bool(recipe.embed) == ("source" in recipe.train)
    for key, kind in (("method", load), ("source", load_source)):
        given = recipe.train.get(key)
        if given is not None:
            found = inspect.signature(kind(given["name"])).parameters
            assert given.keys() - {"name"} <= found.keys()


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("voc2012/an", {"batch_size": 8, "stop": "no-gain", "photo_size": 448, "select": "full"}),
        ("coco2014/an", {"stop": "no-gain", "backbone": "resnet50.tv_in1k"}),
        ("cub/em", {"batch_size": 8, "lr": 1e-4, "method.alpha": 0.01, "method.eps": 1e-5}),
        ("nus-official/em-apl", {"method.beta": 0.2, "method.warmup_epoch": 4}),
        ("coco2014/ll-r", {"method.delta": 0.4, "stop": "drop-3", "head_lr_multiplier": 10}),
        ("cub/ll-cp", {"lr": 7.5e-5, "method.delta": 0.2}),
        ("voc2012/ll-r-boostlu", {"boostlu": 5, "method.delta": 0.5}),
        ("voc2012/gr", {"epochs": 8, "batch_size": 8, "stop": "drop-2", "head_lr_multiplier": 10}),
        ("voc2012/vlpl", {"batch_size": 8, "source.temperature": 0.03, "method.alpha": 0.2}),
        ("nus-cole/vlpl", {"source.threshold": 0.1, "source.temperature": 0.03}),
        ("cub/vlpl", {"lr": 1e-4, "source.threshold": 0.01, "template": "A photo of {}"}),
        ("cub/aevlp", {"source.top_k": 32, "method.q3": 1.5, "expected_positives": 31.4}),
        ("coco2014/aevlp", {"epochs": 8, "stop": "drop-2-or-2-misses", "source.negatives": 0.3}),
        ("cub/role", {"expected_positives": 31.4}),
    ],
)
def test_published_settings(name: str, wanted: dict[str, Any]) -> None:
    found = load_recipe(name).train
    for key, value in wanted.items():
        first, _, second = key.partition(".")
        assert (found[first][second] if second else found[first]) == value, key


def test_oracles_and_embeddings() -> None:
    assert load_recipe("cub/bce").simulate == {"positives": -1, "negatives": -1}
    assert load_recipe("cub/iun").simulate == {"negatives": -1}
    assert load_recipe("cub/an").simulate == {}
    assert load_recipe("cub/aevlp").embed == {
        "vlm": "ViT-B-16/openai", "preprocess": "released-aevlp", "views": "grid:5",
    }  # fmt: skip


def test_what_is_not_confirmed_is_marked_and_listed() -> None:
    for data_set in ("coco2014", "nus-official", "cub"):
        assert load_recipe(f"{data_set}/gr").unconfirmed
    assert not load_recipe("voc2012/gr").unconfirmed
    for method in ("wan", "an-nls", "l1r", "l2r", "entmin", "focal", "asl", "role", "epr", "hill", "splc"):
        assert load_recipe(f"voc2012/{method}").unconfirmed, method
    for method in ("an", "em", "em-apl", "vlpl", "ll-r", "bce", "iun"):
        assert not load_recipe(f"voc2012/{method}").unconfirmed, method
    shown = listing()
    for name in NAMES:
        assert f"  {name} " in shown
        recipe = load_recipe(name)
        assert all(text in shown for text in (*recipe.unconfirmed, *recipe.differs))
    assert all(name in shown for name in backbones())


@pytest.mark.parametrize("backbone", backbones())
def test_a_variant_changes_the_network_and_nothing_of_the_method(backbone: str) -> None:
    import timm

    plain, variant = load_recipe("nus-official/vlpl"), load_recipe(f"nus-official/vlpl/{backbone}")
    changed = {key for key, value in variant.train.items() if value != plain.train[key]}
    assert changed <= {"backbone", "photo_size", "batch_size"}
    architecture, _, tag = variant.train["backbone"].partition(".")
    assert f"{architecture}.{tag}" in timm.list_models(architecture, include_tags=True)
    assert variant.setting == ("" if backbone == "resnet50.tv_in1k" else backbone)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("voc2012", "a recipe is named DATA_SET/METHOD"),
        ("voc2012/vpl", "did you mean 'vlpl'?"),
        ("voc2013/vlpl", "unknown data set 'voc2013' (did you mean 'voc2012'?)"),
        ("nus/vlpl", "unknown data set 'nus'"),
        ("cub/vlpl/resnet50.tv_in1", "did you mean 'resnet50.tv_in1k'?"),
        ("cub/vlpl/a/b", "a recipe is named DATA_SET/METHOD"),
    ],
)
def test_names_that_are_none(name: str, message: str) -> None:
    with pytest.raises(OneLabelError) as caught:
        load_recipe(name)
    assert message in str(caught.value)
