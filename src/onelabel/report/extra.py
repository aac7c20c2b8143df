"""The libraries that pages need and that not every installation has."""

from __future__ import annotations

from importlib.util import find_spec

from onelabel.io.errors import OneLabelError

_NEEDED = ("jinja2", "matplotlib")


def require_report_extra() -> None:
    """Check that the libraries of the extra ``report`` are installed, before any work.

    Raises:
        OneLabelError: one is missing; says how to install it.

    Example:
        >>> require_report_extra()
    """
    missing = _missing()
    if missing:
        raise OneLabelError(
            f"pages need {' and '.join(missing)}, not installed here: pip install 'onelabel[report]'"
        )


def pages_possible() -> bool:
    """Whether the libraries are installed, for pages that are a gift on the way.

    Example:
        >>> pages_possible()
        True
    """
    return not _missing()


def _missing() -> list[str]:
    return [name for name in _NEEDED if find_spec(name) is None]
