"""From finished trials to rows: means, paired differences, ranks, shares of the gap."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from onelabel.compare.checked import CheckedResult, difference_variance
from onelabel.compare.contenders import CHANCE, FULL, REFERENCE, Contender, LeftOut
from onelabel.compare.plan import HEAD_INITS, Plan
from onelabel.compare.statistics import Paired, holm, paired
from onelabel.compare.work import Trial

ALPHA = 0.05
BETTER, WORSE, UNCLEAR, NOISE = "better", "worse", "unclear", "noise"
UNSURE, SAME = "one seed", "the same"


@dataclass(frozen=True)
class Figure:
    """What rows are ordered by.

    Args:
        where: "test" or "checked".
        name: "map" or "pu_auc".
    """

    where: str
    name: str

    @property
    def title(self) -> str:
        """What a table calls it."""
        name = {"map": "mAP", "pu_auc": "pu_auc"}[self.name]
        return f"{name} on checked images" if self.where == "checked" else f"{name} on test images"

    def of(self, trial: Trial) -> float | None:
        """Return it from a trial, or None."""
        found = (trial[self.where] or {}).get(self.name)
        return None if found is None else float(found)


@dataclass(frozen=True)
class Row:
    """One contender.

    Attributes:
        contender: who.
        chosen: the trial of each seed that the selection score chose; empty where a seed failed.
        values: its figure for each seed, in [0, 1].
        error: why it failed, or "".
        difference: paired difference to AN, or None.
        adjusted: p value of it, adjusted for the number of methods; NaN where there is none.
        gap: share of the way from AN to complete labels, or None.
        rank: 1 for the best mean of those that a user could choose; None for others.
        by_init: mean figure with each start of the head, the best learning rate of each chosen by the score.
        images: intervals on checked images, or None.
        by_score: mean figure with the starts that the score chose, where another start was taken; else NaN.
    """

    contender: Contender
    chosen: tuple[Trial, ...] = ()
    values: tuple[float, ...] = ()
    error: str = ""
    difference: Paired | None = None
    adjusted: float = math.nan
    gap: float | None = None
    rank: int | None = None
    by_init: Mapping[str, float] = field(default_factory=dict)
    images: CheckedResult | None = None
    by_score: float = math.nan

    @property
    def key(self) -> str:
        """Its name."""
        return self.contender.key

    @property
    def mean(self) -> float:
        """Mean over the seeds; NaN where it failed."""
        return float(np.mean(self.values)) if self.values else math.nan

    @property
    def sd(self) -> float:
        """Standard deviation over the seeds; NaN with one."""
        return float(np.std(self.values, ddof=1)) if len(self.values) > 1 else math.nan

    @property
    def verdict(self) -> str:
        """In a word, whether it differs from AN by more than noise."""
        if self.difference is None:
            return ""
        if self.difference.low == self.difference.high == 0:
            return SAME
        if math.isnan(self.adjusted):
            return UNSURE
        if self.adjusted >= ALPHA:
            return NOISE if self.difference.low <= 0 <= self.difference.high else UNCLEAR
        return BETTER if self.difference.mean > 0 else WORSE

    def mean_of(self, where: str, name: str) -> float | None:
        """Return the mean of another figure over the seeds, None where a seed has none."""
        found = [(trial[where] or {}).get(name) for trial in self.chosen]
        values = [float(value) for value in found if value is not None]
        return float(np.mean(values)) if found and len(values) == len(found) else None


@dataclass(frozen=True)
class Summary:
    """The result of a comparison.

    Attributes:
        figure: what rows are ordered by.
        rows: best first; those that failed last.
        left_out: methods that could not run at all.
        plan: settings.
        classes: ids of the classes.
        notes: what else to know, a sentence each.
    """

    figure: Figure
    rows: tuple[Row, ...]
    left_out: tuple[LeftOut, ...]
    plan: Plan
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def row(self, key: str) -> Row | None:
        """Return a row that did not fail, or None."""
        return next((row for row in self.rows if row.key == key and row.values), None)

    @property
    def ranked(self) -> list[Row]:
        """The rows that a user could choose from, best first."""
        return [row for row in self.rows if row.rank is not None]

    @property
    def challenger(self) -> Row | None:
        """The best method but AN."""
        return next((row for row in self.ranked if row.key != REFERENCE), None)


Trials = Mapping[str, Sequence[Sequence[Trial]]]
"""Trials by key of the contender, then by seed."""


def choose(trials: Sequence[Trial]) -> Trial | None:
    """Return the trial with the highest selection score, the first of equals; None where all failed."""
    done = [trial for trial in trials if trial["error"] is None]
    return max(done, key=_selection, default=None)


def _selection(trial: Trial) -> float:
    return -math.inf if trial["selection"] is None else float(trial["selection"])


def figure_of(chance: Trial) -> Figure:
    """Return what to order by: the best that the labels allow, as chance has it too."""
    if chance["checked"] is not None and chance["checked"]["map"] is not None:
        return Figure("checked", "map")
    return Figure("test", "pu_auc" if chance["test"]["map"] is None else "map")


def make_rows(contenders: Sequence[Contender], trials: Trials, figure: Figure) -> list[Row]:
    """Return a row for each contender, without what depends on other rows.

    The settings of each are those that the selection score chose. Of AN, the start of the head is the one
    that did best on the judged images, if that is better: no method is to look good because the reference
    was held back by its start.
    """
    rows = [_row(contender, trials[contender.key], figure) for contender in contenders]
    return [_best_start(row, trials[row.key], figure) if row.key == REFERENCE else row for row in rows]


def _best_start(row: Row, by_seed: Sequence[Sequence[Trial]], figure: Figure) -> Row:
    best = max(row.by_init, key=lambda init: row.by_init[init], default="")
    if not row.values or not best or row.by_init[best] <= row.mean:
        return row
    chosen = [choose(trials) for trials in _with_init(by_seed, best)]
    values = [None if trial is None else figure.of(trial) for trial in chosen]
    return replace(
        row,
        chosen=tuple(trial for trial in chosen if trial is not None),
        values=tuple(value for value in values if value is not None),
        by_score=row.mean,
    )


def _row(contender: Contender, by_seed: Sequence[Sequence[Trial]], figure: Figure) -> Row:
    chosen = [choose(trials) for trials in by_seed]
    if any(trial is None for trial in chosen):
        return Row(contender, error=_reason(by_seed))
    done = tuple(trial for trial in chosen if trial is not None)
    values = [figure.of(trial) for trial in done]
    if any(value is None for value in values):
        return Row(contender, error=f"the test images of a seed do not allow {figure.name}")
    means = {init: _mean_with(by_seed, init, figure) for init in HEAD_INITS}
    return Row(
        contender,
        done,
        tuple(value for value in values if value is not None),
        by_init={init: mean for init, mean in means.items() if mean is not None},
    )


def _reason(by_seed: Sequence[Sequence[Trial]]) -> str:
    """Return why a contender failed: the reason of the first failure, and of how many seeds."""
    failed = [trials for trials in by_seed if choose(trials) is None]
    seeds = f"{len(failed)} of {len(by_seed)} seeds: " if len(failed) < len(by_seed) else ""
    return f"{seeds}{failed[0][0]['error']}"


def _mean_with(by_seed: Sequence[Sequence[Trial]], init: str, figure: Figure) -> float | None:
    """Return the mean figure with one start of the head."""
    best = [choose(trials) for trials in _with_init(by_seed, init)]
    values = [None if trial is None else figure.of(trial) for trial in best]
    kept = [value for value in values if value is not None]
    return float(np.mean(kept)) if len(kept) == len(values) else None


def _with_init(by_seed: Sequence[Sequence[Trial]], init: str) -> list[list[Trial]]:
    return [[t for t in trials if (t["setting"] or {}).get("head_init") == init] for trials in by_seed]


def relate(rows: Sequence[Row], images: Mapping[str, CheckedResult]) -> tuple[Row, ...]:
    """Return the rows with differences, adjusted p values, shares of the gap and ranks, best first.

    Args:
        rows: as :func:`make_rows` gives them.
        images: results on checked images by key; empty without such images.
    """
    found = _ranked([replace(row, images=images.get(row.key)) for row in rows])
    reference = next((row for row in found if row.key == REFERENCE and row.values), None)
    if reference is None:
        return tuple(found)
    full = next((row for row in found if row.key == FULL and row.values), None)
    found = [_related(row, reference, full, images) for row in found]
    tested = [row for row in found if row.contender.ranked and row.difference is not None]
    adjusted = dict(
        zip(
            [row.key for row in tested],
            holm([row.difference.p for row in tested if row.difference is not None]),
            strict=True,
        )
    )
    # References (zero-shot, complete labels) are not among the methods that are searched for a winner.
    return tuple(
        row if row.difference is None else replace(row, adjusted=adjusted.get(row.key, row.difference.p))
        for row in found
    )


def _ranked(rows: Sequence[Row]) -> list[Row]:
    order = sorted(rows, key=lambda row: (not row.values, -row.mean if row.values else 0.0))
    place, found = 0, []
    for row in order:
        counts = row.contender.ranked and bool(row.values)
        place += counts
        found.append(replace(row, rank=place if counts else None))
    return found


def _related(row: Row, reference: Row, full: Row | None, images: Mapping[str, CheckedResult]) -> Row:
    if not row.values or row.key in (REFERENCE, CHANCE):
        return row
    variance = difference_variance(images, row.key, REFERENCE) if row.key in images else 0.0
    gap = None
    if full is not None and row.key != FULL and full.mean > reference.mean:
        gap = (row.mean - reference.mean) / (full.mean - reference.mean)
    return replace(row, difference=paired(differences(row, reference), variance), gap=gap)


def differences(row: Row, other: Row) -> list[float]:
    """Return the paired differences of two rows, seed by seed."""
    return [a - b for a, b in zip(row.values, other.values, strict=True)]
