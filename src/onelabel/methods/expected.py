"""Losses that look at the expected number of positives per image, and where that number comes from."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from onelabel.io.errors import OneLabelError
from onelabel.labels.table import LabelTable
from onelabel.losses.base import Loss
from onelabel.methods.base import Context, LossMethod
from onelabel.sources.checked import checked_positives


class ExpectedLossMethod(LossMethod):
    """A loss that takes the expected number of positives per image, by default from the run's context.

    A loss that trains on pseudo-labels and can do without takes it from the checked images among the training
    images, where there are some, and is left without it else.

    Args:
        kind: class of the loss, whose constructor has a parameter ``expected``.
        params: parameters of the loss; ``expected`` may be missing, or None, until :meth:`start`.
        needs_source: whether it takes pseudo-labels.

    Example:
        >>> from onelabel.losses import EPR
        >>> ExpectedLossMethod(EPR, {"expected": 1.5}).criterion
        EPR(reduction='mean', eps=0.0, expected=1.5)
    """

    def __init__(self, kind: type[Loss], params: Mapping[str, Any], needs_source: bool = False) -> None:
        # Until the number is known, any will do: it is the other parameters that are checked now.
        given = {key: value for key, value in params.items() if key != "expected" or value is not None}
        super().__init__(kind(**{"expected": 0.0} | given), needs_source)
        self.kind, self.given = kind, given
        self._note = ""

    @property
    def notes(self) -> tuple[str, ...]:
        return (self._note,) if self._note else ()

    def start(self, context: Context) -> None:
        super().start(context)
        if "expected" in self.given:
            return
        expected = expected_positives(None, context, needed=_needed(self.kind))
        if self.needs_source:
            expected, self._note = _from_checked(expected, context.table)
        self.criterion = self.kind(**self.given | {"expected": expected})


def _from_checked(expected: float | None, table: LabelTable) -> tuple[float | None, str]:
    """Return the expected number of positives, and where it is from."""
    if expected is not None:
        return expected, f"{expected:g} labels expected per image, as given"
    checked = checked_positives(table)
    if checked is None:
        return None, (
            "the number of labels per image is not given, and too few images are checked to take it from "
            "them: the loss does without"
        )
    return checked.mean, f"{checked.mean:.2f} labels expected per image, from {checked.images} checked images"


def _needed(kind: type[Loss]) -> bool:
    parameter = inspect.signature(kind).parameters["expected"]
    return parameter.default is parameter.empty


def expected_positives(given: float | None, context: Context, *, needed: bool = True) -> float | None:
    """Return the expected number of positives per image: a method's parameter, or else the run's.

    Raises:
        OneLabelError: ``needed``, and neither is there.
    """
    expected = context.expected_positives if given is None else given
    if expected is None and needed:
        raise OneLabelError(
            "this method needs the expected number of positive labels per image: give --expected-positives "
            "(papers use 1.5 for VOC, 2.9 for COCO, 1.9 for NUS-WIDE, 31.4 for CUB)"
        )
    return expected
