"""The catalogue of methods: every loss of :mod:`onelabel.losses`, and what needs more than a loss.

No torch here: the command line lists methods and checks names before anything heavy is imported.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from onelabel import losses
from onelabel.io.errors import OneLabelError, unknown_name
from onelabel.io.plugins import check_parameters, import_class
from onelabel.losses import papers
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
        paper: where it comes from.
        loss: name of its loss, for a method that is a loss and nothing more; else "".
        target: ``"module:Class"`` of a method with state or schedules of its own; else "".
        source: pseudo-label source that it brings along; else "".
        needs_pseudo: whether it trains on pseudo-labels.
        state: what it keeps per image, in words; else "".
    """

    name: str
    family: str
    summary: str
    paper: Paper
    loss: str = ""
    target: str = ""
    source: str = ""
    needs_pseudo: bool = False
    state: str = ""

    @property
    def needs(self) -> str:
        """What the user must give, in words."""
        return "a pseudo-label source" if self.needs_pseudo else ""


PRESETS = (
    MethodInfo(
        "vlpl", "preset", "em-pl with pseudo-labels of a vision-language model", papers.VLPL,
        loss="em-pl", source="vlpl", needs_pseudo=True,
    ),
)  # fmt: skip


def catalogue() -> tuple[MethodInfo, ...]:
    """Return all methods, in the order of the documentation.

    Example:
        >>> "vlpl" in [entry.name for entry in catalogue()]
        True
    """
    plain = (
        MethodInfo(
            entry.name, entry.family, entry.summary, entry.paper,
            loss=entry.name, needs_pseudo=entry.needs_pseudo,
        )
        for entry in losses.catalogue()
    )  # fmt: skip
    return (*plain, *PRESETS)


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

    kind = load(name)
    check_parameters(f"method {name!r}", kind, params)
    built = kind(**params)
    if isinstance(built, Loss):
        needs = ":" not in name and info(name).needs_pseudo
        return LossMethod(built, needs_source=needs)
    assert isinstance(built, Method)
    return built
