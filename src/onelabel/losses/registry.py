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
PSEUDO, ESTIMATOR = ("pseudo",), ("estimator_logits",)


@dataclass(frozen=True, slots=True)
class LossInfo:
    """One line of the catalogue.

    Args:
        name: what users type, such as ``"an-ls"``; its function has the same name with ``_`` for ``-``.
        family: group in the catalogue.
        summary: one line on what the loss does.
        paper: where it comes from; None for a loss without a paper.
        target: ``"module:Class"``; a module without dots is a file of this folder.
        needs: names of further inputs of ``forward`` besides logits, labels and weight.

    Example:
        >>> em = info("em")
        >>> em.name, em.function, em.needs_pseudo, em.class_name
        ('em', 'em', False, 'EM')
    """

    name: str
    family: str
    summary: str
    paper: Paper | None
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


REFERENCE = "reference point"
NEGATIVE = "assume negative"
ROBUST = "robust"
UNKNOWN = "unknown acknowledged"
LARGE = "large loss"
ESTIMATED = "label estimation"
GENERAL = "generalised robust"
GUIDED = "pseudo-label"

CATALOGUE = (
    LossInfo("bce", REFERENCE, "known labels only (complete, IU, IUN: by table)", papers.COLE, "bce:BCE"),
    LossInfo("bce-ls", REFERENCE, "known labels only, smoothed", papers.COLE, "bce_ls:BCELS"),
    LossInfo("an", NEGATIVE, "every unknown label counts as absent", papers.COLE, "an:AN"),
    LossInfo("an-ls", NEGATIVE, "unknown is absent, all targets smoothed", papers.COLE, "an_ls:ANLS"),
    LossInfo("an-nls", NEGATIVE, "unknown is absent, smoothed there only", papers.ACK, "an_nls:ANNLS"),
    LossInfo("wan", NEGATIVE, "unknown is absent, with a small weight", papers.COLE, "wan:WAN"),
    LossInfo("l1r", NEGATIVE, "unknown is absent, L1 penalty on p", papers.ACK, "l1r:L1R"),
    LossInfo("l2r", NEGATIVE, "unknown is absent, L2 penalty on p", papers.ACK, "l2r:L2R"),
    LossInfo("epr", NEGATIVE, "known labels, and an expected number of positives", papers.COLE, "epr:EPR"),
    LossInfo("pr", NEGATIVE, "positives ranked above all other labels", papers.COLE, "pr:PR"),
    LossInfo("focal", ROBUST, "unknown is absent, easy entries count little", papers.FOCAL, "focal:Focal"),
    LossInfo("asl", ROBUST, "as focal, negatives focused more and cut off", papers.ASL, "asl:ASL"),
    LossInfo("hill", ROBUST, "unknown is absent, confident mistakes forgiven", papers.ROBUST, "hill:Hill"),
    LossInfo("splc", ROBUST, "confident unknown labels become present", papers.ROBUST, "splc:SPLC"),
    LossInfo("entmin", ROBUST, "unknown entries minimise their entropy", papers.ACK, "entmin:EntMin"),
    LossInfo("em", UNKNOWN, "unknown entries maximise their entropy", papers.ACK, "em:EM"),
    LossInfo("em-apl", UNKNOWN, "em, with soft negatives", papers.ACK, "em_apl:EMAPL", ("soft",)),
    LossInfo("ll-r", LARGE, "unknown is absent, largest losses rejected", papers.LARGE_LOSS, "ll:LLR"),
    LossInfo("ll-ct", LARGE, "unknown is absent, largest losses flipped", papers.LARGE_LOSS, "ll:LLCt"),
    LossInfo("ll-cp", LARGE, "as ll-ct, flipped for good", papers.LARGE_LOSS, "ll:LLCp"),
    LossInfo("role", ESTIMATED, "all labels are estimated too", papers.COLE, "role:ROLE", ESTIMATOR),
    LossInfo("gr", GENERAL, "unknown is present with a guessed probability", papers.GR, "gr:GR"),
    LossInfo("em-pl", GUIDED, "em with smoothed pseudo-labels", papers.VLPL, "em_pl:EMPL", PSEUDO),
    LossInfo("em-pl-asl", GUIDED, "em-pl with focusing", papers.VLPL, "em_pl_asl:EMPLASL", PSEUDO),
    LossInfo("an-pl", GUIDED, "an, pseudo-labels as observed", papers.AEVLP, "an_pl:ANPL", PSEUDO),
    LossInfo("gr-pl", GUIDED, "gr, pseudo-labels as observed", papers.GR_SPML, "gr_pl:GRPL", PSEUDO),
    LossInfo("gpr", GUIDED, "gr, pseudo-labels weighted", papers.AEVLP, "gpr:GPR", PSEUDO),
)  # fmt: skip


def catalogue() -> tuple[LossInfo, ...]:
    """All losses, in the order of the documentation.

    Example:
        >>> [entry.name for entry in catalogue()][:2]
        ['bce', 'bce-ls']
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
        OneLabelError: unknown loss or parameter (the nearest name is given), a missing one, or a value out of
            range.

    Example:
        >>> create("em", alpa=0.1)
        Traceback (most recent call last):
        onelabel.io.errors.OneLabelError: loss 'em' has no parameter 'alpa' (did you mean 'alpha'?)...
    """
    kind = load(name)
    signature = inspect.signature(kind).parameters
    known = sorted(signature)
    for wanted in signature.values():
        if wanted.default is wanted.empty and wanted.name not in params:
            raise OneLabelError(
                f"loss {name!r} needs {wanted.name}=..., a fact about the data without a default"
            )
    for given in params:
        if given not in known:
            hint = nearest(given, known)
            raise OneLabelError(f"loss {name!r} has no parameter {given!r}{hint}; it has {', '.join(known)}")
    return kind(**params)
