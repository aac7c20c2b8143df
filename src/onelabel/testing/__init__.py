"""Checks that anything plugged into OneLabel must pass, for our own parts and for those of third parties.

Example:
    >>> from onelabel import losses
    >>> from onelabel.methods.registry import create
    >>> check_loss(losses.create("an"))
    >>> check_method(lambda: create("em"))
"""

from __future__ import annotations

from onelabel.testing.losses import check_loss
from onelabel.testing.methods import check_method

__all__ = ["check_loss", "check_method"]
