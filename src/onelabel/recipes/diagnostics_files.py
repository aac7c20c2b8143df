"""The numbers of the diagnostics as JSON, CSV and text."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from onelabel.io.atomic import atomic_write
from onelabel.recipes.diagnostics_k import KEstimate, chance_missing
from onelabel.recipes.diagnostics_missing import QUANTILES, MissingLabels
from onelabel.report.text import percent, shorten

_NAME = 32


def write_numbers(folder: Path, found: MissingLabels, k: KEstimate | None) -> None:
    """Write ``diagnosis.json``, ``classes.csv`` and ``bins.csv`` into a folder.

    Raises:
        OneLabelError: a file cannot be written.
    """
    with atomic_write(folder / "diagnosis.json") as stream:
        json.dump(_plain(summary(found, k)), stream, indent=1, ensure_ascii=False)
    rows = zip(found.class_ids, found.observed, found.missing, found.absent, found.class_auc, strict=True)
    write_csv(folder / "classes.csv", ("class", "observed", "missing", "absent", "auc"), rows)
    middles = (found.edges[:-1] + found.edges[1:]) / 2
    estimate = np.full(len(middles), np.nan) if k is None else k.curve(middles)
    at_random = chance_missing(middles, found.observed_share)
    columns = (
        found.edges[:-1], found.edges[1:], found.missing_counts, found.absent_counts, found.share_missing,
        estimate, at_random,
    )  # fmt: skip
    names = ("from", "to", "missing", "absent", "share_missing", "k", "observed_at_random")
    write_csv(folder / "bins.csv", names, zip(*columns, strict=True))


def summary(found: MissingLabels, k: KEstimate | None) -> dict[str, Any]:
    """Return what is not per class or per bin."""
    return {
        "entries": {"missing": found.missing.sum(), "absent": found.absent.sum()},
        "observed_positives": found.observed.sum(),
        "observed_share": found.observed_share,
        "auc": found.auc,
        "auc_mean_of_classes": _mean(found.class_auc),
        "distance": found.distance,
        "quantiles": {
            "at": list(QUANTILES),
            "missing": found.missing_quantiles,
            "absent": found.absent_quantiles,
        },
        "k": None if k is None else {"w": k.w, "b": k.b, "source": k.source},
    }


def table(found: MissingLabels, k: KEstimate | None, classes: int) -> str:
    """Return the readable text.

    Args:
        found: the numbers.
        k: the estimate of the run's loss, or None.
        classes: how many classes to list, most missing first.
    """
    low, high = found.absent_quantiles, found.missing_quantiles
    lines = [
        f"{found.missing.sum():,} missing positives, {found.absent.sum():,} true negatives; "
        f"{percent(found.observed_share)} % of the positives were observed",
        f"separation: AUC {percent(found.auc)} over all, {percent(_mean(found.class_auc))} mean of classes; "
        f"mean shift {found.distance:.3f}",
        f"probability, median (middle half): missing {high[2]:.3f} ({high[1]:.3f} to {high[3]:.3f}), "
        f"absent {low[2]:.3f} ({low[1]:.3f} to {low[3]:.3f})",
        "K: " + ("none" if k is None else f"sigmoid({k.w:.4g} p {k.b:+.4g}), {k.source}"),
        "", f"{'class':<{_NAME}} {'observed':>9} {'missing':>8} {'absent':>8} {'AUC':>6}",
    ]  # fmt: skip
    for c in np.argsort(-found.missing, kind="stable")[:classes]:
        lines.append(
            f"{shorten(found.class_ids[c], _NAME):<{_NAME}} {found.observed[c]:>9,} {found.missing[c]:>8,} "
            f"{found.absent[c]:>8,} {percent(float(found.class_auc[c])):>6}"
        )
    return "\n".join(lines)


def write_csv(file: Path, names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a CSV file; what is no finite number is blank.

    Raises:
        OneLabelError: it cannot be written.
    """
    with atomic_write(file) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([_plain(value) for value in row] for row in rows)


def _mean(values: np.ndarray[Any, Any]) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def _plain(value: Any) -> Any:
    """Return a value as strict JSON holds it; None for what is no finite number."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    return None if isinstance(value, float) and not np.isfinite(value) else value
