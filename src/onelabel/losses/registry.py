"""The catalogue of losses: frozen entries without torch, one line each.

To add a loss: write its file beside this one, add its line to ``CATALOGUE``, add its test.
"""

from __future__ import annotations

import importlib
import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from onelabel.io.errors import OneLabelError, nearest, unknown_name
from onelabel.losses import papers
from onelabel.losses.papers import Paper

if TYPE_CHECKING:
    from onelabel.losses.base import Loss

HERE = "onelabel.losses"
PSEUDO = ("pseudo",)


@dataclass(frozen=True, slots=True)
class LossInfo:
    """One line of the catalogue.

    Args:
        name: what users type, such as ``"an-ls"``.
        family: group in the catalogue.
        summary: one line on what the loss does.
        paper: where it comes from.
        target: ``"module:Class"``; a module without dots is a file of this folder.
        needs: names of further inputs of ``forward`` besides logits, labels and weight.

    Example:
        >>> em = info("em")
        >>> em.name, em.year, em.needs_pseudo, em.class_name
        ('em', 2022, False, 'EM')
    """

    name: str
    family: str
    summary: str
    paper: Paper
    target: str
    needs: tuple[str, ...] = ()

    @property
    def module(self) -> str:
        module = self.target.partition(":")[0]
        return module if "." in module else f"{HERE}.{module}"

    @property
    def class_name(self) -> str:
        return self.target.partition(":")[2]

    @property
    def function(self) -> str:
        """Name of the function under the module, in the same file."""
        return self.name.replace("-", "_")

    @property
    def needs_pseudo(self) -> bool:
        return "pseudo" in self.needs

    @property
    def year(self) -> int:
        return self.paper.year

    @property
    def url(self) -> str:
        return self.paper.url

    @property
    def code(self) -> str:
        return self.paper.code


REFERENCE = "reference point"
NEGATIVE = "assume negative"
UNKNOWN = "unknown acknowledged"
GUIDED = "pseudo-label"

CATALOGUE = (
    LossInfo("bce", REFERENCE, "known labels only (complete, IU, IUN: by table)", papers.COLE, "bce:BCE"),
    LossInfo("an", NEGATIVE, "every unknown label counts as absent", papers.COLE, "an:AN"),
    LossInfo("an-ls", NEGATIVE, "unknown is absent, all targets smoothed", papers.COLE, "an_ls:ANLS"),
    LossInfo("em", UNKNOWN, "unknown entries maximise their entropy", papers.ACK, "em:EM"),
    LossInfo("em-pl", GUIDED, "em with smoothed pseudo-labels", papers.VLPL, "em_pl:EMPL", PSEUDO),
)  # fmt: skip


def catalogue() -> tuple[LossInfo, ...]:
    """All losses, in the order of the documentation.

    Example:
        >>> [entry.name for entry in catalogue()][:2]
        ['bce', 'an']
    """
    return CATALOGUE


def info(name: str) -> LossInfo:
    """The entry of a loss.

    Raises:
        OneLabelError: no loss has this name; the nearest one is named.

    Example:
        >>> info("emm")
        Traceback (most recent call last):
        onelabel.io.errors.OneLabelError: unknown loss 'emm' (did you mean 'em'?); known: ...
    """
    found = {entry.name: entry for entry in CATALOGUE}
    if name not in found:
        raise unknown_name("loss", name, found)
    return found[name]


def load(name: str) -> type[Loss]:
    """Import the class of a loss: a name of the catalogue, or a third party's ``"package.module:Class"``.

    Raises:
        OneLabelError: unknown name, or nothing that is a loss stands at ``package.module:Class``.
    """
    from onelabel.losses.base import Loss

    module, class_name = name.split(":", 1) if ":" in name else (info(name).module, info(name).class_name)
    try:
        found = getattr(importlib.import_module(module), class_name)
    except (ImportError, AttributeError) as error:
        raise OneLabelError(
            f"loss {name!r}: cannot import {class_name!r} from {module!r}: {error}"
        ) from error
    if not (isinstance(found, type) and issubclass(found, Loss)):
        raise OneLabelError(f"loss {name!r}: {class_name!r} is no subclass of onelabel.losses.base.Loss")
    return found


def create(name: str, **params: Any) -> Loss:
    """Build a loss module.

    Args:
        name: name of the catalogue, or ``"package.module:Class"``.
        params: parameters of the class; every class has ``reduction`` and ``eps``.

    Raises:
        OneLabelError: unknown loss or parameter (the nearest name is given), or a value out of range.

    Example:
        >>> create("em", alpa=0.1)
        Traceback (most recent call last):
        onelabel.io.errors.OneLabelError: loss 'em' has no parameter 'alpa' (did you mean 'alpha'?)...
    """
    kind = load(name)
    known = sorted(inspect.signature(kind).parameters)
    for given in params:
        if given not in known:
            hint = nearest(given, known)
            raise OneLabelError(f"loss {name!r} has no parameter {given!r}{hint}; it has {', '.join(known)}")
    return kind(**params)
