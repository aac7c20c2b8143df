"""A study from its settings to its results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from onelabel.io.errors import OneLabelError
from onelabel.labels.table import LabelTable
from onelabel.recipes.ablation_figures import Results, draw_study, study_table
from onelabel.recipes.ablation_folder import StudyFolder, check_study, digest_table, read_results
from onelabel.recipes.ablation_studies import Axis, cells_of
from onelabel.recipes.ablation_train import Bench, Photos, Trainer, on_features
from onelabel.training.parts import split_names
from onelabel.vlm.features import FeatureStore
from onelabel.vlm.store import EmbeddingStore


@dataclass(frozen=True)
class Asked:
    """A study to run.

    Args:
        study: its name.
        axes: what it varies.
        seeds: of the runs.
        name: of the data set, for the figure.
        beside: folders of finished grids of other data sets, drawn in the same figure.
        out: folder of the study.
    """

    study: str
    axes: Sequence[Axis]
    seeds: Sequence[int]
    name: str
    beside: Sequence[str]
    out: str


def run_study(asked: Asked, bench: Bench, network: FeatureStore | Photos) -> int:
    """Train every cell that is not finished, and write results and figure; return how many cells failed.

    Args:
        asked: the study.
        bench: what its cells share.
        network: the features that heads are trained on, or how whole networks are.

    Raises:
        OneLabelError: something does not fit together (then nothing has been written), or every cell failed.
    """
    if asked.beside and len(asked.axes) != 2:
        raise OneLabelError("--beside is for --study grid, whose figure can show several data sets")
    others = dict(read_results(folder, asked.study) for folder in asked.beside)
    if asked.name in others or len(others) < len(asked.beside):
        raise OneLabelError("two data sets have the same name in the figure: give another --name")
    shared = _shared(asked, bench, network)
    check_study(Path(asked.out), shared)
    trainer = _trainer(bench, network)
    cells = cells_of(asked.axes, asked.seeds)
    bench.recipe(cells[0], asked.axes)  # a mistake is found before the folder is made
    folder = StudyFolder(Path(asked.out), shared)
    results = folder.run(cells, asked.axes, lambda cell: bench.run(cell, asked.axes, trainer), print)
    folder.finish(results, asked.axes, asked.name, asked.study)
    failed = [row["failed"] for row in results if "failed" in row]
    if len(failed) == len(results):
        raise OneLabelError(f"every cell failed; the first: {failed[0]}")
    drawn: Mapping[str, Results] = {asked.name: results, **others}
    figure, _ = draw_study(folder.path, asked.axes, drawn)
    judged = "test" if bench.test is not None else "validation"
    print(f"\n{judged} images: {study_table(asked.axes, results)}\n")
    if failed:
        print(f"{len(failed)} of {len(results)} cells failed; run the same command again to try them again")
    print(f"results: {folder.path}   figure: {figure}")
    return len(failed)


def part_to_score(table: LabelTable) -> LabelTable | None:
    """Return the test images, or None where there is no such split."""
    names = split_names(table)
    return table.part(names["test"]) if "test" in names else None


def _trainer(bench: Bench, network: FeatureStore | Photos) -> Trainer:
    if isinstance(network, Photos):
        return network.trainer(bench.parts, bench.test)
    return on_features(network, bench.parts, bench.test)


def _shared(asked: Asked, bench: Bench, network: FeatureStore | Photos) -> dict[str, Any]:
    """Return all that decides the result of a cell beside its own values; JSON-like."""
    varied = {(axis.part, axis.parameter) for axis in asked.axes}
    method, source = (
        {key: value for key, value in given.items() if (part, key) not in varied}
        for part, given in (("method", bench.method), ("source", bench.source))
    )
    settings = {key: value for key, value in asdict(bench.settings).items() if key != "seed"}
    return {
        "study": asked.study,
        "method": method,
        "source": source,
        "settings": settings,
        "template": bench.template,
        "training labels": digest_table(bench.parts.train),
        "validation labels": digest_table(bench.parts.val),
        "test labels": digest_table(bench.test),
        "vision-language store": EmbeddingStore.open(bench.vlm_store).fingerprint,
        "network": _described(network),
    }


def _described(network: FeatureStore | Photos) -> dict[str, Any]:
    if not isinstance(network, Photos):
        return dict(network.fingerprint)
    return {"backbone": network.backbone, "photo_size": network.photo_size, "precision": network.precision}
