"""The tiny vision-language model that ships with the package."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path


def tiny_clip() -> str:
    """Return the name under which the encoder of the embedded example is loaded.

    It was trained from nothing on toy scenes with one-object captions, and knows nothing else. How it was
    made is told beside it, in ``weights/README.md``.

    Example:
        >>> tiny_clip().startswith("local-dir:")
        True
    """
    return f"local-dir:{Path(str(files('onelabel.demo'))) / 'weights'}"
