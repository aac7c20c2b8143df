"""The steps of ``onelabel train`` once its options are checked.

They import torch, which ``onelabel train --help`` does not need; hence a file of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from onelabel.cli.choices import METHOD, RULE, SOURCE, complete
from onelabel.cli.reading import read_second
from onelabel.labels.table import LabelTable
from onelabel.training.checkpoint import Checkpoints
from onelabel.training.parts import divide
from onelabel.training.recipe import Recipe, make_recipe, usual_source
from onelabel.training.resume import Keep, look
from onelabel.training.settings import Settings
from onelabel.training.team import ALONE, Team

Config = Mapping[str, Any]
_USUAL = {"features": {"epochs": 25, "lr": 1e-3}, "backbone": {"epochs": 10, "lr": 1e-5}}


def resolve(config: Config) -> dict[str, Any]:
    """Fill in every setting that depends on another, so that ``config.yaml`` holds what was used.

    Raises:
        OneLabelError: a setting out of range, or an unknown method or source.
    """
    usual = _USUAL["features" if config["backbone"] is None else "backbone"]
    found = {**config, **{key: value for key, value in usual.items() if config[key] is None}}
    _settings(found)
    Keep(every=config["checkpoint_every"])
    source = usual_source(str(config["method"]["name"]), config["source"], config["rule"])
    found["method"], found["source"] = complete(METHOD, config["method"]), source and complete(SOURCE, source)
    found["rule"] = config["rule"] and complete(RULE, config["rule"])
    return found


def _settings(config: Config) -> Settings:
    return Settings(**{field.name: config[field.name] for field in fields(Settings)})


def read_val(config: Config, class_ids: tuple[str, ...], reading: Config) -> LabelTable | None:
    """Read ``--val`` as the labels were read, but for ``--val-exhaustive``.

    Raises:
        OneLabelError: the file cannot be read.
    """
    if config["val"] is None:
        return None
    print("\nvalidation labels:")
    options = {**reading, "images": config["images"]}
    return read_second(config["val"], class_ids, options, config["val_exhaustive"])


def finished(config: Config) -> bool:
    """Say whether the run that is to be resumed is finished, and print so.

    Raises:
        OneLabelError: the folder is that of a run with other settings, or no run folder.
    """
    done = look(config["out"], config) == "finished"
    if done:
        Checkpoints(config["out"]).remove()  # the process may have been killed just before it did
        print(f"the run in {config['out']} is finished: there is nothing to resume")
    return done


def start(
    config: Config, table: LabelTable, val: LabelTable | None, *, resume: bool = False, team: Team = ALONE
) -> None:
    """Divide the images, build method and source, train, and print what came out.

    Args:
        config: resolved settings.
        table: all labels given for training.
        val: labels of ``--val``, or None.
        resume: go on with the run in the folder.
        team: the processes that train together.

    Raises:
        OneLabelError: something does not fit together (then nothing has been written), or the run fails.
    """
    parts = divide(table, val, config["val_fraction"], config["split_seed"])
    _print_notes(parts.notes)
    recipe = make_recipe(
        parts, config["method"], _settings(config), source=config["source"], rule=config["rule"],
        rules=config["rules"], vlm_store=config["vlm_store"], template=config["template"],
        expected_positives=config["expected_positives"], init=config["init"],
    )  # fmt: skip
    _print_notes((*recipe.method.notes, *getattr(recipe.source, "notes", ())))
    print(_plan(recipe))
    print(_fit(recipe, config, Keep(resume, config["checkpoint_every"]), team))


def _print_notes(notes: Iterable[str]) -> None:
    for note in notes:
        print(f"note: {note}")


def _plan(recipe: Recipe) -> str:
    """Say in a line what is about to happen."""
    parts, settings = recipe.parts, recipe.settings
    use = "are scored at the end" if settings.select == "last" else "choose the epoch"
    judges = "no validation images" if parts.val is None else f"{len(parts.val):,} {use}"
    epochs = f"{settings.epochs} epoch{'s' if settings.epochs > 1 else ''}"
    return f"\ntraining {recipe.described['name']} for {epochs} on {len(parts.train):,} images, {judges}"


def _fit(recipe: Recipe, config: Config, keep: Keep, team: Team) -> str:
    """Train, and return what to print."""
    if config["features"] is not None:
        from onelabel.training.pipeline import train_on_features

        return train_on_features(recipe, config["features"], config["out"], config, keep)
    from onelabel.training.pipeline_finetune import train_backbone

    return train_backbone(
        recipe, config["backbone"], config["images"], config["out"], config, precision=config["precision"],
        workers=config["workers"], max_pixels=config["max_pixels"], photo_size=config["photo_size"],
        keep=keep, team=team, strategy=config["strategy"],
    )  # fmt: skip
