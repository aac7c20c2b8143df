"""Who takes part: methods, each with each source where it needs one, and what they are held against."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from onelabel.io.errors import OneLabelError
from onelabel.methods.registry import catalogue, create, info

REFERENCE, FULL, CHANCE = "an", "bce, complete labels", "chance"


@dataclass(frozen=True)
class Contender:
    """One row of the table.

    Args:
        key: its name in every output; distinct.
        method: name of the method; "" for what is not trained.
        source: what ``--source`` takes; "" for none.
        complete: trains on complete labels: the upper end.
    """

    key: str
    method: str = ""
    source: str = ""
    complete: bool = False

    @property
    def ranked(self) -> bool:
        """Whether it is a method that a user could choose."""
        return bool(self.method) and not self.complete

    @property
    def slug(self) -> str:
        """Name for files, distinct and of plain letters whatever the key holds.

        Example:
            >>> Contender("gpr + a/b.npz").slug
            'gpr-a-b-npz-16b3edcb'
        """
        plain = re.sub(r"[^A-Za-z0-9]+", "-", self.key).strip("-")[:40]
        return f"{plain}-{hashlib.sha256(self.key.encode()).hexdigest()[:8]}"


@dataclass(frozen=True)
class LeftOut:
    """A method that was asked for and cannot run.

    Args:
        key: its name.
        reason: what is missing.
    """

    key: str
    reason: str


def names_of(methods: str) -> tuple[str, ...]:
    """Return the methods of ``all``, or of a list separated by commas, AN first in any case.

    Raises:
        OneLabelError: an unknown name, or one twice.

    Example:
        >>> names_of("em, vlpl")
        ('an', 'em', 'vlpl')
    """
    names = [name.strip() for name in methods.split(",") if name.strip()]
    if names == ["all"]:
        names = [entry.name for entry in catalogue()]
    if not names or len(set(names)) < len(names):
        raise OneLabelError(f"--methods {methods!r} must be all, or different names separated by commas")
    for name in names:
        if ":" not in name:
            info(name)
    return (REFERENCE, *(name for name in names if name != REFERENCE))


def line_up(
    methods: Sequence[str], sources: Sequence[str], *, vlm_store: bool, complete: bool
) -> tuple[tuple[Contender, ...], tuple[LeftOut, ...]]:
    """Return who takes part, and which methods cannot.

    Args:
        methods: names.
        sources: pseudo-labels for the methods that need some.
        vlm_store: whether there is a store of a vision-language model, for presets that bring their source.
        complete: whether complete labels of the training images exist.

    Example:
        >>> found, out = line_up(["an", "gpr"], ["tags.npz"], vlm_store=False, complete=True)
        >>> [contender.key for contender in found]
        ['an', 'gpr + tags.npz', 'zero-shot: tags.npz', 'bce, complete labels', 'chance']
    """
    found: list[Contender] = []
    out: list[LeftOut] = []
    for name in methods:
        brought = "" if ":" in name else info(name).source
        if not create(name).needs_source:
            found.append(Contender(name, name))
        elif brought and vlm_store:
            found.append(Contender(name, name, brought))
        elif brought:
            out.append(LeftOut(name, "needs --vlm-store, made by onelabel embed --vlm"))
        elif sources:
            found += [Contender(f"{name} + {source}", name, source) for source in sources]
        else:
            out.append(LeftOut(name, "trains on pseudo-labels: give --sources"))
    alone = dict.fromkeys([*sources, *(entry.source for entry in found if entry.source)])
    found += [Contender(f"zero-shot: {source}", source=source) for source in alone]
    found += [Contender(FULL, "bce", complete=True)] if complete else []
    return (*found, Contender(CHANCE)), tuple(out)
