"""From which probability on each class counts as present, fitted to what is known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from onelabel.evaluation.blocks import Matrix, column_blocks, shape_of
from onelabel.evaluation.cuts import cut_for, share_cut
from onelabel.evaluation.ece import require_probs
from onelabel.evaluation.f1 import F1Scores, f1_at
from onelabel.evaluation.metrics import Support, support
from onelabel.evaluation.rules import Rule, parse_rule
from onelabel.io.errors import OneLabelError, unknown_name

Scope = Literal["shrunk", "class", "all"]
"""Thresholds per class drawn towards a common one, per class as they are, or one for all classes."""

SHRINKAGE = 10.0
"""Number of examples of a class that count as much as the common threshold."""

_EDGE = 1e-7
"""Keeps log-odds finite."""

Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FittedThresholds:
    """The result of :func:`fit_thresholds`.

    Attributes:
        values: (C,) thresholds; present means probability >= threshold.
        own: (C,) what each class alone asks for; NaN where it cannot tell.
        weight: (C,) share of ``own`` in ``values``, in [0, 1].
        common: the threshold of all classes together.
        rule: what was asked for.
        scope: "shrunk", "class" or "all".
        shrinkage: k of the weight; 0 but for "shrunk".
        class_ids: of the columns.
        images: number of images.
        known: known present, absent and unknown images per class.
        reached: precision, recall and F1 of ``values`` on these very images.
    """

    values: Vector
    own: Vector
    weight: Vector
    common: float
    rule: Rule
    scope: Scope
    shrinkage: float
    class_ids: tuple[str, ...]
    images: int
    known: Support
    reached: F1Scores

    def source(self, data: str = "") -> str:
        """Return where the thresholds come from, in words.

        Args:
            data: what the images are called, such as the name of the label file.
        """
        how = {
            "all": "one for all classes",
            "class": "per class",
            "shrunk": f"per class, drawn to a common one by the weight of {self.shrinkage:g} examples",
        }[self.scope]
        blind = "" if self.rule.needs_absent else "; " + _BLIND[self.rule.name]
        of = f" of {data}" if data else ""
        return f"{self.rule.words}, fitted to {self.images} images{of}, {how}{blind}"

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know of single classes, in sentences."""
        lacking = [c for c in np.flatnonzero(np.isnan(self.own)) if self.scope != "all"]
        able = can_tell(self.rule, self.known)
        notes = []
        if unknown := [self.class_ids[c] for c in lacking if not able[c]]:
            what = "known positives and known absences" if self.rule.needs_absent else "known positives"
            notes.append(f"without {what}, {_names(unknown)} take the common threshold {self.common:.3g}")
        if unable := [self.class_ids[c] for c in lacking if able[c]]:
            notes.append(
                f"no threshold reaches {self.rule.words.partition(' or more')[0]} for {_names(unable)} on "
                f"these images: they take the common threshold {self.common:.3g} and do not keep the promise"
            )
        return tuple(notes)

    def to_dict(self) -> dict[str, Any]:
        """Return what was fitted and what it reached, for JSON; what is not defined is None."""
        columns = {
            "threshold": self.values, "own": self.own, "weight": self.weight,
            "positive": self.known.positive, "negative": self.known.negative, "unknown": self.known.unknown,
            "precision": self.reached.precision, "recall": self.reached.recall, "f1": self.reached.f1,
            "predicted": self.reached.predicted,
        }  # fmt: skip
        lists = {name: [_plain(value) for value in column] for name, column in columns.items()}
        rows = [{name: lists[name][c] for name in lists} for c in range(len(self.class_ids))]
        return {
            "rule": str(self.rule), "scope": self.scope, "shrinkage": self.shrinkage,
            "common": _plain(self.common), "images": self.images,
            "classes": dict(zip(self.class_ids, rows, strict=True)), "notes": list(self.notes),
        }  # fmt: skip


_BLIND = {
    "recall": "known absences were not used, so how many decisions are false is not known",
    "share": "the share was given, not measured, so how many decisions are false is not known",
}


def fit_thresholds(
    probs: Matrix,
    labels: Matrix,
    class_ids: Sequence[str],
    rule: str | Rule = "f1",
    scope: Scope | None = None,
    shrinkage: float = SHRINKAGE,
) -> FittedThresholds:
    """Fit the thresholds that follow a rule, from the known entries.

    Each class alone asks for t_c, all known entries together for the common t̄ (see
    :func:`onelabel.evaluation.cuts.cut_for`). With scope "shrunk" the threshold of class c is

        σ(w_c · logit t_c + (1 − w_c) · logit t̄),   w_c = n_c / (n_c + k),

    n_c being the number of known positives or known absences, whichever is smaller (for ``recall`` the known
    positives): a rare class says little of its own and takes nearly the common threshold. With scope "class"
    it is t_c, with "all" it is t̄. A class that cannot tell takes t̄: ``f1``, ``precision`` and ``cost`` need
    known positives and known absences, ``recall`` needs known positives. ``share`` uses no labels.

    What a rule promises holds on these images for scope "class" (in each class that can tell) and for "all"
    (over all known entries, but for classes of which only positives are known). Drawing the thresholds
    together gives that up for a better guess on new images; ``reached`` says what became of it. Why not from
    positives alone: nothing called present is then known to be wrong, and the best F1, precision and cost are
    those of calling everything present.

    Args:
        probs: (N, C) probabilities in [0, 1].
        labels: (N, C) signed integers, +1 present, 0 unknown, -1 absent.
        class_ids: C ids of the columns.
        rule: see :func:`onelabel.evaluation.rules.parse_rule`.
        scope: "shrunk", "class" or "all"; by default "all" for ``recall`` and ``share``, else "shrunk".
        shrinkage: k, 0 or more.

    Raises:
        OneLabelError: no class can tell what the rule asks, no threshold of all classes together reaches it,
            or probabilities outside [0, 1].

    Example:
        >>> probs = np.array([[0.9, 0.2], [0.4, 0.3], [0.1, 0.1]])
        >>> labels = np.array([[1, 1], [-1, 1], [-1, -1]], dtype=np.int8)
        >>> fit_thresholds(probs, labels, ["cat", "dog"], scope="class").values
        array([0.65, 0.15])
        >>> fit_thresholds(probs, np.maximum(labels, 0), ["cat", "dog"], "f1")
        Traceback (most recent call last):
        onelabel.io.errors.OneLabelError: rule f1 needs a class with known positives and known absences...
    """
    rule = parse_rule(rule) if isinstance(rule, str) else rule
    scope = scope or ("shrunk" if rule.needs_absent else "all")
    _check(rule, scope, shrinkage)
    images, classes = shape_of(probs, labels)
    if len(class_ids) != classes:
        raise OneLabelError(f"{len(class_ids)} class ids for {classes} columns of probabilities")
    known = support(labels)
    able = can_tell(rule, known)
    if not able.any() or not images:
        raise OneLabelError(_refusal(rule))
    pooled = known.judgeable if rule.needs_absent else able
    own, common = _cuts(rule, probs, labels, able & (scope != "all"), pooled)
    if np.isnan(common):
        raise OneLabelError(
            f"rule {rule}: no threshold reaches it, all classes of these {images} images taken together"
        )
    weight = _weight(rule, known, scope, shrinkage) * ~np.isnan(own)
    values = _drawn(own, weight, common)
    return FittedThresholds(
        values=values, own=own, weight=weight, common=common, rule=rule, scope=scope,
        shrinkage=shrinkage if scope == "shrunk" else 0.0, class_ids=tuple(class_ids), images=images,
        known=known, reached=f1_at(probs, labels, values),
    )  # fmt: skip


def can_tell(rule: Rule, known: Support) -> NDArray[np.bool_]:
    """Return which classes have the labels that a rule asks for, (C,).

    Example:
        >>> can_tell(parse_rule("f1"), support(np.array([[1, 1], [0, -1], [0, 1]], dtype=np.int8)))
        array([False,  True])
    """
    if rule.name == "share":
        return np.ones(len(known.positive), np.bool_)
    return (known.positive > 0) & ((known.negative > 0) | (not rule.needs_absent))


def _check(rule: Rule, scope: Scope, shrinkage: float) -> None:
    if scope not in get_args(Scope):
        raise unknown_name("scope", scope, get_args(Scope))
    if rule.name == "share" and scope == "shrunk":
        raise OneLabelError(
            "rule share needs no shrinkage, it uses no labels: scope all gives one threshold, scope class "
            "gives every class the same share"
        )
    if not 0 <= shrinkage < np.inf:
        raise OneLabelError(f"the shrinkage must be 0 or more, not {shrinkage}")


def _refusal(rule: Rule) -> str:
    if rule.name == "share":
        return "rule share needs at least one image"
    if not rule.needs_absent:
        return f"rule {rule} needs known positives, and there are none"
    return (
        f"rule {rule} needs a class with known positives and known absences, and there is none: with "
        "positives alone nothing called present is known to be wrong, and calling everything present would "
        "be best. Use recall:R or share:PI, or check some images completely (--exhaustive, if what is not "
        "marked is absent)"
    )


def _cuts(
    rule: Rule, probs: Matrix, labels: Matrix, alone: NDArray[np.bool_], together: NDArray[np.bool_]
) -> tuple[Vector, float]:
    """Return the thresholds of some classes, NaN for the others, and the common one of some classes."""
    own, pools = np.full(len(alone), np.nan), ([], [])  # type: tuple[Vector, tuple[list[Any], list[Any]]]
    for column, row, marks in _columns(probs, labels):
        parts = (row, row[:0]) if rule.name == "share" else (row[marks > 0], row[marks < 0])
        if alone[column]:
            own[column] = _cut(rule, *parts)
        if together[column]:
            for pool, part in zip(pools, parts, strict=True):
                pool.append(part)
    return own, _cut(rule, *(np.concatenate(pool) for pool in pools))


def _cut(rule: Rule, first: Any, second: Any) -> float:
    return share_cut(first, rule.numbers[0]) if rule.name == "share" else cut_for(rule, first, second)


def _columns(probs: Matrix, labels: Matrix) -> Iterator[tuple[int, Any, Any]]:
    for columns, block, known in column_blocks(probs, labels):
        require_probs(block)
        for offset, (row, marks) in enumerate(zip(block, known, strict=True)):
            yield columns.start + offset, row, marks


def _weight(rule: Rule, known: Support, scope: Scope, shrinkage: float) -> Vector:
    if scope != "shrunk":
        return np.full(len(known.positive), float(scope == "class"))
    count = np.minimum(known.positive, known.negative) if rule.needs_absent else known.positive
    return count / np.maximum(count + shrinkage, np.finfo(np.float64).tiny)


def _drawn(own: Vector, weight: Vector, common: float) -> Vector:
    """Mix on the scale of log-odds; where a weight is 0 or 1, the threshold stays exactly as it is."""
    odds = _logit(np.where(np.isnan(own), common, own)) * weight + _logit(np.full(1, common)) * (1 - weight)
    mixed = (1 / (1 + np.exp(-odds))).astype(np.float32).astype(np.float64)
    return np.where(weight == 0, common, np.where(weight == 1, own, mixed))


def _logit(probs: Vector) -> Vector:
    inside = np.clip(probs, _EDGE, 1 - _EDGE)
    odds: Vector = np.log(inside) - np.log1p(-inside)
    return odds


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:5]))
    return f"{shown} and {len(names) - 5} more classes" if len(names) > 5 else shown


def _plain(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not np.isfinite(value) else value
