"""Classes by name: import ``module:Class`` and check parameters, with errors that a user understands."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Iterable

from onelabel.io.errors import OneLabelError, nearest


def import_class(what: str, target: str) -> type:
    """Import a class, also from a module in the current folder.

    Args:
        what: what it is, for the message, such as ``"method"``.
        target: ``"package.module:Class"``.

    Raises:
        OneLabelError: the module or the class is not there.

    Example:
        >>> import_class("table", "collections:OrderedDict")
        <class 'collections.OrderedDict'>
        >>> import_class("table", "collections:Nothing")
        Traceback (most recent call last):
        onelabel.io.errors.OneLabelError: table 'collections:Nothing' cannot be imported: ...
    """
    module, _, name = target.partition(":")
    if "" not in sys.path:
        sys.path.append("")  # a module beside the user's data; last, so that it hides no other
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise OneLabelError(f"{what} {target!r} cannot be imported: {error}") from None
    if not isinstance(found, type):
        raise OneLabelError(f"{what} {target!r} is not a class")
    return found


def check_parameters(what: str, kind: type, given: Iterable[str]) -> None:
    """Check the names of the parameters of a constructor.

    Raises:
        OneLabelError: a name that the constructor does not have; the nearest one is given.
    """
    known = sorted(inspect.signature(kind).parameters)
    for name in given:
        if name not in known:
            hint = nearest(name, known)
            raise OneLabelError(f"{what} has no parameter {name!r}{hint}; it has {', '.join(known)}")
