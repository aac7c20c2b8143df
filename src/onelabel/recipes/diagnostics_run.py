"""From a run and two label files to the files of the diagnostics."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from onelabel.io.atomic import atomic_folder
from onelabel.io.errors import OneLabelError
from onelabel.labels.table import LabelTable
from onelabel.recipes.diagnostics_figures import draw_diagnostics
from onelabel.recipes.diagnostics_files import table, write_numbers
from onelabel.recipes.diagnostics_k import KEstimate
from onelabel.recipes.diagnostics_missing import missing_labels
from onelabel.training.parts import split_names
from onelabel.training.run_folder import RunFolder

_NAMED = 3


def unknown_part(observed: LabelTable, split: str | None) -> LabelTable:
    """Return the images to look at: the named split, else the training images.

    Raises:
        OneLabelError: there is no such split, or nothing in it is unknown.
    """
    if split is None and observed.splits is not None:
        split = split_names(observed).get("train")
        if split is None:
            raise OneLabelError(
                f"no split begins with train; give --split, one of {', '.join(observed.split_names)}"
            )
    chosen = observed if split is None else observed.part(split)
    if not int(chosen.counts().unknown.sum()):
        where = "the labels" if split is None else f"split {split!r}"
        raise OneLabelError(f"nothing is unknown in {where}: give the labels that the training saw")
    return chosen


def truth_of(observed: LabelTable, complete: LabelTable) -> LabelTable:
    """Return the complete labels of the observed images, in their order.

    Raises:
        OneLabelError: images are not there; names some.
    """
    rows = complete.ids.rows_of(observed.ids)
    lacking = np.flatnonzero(rows < 0)
    if len(lacking):
        some = ", ".join(repr(observed.ids.text(int(row))) for row in lacking[:_NAMED])
        raise OneLabelError(
            f"{len(lacking)} of {len(observed)} images have no complete labels, such as {some}"
        )
    return complete.take(rows).reorder(observed.class_ids)


def saved_scores(run: str | Path, table: LabelTable) -> NDArray[np.float32]:
    """Return the logits (N, C) that a run saved of its validation images, in the order of a table.

    Raises:
        OneLabelError: the run saved none, or none of these images.
    """
    saved = RunFolder(Path(run)).predictions()
    if saved is None:
        raise OneLabelError(f"{run} holds no predictions.npz: give --images DIR or --features STORE")
    ids, classes, logits = saved
    rows, lacking = ids.rows_of(table.ids), set(table.class_ids) - set(classes)
    if lacking or (rows < 0).any():
        what = f"class {min(lacking)!r}" if lacking else f"{(rows < 0).sum()} of the {len(table)} images"
        raise OneLabelError(
            f"predictions.npz of {run} holds no scores of {what} (a run saves those of its validation "
            "images): give --images DIR or --features STORE"
        )
    columns = np.array([classes.index(name) for name in table.class_ids], np.int64)
    return np.ascontiguousarray(logits[np.ix_(rows, columns)])


def diagnose_run(
    observed: LabelTable,
    complete: LabelTable,
    logits: NDArray[np.float32],
    k: KEstimate | None,
    out: str | Path,
    *,
    bins: int,
    show: int,
    overwrite: bool = False,
) -> str:
    """Write numbers and figures into a folder, all of them or nothing; return what to print.

    Args:
        observed: what the training knew of the images.
        complete: the truth, in the same order.
        logits: (N, C) of the model.
        k: the estimate of the run's loss, or None.
        out: folder to make.
        bins: of the probability.
        show: how many classes to list.
        overwrite: replace the folder if it exists.

    Raises:
        OneLabelError: the labels contradict each other, or the folder cannot be written.
    """
    probs = torch.sigmoid(torch.from_numpy(logits).double()).numpy()
    found = missing_labels(probs, observed.dense(), complete.dense(), observed.class_ids, bins)
    with atomic_folder(out, overwrite=overwrite) as folder:
        write_numbers(folder, found, k)
        draw_diagnostics(folder, found, k)
    return f"{table(found, k, show)}\n\nfigures and numbers: {out}"
