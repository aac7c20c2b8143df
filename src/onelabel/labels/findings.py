"""What a check found, as data and as text."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any, Literal

Severity = Literal["error", "warning", "note"]

KINDS: dict[str, str] = {
    "missing_file": "labels without a file",
    "unreadable_image": "images that cannot be read",
    "oversized_image": "images above the pixel limit",
    "duplicates_disagree": "identical images with contradicting labels",
    "duplicates_across_splits": "identical images in different splits",
    "group_across_splits": "groups in different splits",
    "duplicate_images": "identical images",
    "file_without_labels": "files without labels",
    "nothing_known": "images about which nothing is known",
    "class_without_positive": "classes without a positive",
    "similar_class_names": "class names that are nearly the same",
    "matched_by_stem": "files found by name without extension",
    "first_frame_only": "animations, of which only the first frame is used",
}
_EXAMPLES = 10


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found.

    Attributes:
        kind: a key of ``KINDS``.
        severity: ``"error"`` (cannot be right), ``"warning"`` (hardly meant), ``"note"`` (good to know).
        subjects: the image ids, files, classes or group that it is about.
        message: what is wrong with them.
    """

    kind: str
    severity: Severity
    subjects: tuple[str, ...]
    message: str


@dataclass(frozen=True)
class CheckReport:
    """The outcome of :func:`onelabel.labels.check.run_checks`.

    Attributes:
        images: images in the labels.
        classes: classes in the labels.
        photos: files that were read; 0 without an image folder.
        decoded: whether the photos were decoded in full, or only their headers were read.
        findings: in the order of ``KINDS``.
    """

    images: int
    classes: int
    photos: int
    decoded: bool
    findings: tuple[Finding, ...]

    def counts(self) -> dict[str, int]:
        """Return the number of findings of each kind that was found."""
        return dict(Counter(finding.kind for finding in self.findings))

    def exit_code(self, strict: bool = False) -> int:
        """Return 1 with ``strict`` when there is an error or a warning, else 0; notes never count."""
        return int(strict and any(finding.severity != "note" for finding in self.findings))

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON-ready values."""
        return {
            "kind": "onelabel-check",
            "format_version": 1,
            "images": self.images,
            "classes": self.classes,
            "photos": self.photos,
            "decoded": self.decoded,
            "counts": self.counts(),
            "findings": [
                {**asdict(finding), "subjects": list(finding.subjects)} for finding in self.findings
            ],
        }


def render(report: CheckReport) -> str:
    """Return the report as plain text: a table of what was found, then up to ten examples of each.

    Example:
        >>> finding = Finding("missing_file", "error", ("a.jpg",), "no such file")
        >>> print(render(CheckReport(images=2, classes=3, photos=1, decoded=True, findings=(finding,))))
        checked 2 images, 3 classes; 1 photo decoded
        <BLANKLINE>
        error      1  labels without a file
        <BLANKLINE>
        error: labels without a file
          a.jpg: no such file
    """
    blocks = [_headline(report)]
    if not report.findings:
        blocks[0] += "\nnothing found that needs attention"
    by_kind: dict[tuple[str, Severity], list[Finding]] = {}
    for finding in report.findings:
        by_kind.setdefault((finding.kind, finding.severity), []).append(finding)
    if by_kind:
        blocks.append(
            "\n".join(f"{s:7} {len(found):>4}  {KINDS[kind]}" for (kind, s), found in by_kind.items())
        )
    blocks += [_examples(kind, severity, found) for (kind, severity), found in by_kind.items()]
    return "\n\n".join(blocks)


def _headline(report: CheckReport) -> str:
    known = f"checked {_number(report.images, 'image')}, {_number(report.classes, 'class')}; "
    if not report.photos:
        return known + "no photo read"
    return (
        known + f"{_number(report.photos, 'photo')} {'decoded' if report.decoded else 'read (headers only)'}"
    )


def _number(count: int, noun: str) -> str:
    plural = noun + ("es" if noun.endswith("s") else "s")
    return f"{count:,} {noun if count == 1 else plural}"


def _examples(kind: str, severity: Severity, found: list[Finding]) -> str:
    lines = [f"{severity}: {KINDS[kind]}"]
    lines += [f"  {_subjects(finding)}: {_plain(finding.message)}" for finding in found[:_EXAMPLES]]
    if len(found) > _EXAMPLES:
        lines.append(f"  ... and {len(found) - _EXAMPLES:,} more, see --json FILE")
    return "\n".join(lines)


def _subjects(finding: Finding) -> str:
    shown = ", ".join(_plain(subject) for subject in finding.subjects[:4])
    more = len(finding.subjects) - 4
    return shown + (f" and {more:,} more" if more > 0 else "")


def _plain(text: str) -> str:
    """Return text that cannot move the cursor or break the line, whatever a file is called."""
    return text if text.isprintable() and text == text.strip() and text else repr(text)
