"""The checks of ``onelabel check``: what is broken or doubtful before anything is trained."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onelabel.images.decode import MAX_PIXELS
from onelabel.images.folder import Resolved, list_images, resolve
from onelabel.io.ids import IdTable
from onelabel.labels.class_names import similar_class_names
from onelabel.labels.findings import KINDS, CheckReport, Finding, Severity, render
from onelabel.labels.photo_scan import Photos, scan
from onelabel.labels.table import LabelTable

__all__ = ["CheckReport", "Finding", "render", "run_checks"]

_SEVERITY: dict[str, Severity] = {"first_frame_only": "note"}
_ROWS_AT_ONCE = 256


def run_checks(
    table: LabelTable,
    images_root: str | Path | None = None,
    *,
    max_pixels: int = MAX_PIXELS,
    workers: int | None = None,
    decode: bool = True,
    copies: Collection[str] = (),
) -> CheckReport:
    """Check labels and, where an image folder is given, the photos.

    Labels: classes without a positive, class names that are nearly the same, images about which nothing is
    known, groups in more than one split. Photos: labels without a file and files without labels, unreadable
    and oversized images, files with the same bytes, whether their labels contradict
    each other, and whether they are in different splits.

    Args:
        table: the labels.
        images_root: the image folder; None checks the labels only.
        max_pixels: largest allowed width × height.
        workers: processes that read photos; None takes all cores. Scripts that start processes need
            ``if __name__ == "__main__":``.
        decode: decode every photo in full; False reads headers only, which is faster and misses truncated
            files.
        copies: files in the folder that the labels name beside the images of the table.

    Returns:
        The findings, as data (``to_dict``), as an exit code, and as text through :func:`render`.

    Raises:
        OneLabelError: ``images_root`` is not a folder, or an id leaves it.

    Example:
        >>> table = LabelTable.from_dense(["a.jpg"], ["dog", "Dog"], [[1, 0]])
        >>> [finding.kind for finding in run_checks(table).findings]
        ['class_without_positive', 'similar_class_names']
    """
    findings = [*_labels(table)]
    rows = np.zeros(0, np.int64)
    if images_root is not None:
        files = resolve(table.ids, images_root)
        rows = np.setdiff1d(np.arange(len(table)), files.missing)
        photos = scan(files.paths, rows, images_root, max_pixels=max_pixels, workers=workers, decoded=decode)
        findings += [*_files(table, files, images_root, copies), *_photos(table, photos)]
    order = list(KINDS)
    findings.sort(key=lambda finding: order.index(finding.kind))
    return CheckReport(len(table), table.num_classes, len(rows), decode, tuple(findings))


def _labels(table: LabelTable) -> Iterator[Finding]:
    positive = table.counts().positive
    for column in np.flatnonzero(positive == 0).tolist():
        yield Finding(
            "class_without_positive", "warning", (table.class_ids[column],), "no image is marked with it"
        )
    yield from similar_class_names(table.class_ids)
    unknown = table.counts_per_image().unknown
    for row in np.flatnonzero(unknown == table.num_classes).tolist():
        yield Finding(
            "nothing_known", "warning", (table.ids.text(row),), "no class is marked as present or absent"
        )
    yield from _groups_across_splits(table)


def _groups_across_splits(table: LabelTable) -> Iterator[Finding]:
    if table.groups is None or table.splits is None:
        return
    used = (table.groups >= 0) & (table.splits >= 0)
    pairs = np.unique(np.stack([table.groups[used], table.splits[used]], axis=1), axis=0)
    groups, start, count = np.unique(pairs[:, 0], return_index=True, return_counts=True)
    for i in np.flatnonzero(count > 1).tolist():
        group = int(groups[i])
        names = [table.split_names[split] for split in pairs[start[i] : start[i] + count[i], 1]]
        yield Finding(
            "group_across_splits", "error", (table.group_names.text(group),), f"is in {_listed(names)}"
        )


def _files(
    table: LabelTable, files: Resolved, root: str | Path, copies: Collection[str]
) -> Iterator[Finding]:
    for row in files.missing.tolist():
        yield Finding("missing_file", "error", (table.ids.text(row),), "no such file in the image folder")
    for row in files.by_stem.tolist():
        subjects = (table.ids.text(row), files.paths.text(row))
        yield Finding(
            "matched_by_stem", "note", subjects, "the file has another extension than the label says"
        )
    labelled = IdTable.from_strings(unicodedata.normalize("NFC", path) for path in files.paths)
    known = frozenset(copies)
    for name in list_images(root):
        if labelled.find(name) < 0 and name not in known:
            yield Finding("file_without_labels", "warning", (name,), "no label names this file")


def _photos(table: LabelTable, photos: Photos) -> Iterator[Finding]:
    for row, outcome in photos.problems.items():
        yield Finding(
            outcome.kind, _SEVERITY.get(outcome.kind, "error"), (table.ids.text(row),), outcome.message
        )
    for rows in photos.identical:
        subjects = tuple(table.ids.text(row) for row in rows.tolist())
        yield Finding("duplicate_images", "warning", subjects, "hold the same bytes")
        classes = _contradictions(table, rows)
        if classes:
            message = f"one is marked with, another without: {_listed(classes)}"
            yield Finding("duplicates_disagree", "error", subjects, message)
        splits = [] if table.splits is None else np.unique(table.splits[rows]).tolist()
        names = [table.split_names[split] for split in splits if split >= 0]
        if len(names) > 1:
            yield Finding("duplicates_across_splits", "error", subjects, f"are in {_listed(names)}")


def _contradictions(table: LabelTable, rows: NDArray[np.int64]) -> list[str]:
    """Return the classes that one of the images is known to have and another is known not to have."""
    highest = np.zeros(table.num_classes, np.int8)
    lowest = np.zeros(table.num_classes, np.int8)
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        labels = table.rows(rows[start : start + _ROWS_AT_ONCE])
        highest = np.maximum(highest, labels.max(axis=0))
        lowest = np.minimum(lowest, labels.min(axis=0))
    return [table.class_ids[column] for column in np.flatnonzero((highest == 1) & (lowest == -1)).tolist()]


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:5])
    return shown + (f" and {len(names) - 5} more" if len(names) > 5 else "")
