"""The catalogue of methods: every loss of :mod:`onelabel.losses`, and what needs more than a loss.

No torch here: the command line lists methods and checks names before anything heavy is imported.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from onelabel import losses
from onelabel.io.errors import OneLabelError, unknown_name
from onelabel.io.plugins import check_parameters, import_class
from onelabel.losses import LossInfo, papers
from onelabel.losses.papers import Paper

if TYPE_CHECKING:
    from onelabel.methods.base import Method


@dataclass(frozen=True, slots=True)
class MethodInfo:
    """One line of the catalogue.

    Args:
        name: what users type after ``--method``.
        family: group in the catalogue.
        summary: one line on what the method does.
        paper: where it comes from; None for a method without a paper.
        loss: name of its loss, for a method that is a loss and nothing more; else "".
        target: ``"module:Class"`` of a method with state or schedules of its own; else "".
        source: pseudo-label source that it brings along; else "".
        needs_pseudo: whether it trains on pseudo-labels.
        needs_expected: whether it must be told the expected number of positives per image.
        state: what it keeps per image, and how much, in words; else "".

    Example:
        >>> role = info("role")
        >>> role.state, role.needs
        ('estimated labels: 12 bytes per image and class', 'the expected number of positives')
    """

    name: str
    family: str
    summary: str
    paper: Paper | None
    loss: str = ""
    target: str = ""
    source: str = ""
    needs_pseudo: bool = False
    needs_expected: bool = False
    state: str = ""

    @property
    def needs(self) -> str:
        """What the user must give, in words."""
        source = ["pseudo-labels"] if self.needs_pseudo and not self.source else []
        images = ["embeddings of a vision-language model"] if self.source else []
        expected = ["the expected number of positives"] if self.needs_expected else []
        return ", ".join(source + images + expected)


STATEFUL = {
    "em-apl": ("em_apl:EMAPLMethod", "soft labels: 4 bytes per image and class"),
    "ll-cp": ("ll_cp:LLCpMethod", "flipped labels: 8 bytes each"),
    "role": ("role:ROLEMethod", "estimated labels: 12 bytes per image and class"),
}
"""Methods with state: the class, in a file of this folder, and what it keeps."""

EXPECTED = {"epr", "role"}
"""Losses that cannot do without the expected number of positives."""

LINEAR_INIT = MethodInfo(
    "role-li", "label estimation", "role, after a phase in which the head alone trains", papers.COLE,
    target="onelabel.methods.role:ROLELinearInitMethod", needs_expected=True, state=STATEFUL["role"][1],
)  # fmt: skip

PRESETS = (
    MethodInfo(
        "vlpl", "preset", "em-pl with pseudo-labels of a vision-language model", papers.VLPL,
        loss="em-pl", source="vlpl", needs_pseudo=True,
    ),
    MethodInfo(
        "aevlp", "preset", "gpr with pseudo-labels from a vision-language model's views of tiles",
        papers.AEVLP, loss="gpr", source="damp", needs_pseudo=True,
    ),
)  # fmt: skip


def catalogue() -> tuple[MethodInfo, ...]:
    """Return all methods, in the order of the documentation.

    Example:
        >>> [entry.name for entry in catalogue() if entry.state]
        ['em-apl', 'll-cp', 'role', 'role-li']
    """
    entries = [_of_loss(entry) for entry in losses.catalogue()]
    place = [entry.name for entry in entries].index("role")
    return (*entries[: place + 1], LINEAR_INIT, *entries[place + 1 :], *PRESETS)


def _of_loss(entry: LossInfo) -> MethodInfo:
    """The method of a loss: the loss itself, or the class that keeps its state."""
    file, state = STATEFUL.get(entry.name, ("", ""))
    return MethodInfo(
        entry.name, entry.family, entry.summary, entry.paper,
        loss="" if file else entry.name, target=file and f"onelabel.methods.{file}",
        needs_pseudo=entry.needs_pseudo, needs_expected=entry.name in EXPECTED, state=state,
    )  # fmt: skip


def info(name: str) -> MethodInfo:
    """Return the entry of a method.

    Raises:
        OneLabelError: no method has this name; the nearest one is named.

    Example:
        >>> info("vpl")
        Traceback (most recent call last):
        onelabel.io.errors.OneLabelError: unknown method 'vpl' (did you mean 'vlpl'?); known: ...
    """
    found = {entry.name: entry for entry in catalogue()}
    if name not in found:
        raise unknown_name("method", name, found)
    return found[name]


def load(name: str) -> type:
    """Import the class whose constructor holds the parameters of a method: a loss or a method.

    Args:
        name: name of the catalogue, or a third party's ``"package.module:Class"``.

    Raises:
        OneLabelError: unknown name, or nothing that is a loss or a method stands there.
    """
    if ":" not in name:
        entry = info(name)
        if entry.loss:
            return losses.load(entry.loss)
        name = entry.target
    from onelabel.losses.base import Loss
    from onelabel.methods.base import Method

    found = import_class("method", name)
    if not issubclass(found, Loss | Method):
        raise OneLabelError(f"method {name!r} is neither a Loss nor a Method")
    return found


def create(name: str, **params: Any) -> Method:
    """Build a method.

    Args:
        name: name of the catalogue, or ``"package.module:Class"``.
        params: parameters of its class.

    Raises:
        OneLabelError: unknown name or parameter (the nearest name is given), or a value out of range.

    Example:
        >>> create("em", alpha=0.2).criterion
        EM(reduction='mean', eps=0.0, alpha=0.2)
    """
    from onelabel.losses.base import Loss
    from onelabel.methods.base import LossMethod, Method
    from onelabel.methods.expected import ExpectedLossMethod

    kind: type[Loss | Method] = load(name)
    check_parameters(f"method {name!r}", kind, params)
    _require_all(name, kind, params)
    if issubclass(kind, Method):
        return kind(**params)
    assert issubclass(kind, Loss)
    guided = "pseudo" in inspect.signature(kind.entries).parameters
    if "expected" in inspect.signature(kind).parameters:
        return ExpectedLossMethod(kind, params, guided)
    return LossMethod(kind(**params), guided)


def _require_all(name: str, kind: type, params: Mapping[str, Any]) -> None:
    """Refuse to build a class without one of its parameters; ``expected`` may come with the run.

    Raises:
        OneLabelError: names the parameter.
    """
    for parameter in inspect.signature(kind).parameters.values():
        if parameter.default is parameter.empty and parameter.name not in {*params, "expected"}:
            raise OneLabelError(f"method {name!r} needs {parameter.name}: give --method.{parameter.name}")
