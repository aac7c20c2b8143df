"""The steps of ``onelabel benchmark`` once its options are checked; they import torch."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

from onelabel.cli import train as train_command
from onelabel.cli.guards import check_device
from onelabel.cli.parser import parse
from onelabel.cli.reading import read_loaded
from onelabel.evaluation.evaluate import Evaluation
from onelabel.io.errors import OneLabelError
from onelabel.labels.readers import save_labels
from onelabel.labels.readers.base import Loaded
from onelabel.labels.readers.registry import find_reader
from onelabel.labels.table import LabelTable
from onelabel.models.bundle_read import load_bundle
from onelabel.recipes.catalogue import Recipe
from onelabel.recipes.observed import Parts, observe_parts, prepared_name
from onelabel.recipes.published import find
from onelabel.recipes.results import Result, read_result, write_result
from onelabel.training.embedding import embed_photos
from onelabel.training.find_photos import find_photos
from onelabel.training.judge import judge, score_photos
from onelabel.training.run_folder import require_free

_SCORED_AT_ONCE = 32


@dataclass(frozen=True)
class Options:
    """What is not published: places, machine, seed, and what is to be done otherwise.

    Args:
        data: folder of the data set.
        out: run folder to make.
        prepared: folder for what runs share.
        changed: settings that replace those of the recipe.
        seed: of the run.
        workers: extra processes that read photos.
        device: where embeddings and test scores are computed; None for a GPU if there is one.
        max_pixels: larger photos are refused.
        overwrite: replace the run.
    """

    data: str
    out: str
    prepared: Path
    changed: Mapping[str, Any]
    seed: int
    workers: int
    device: str | None
    max_pixels: int
    overwrite: bool

    @property
    def place(self) -> str:
        """Where embeddings and test scores are computed."""
        return self.device or ("cuda" if torch.cuda.is_available() else "cpu")


def run_recipe(recipe: Recipe, options: Options) -> None:
    """Run a recipe from the archives to the record of its result, and print it beside the published one.

    Raises:
        OneLabelError: the data set is not complete enough, or any step fails.
    """
    require_free(options.out, overwrite=options.overwrite)
    check_device(options.place)
    for caution in recipe.cautions:
        print(f"note: {caution}")
    loaded = read_loaded(options.data, images=options.data, format=recipe.data_set)
    parts = _parts(recipe, loaded, options.data)
    options.prepared.mkdir(parents=True, exist_ok=True)
    labels = options.prepared / f"{prepared_name(recipe.data_set, options.data, recipe.simulate)}.csv"
    save_labels(parts.training, labels, overwrite=True)
    encoder = _encoder(recipe, options)
    store = options.prepared / prepared_name("embeddings", options.data, encoder)
    # Checked before hours are spent on embeddings.
    settings = _parsed(_settings(recipe, labels, store if encoder else None, options))
    if encoder:
        _embed(encoder, parts.training.part("train"), store, options)
    train_command.train(**settings)
    test = _score(parts.test, options)
    write_result(
        options.out, recipe, seed=options.seed, changed=options.changed, notes=loaded.notes,
        test=test.to_dict(),
    )  # fmt: skip
    print(f"\ntest images:\n{test.table(classes=5)}\n\n{_verdict(recipe, read_result(options.out))}")


def _parts(recipe: Recipe, loaded: Loaded, data: str) -> Parts:
    """Divide the data set; where something is missing, say what to download."""
    try:
        parts = observe_parts(loaded.table, recipe.simulate)
        find_photos(loaded.table, data)
    except OneLabelError as error:
        raise OneLabelError(f"{error}. {find_reader(loaded.format).download}") from None
    return parts


def _encoder(recipe: Recipe, options: Options) -> dict[str, str]:
    """Return how photos are embedded; nothing for a recipe without pseudo-labels."""
    if not recipe.embed:
        return {}
    given = {"views": "global", "preprocess": "encoder", **recipe.embed}
    return {**given, "vlm": options.changed.get("vlm", given["vlm"])}


def _embed(encoder: Mapping[str, str], table: LabelTable, store: Path, options: Options) -> None:
    """Encode the training images, unless an earlier run did; an interrupted one goes on."""
    if store.exists():
        print(f"embeddings of an earlier run are used: {store}")
        return
    embed_photos(
        table, options.data, str(store), kind="open_clip", spec=encoder["vlm"], views=encoder["views"],
        preprocess=encoder["preprocess"], mirrored=True, batch_size=_SCORED_AT_ONCE, workers=options.workers,
        max_pixels=options.max_pixels, device=options.place, overwrite=False,
    )  # fmt: skip


def _settings(recipe: Recipe, labels: Path, store: Path | None, options: Options) -> dict[str, Any]:
    """Return the options of ``onelabel train``."""
    changed = {key: value for key, value in options.changed.items() if key != "vlm"}
    run = {
        "labels": str(labels), "images": options.data, "out": options.out, "seed": options.seed,
        "workers": options.workers, "max_pixels": options.max_pixels, "overwrite": options.overwrite,
    }  # fmt: skip
    return {**recipe.train, **changed, **run, **({"vlm_store": str(store)} if store else {})}


def _parsed(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of the command ``train``, as if the settings had come with ``--config``."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "recipe.yaml"
        file.write_text(yaml.safe_dump(dict(settings), allow_unicode=True), encoding="utf-8")
        return parse("train", train_command, ["--config", str(file)])


def _score(table: LabelTable, options: Options) -> Evaluation:
    bundle = load_bundle(options.out, options.place)
    table = table.reorder(bundle.class_ids)
    logits = score_photos(bundle, table, options.data, _SCORED_AT_ONCE, options.workers, options.max_pixels)
    return judge(bundle, table, logits)


def _verdict(recipe: Recipe, result: Result) -> str:
    """Say what was measured and what was published, and what stands between the two."""
    found = find(recipe.data_set, recipe.method, recipe.setting)
    published = "; ".join(f"{each.text} ({each.source})" for each in found) or "no number was found"
    remarks = f"\n* {'; '.join(result.remarks)}" if result.remarks else ""
    return f"{recipe.name}: test mAP {result.text}; published: {published}{remarks}"
