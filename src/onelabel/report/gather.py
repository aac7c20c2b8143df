"""Gathering what a report is made of; what cannot be had is said, never invented."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from onelabel.evaluation.bootstrap import MapInterval, bootstrap_map
from onelabel.io.errors import OneLabelError
from onelabel.io.manifest import digest_json
from onelabel.labels.table import LabelTable
from onelabel.models.bundle import Bundle
from onelabel.report.again import parts_again
from onelabel.report.material import Judged, Logits, Material
from onelabel.sources.grade import grade
from onelabel.training.judge import judge, score_features
from onelabel.training.opening import Wanted, open_wanted, provenance
from onelabel.training.pseudo import ask
from onelabel.training.run_folder import RunFolder
from onelabel.vlm.features import open_features

T = TypeVar("T")
_USUAL, _FEWEST, _CELLS = 1000, 200, 4 * 10**8
"""Draws of the bootstrap: as many as usual, but no more cells than some half a minute takes."""
_FLATTERS = "the {:,} validation images of the run"


def gather(
    run: RunFolder,
    bundle: Bundle,
    *,
    given: tuple[str, LabelTable, Logits] | None = None,
    photos: str | None = None,
    draws: int | None = None,
) -> Material:
    """Collect what a run left behind and what can be found again.

    Args:
        run: the run folder.
        bundle: its model.
        given: which images to judge the model by, in words, their labels and logits; by default the
            validation images of the run.
        photos: image folder; by default that of the run, if there is one.
        draws: of the bootstrap; 0 for no interval, None for 1000, or fewer where that would take long.
    """
    config, gaps = run.config, list[str]()
    parts = _attempt(
        gaps,
        "The labels that the model was trained on could not be read again, so their counts per class and the "
        "most likely missing positives are left out",
        lambda: parts_again(config, bundle.facts, bundle.class_ids),
    )
    train = None if parts is None else parts.train
    val = None if parts is None else parts.val
    judged = (
        _judge_val(run, bundle, val, draws, gaps) if given is None else _judge(bundle, *given, False, draws)
    )
    folder = photos or config.get("images")
    if folder is None or not Path(folder).is_dir():
        gaps.append("No photos are shown: give their folder with --images.")
        folder = None
    return Material(
        run,
        bundle,
        train,
        None if train is None else _score_train(config, bundle, train, gaps),
        judged,
        None if train is None else _grade(config, bundle.method, train, gaps),
        None if folder is None else Path(folder),
        tuple(gaps),
    )


def _attempt(gaps: list[str], lacking: str, work: Callable[[], T]) -> T | None:
    try:
        return work()
    except OneLabelError as error:
        gaps.append(f"{lacking}: {error}.")
        return None


def _judge_val(
    run: RunFolder, bundle: Bundle, val: LabelTable | None, draws: int | None, gaps: list[str]
) -> Judged | None:
    """Judge by the validation images; by what the run recorded of them, where their labels are gone."""
    if val is None:
        recorded = run.metrics.get("val")
        if recorded is None:
            gaps.append(
                "The run had no validation images, so nothing says how good the model is: give labelled "
                "images with --labels FILE and --images DIR."
            )
            return None
        return Judged(_FLATTERS.format(recorded["images"]), True, recorded)
    saved = run.predictions()
    if saved is None:
        raise OneLabelError(f"{run.path} holds no predictions.npz: the folder was changed")
    ids, classes, logits = saved
    if list(ids) != list(val.ids) or classes != bundle.class_ids:
        raise OneLabelError(f"{run.path / 'predictions.npz'} is not of the run's validation images")
    return _judge(bundle, _FLATTERS.format(len(val)), val, logits, True, draws)


def _judge(
    bundle: Bundle, what: str, table: LabelTable, logits: Logits, chose: bool, draws: int | None
) -> Judged:
    found = judge(bundle, table, logits)
    interval: MapInterval | None = None
    if draws is None:
        draws = int(np.clip(_CELLS // max(1, logits.size), _FEWEST, _USUAL))
    if draws and found.mean_ap.classes_used:
        interval = bootstrap_map(logits, table.dense(), draws=draws, groups=table.groups)
    return Judged(what, chose, found.to_dict(), table, logits, interval)


def _score_train(
    config: Mapping[str, Any], bundle: Bundle, train: LabelTable, gaps: list[str]
) -> Logits | None:
    lacking = "The most likely missing positives of the training images are left out"
    if config.get("features") is None:
        gaps.append(
            f"{lacking}, as the network would have to read every training photo: to see them, give the "
            "training labels with --labels."
        )
        return None

    def work() -> Logits:
        if open_features(config["features"]).fingerprint != bundle.fingerprints.get("features"):
            raise OneLabelError(f"{config['features']} does not hold the features of this run any more")
        return score_features(bundle, train, config["features"])

    return _attempt(gaps, lacking, work)


def _grade(
    config: Mapping[str, Any], method: Mapping[str, Any], train: LabelTable, gaps: list[str]
) -> dict[str, Any] | None:
    """Ask the source of the run once more for every training image, unmirrored."""
    asked = {key: method[key] for key in ("source", "rule", "rules") if method.get(key) is not None}
    if not asked:
        return None

    def work() -> dict[str, Any]:
        if _names_code(asked):
            raise OneLabelError("their source is code of your own, and a report runs no such code")
        templates = (method["template"],) if "template" in method else ()
        wanted = Wanted(
            **asked, vlm_store=config.get("vlm_store"), templates=templates, seed=int(config.get("seed", 0))
        )
        source = open_wanted(wanted, train.classes)
        source.start(train)
        if digest_json(provenance(source, wanted)) != digest_json(method.get("provenance")):
            raise OneLabelError("their source is not what it was when the run was trained")
        decision = ask(source, train).decision
        assert decision is not None
        return grade(decision, train.dense(), train.class_ids).to_dict()

    return _attempt(gaps, "How good the pseudo-labels are is left out", work)


def _names_code(value: Any) -> bool:
    """Say whether settings name a class of somebody's own, ``module:Class``."""
    if isinstance(value, Mapping):
        return ":" in str(value.get("name", "")) or any(map(_names_code, value.values()))
    return isinstance(value, list) and any(map(_names_code, value))
