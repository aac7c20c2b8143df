"""NumPy arrays from files that may be damaged, or made to do harm."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LAST_CHARACTER = 0x10FFFF


def texts_of(array: NDArray[Any]) -> list[str]:
    """Return the texts of a vector of fixed-width text (dtype ``U``).

    NumPy takes any number in a file for a character, and crashes where such a text is used.

    Args:
        array: (N,) of dtype ``U``.

    Raises:
        ValueError: texts without any letter, which take no room in a file, so that its size bounds nothing;
            or numbers that are no characters.

    Example:
        >>> texts_of(np.array(["a.jpg", "ü"]))
        ['a.jpg', 'ü']
    """
    if not array.dtype.itemsize:
        raise ValueError(f"{len(array):,} texts without a letter: not image paths or names")
    order = {"=": {"little": "<", "big": ">"}[sys.byteorder]}.get(
        array.dtype.byteorder, array.dtype.byteorder
    )
    if np.ascontiguousarray(array).view(f"{order}u4").max(initial=0) > _LAST_CHARACTER:
        raise ValueError("holds numbers that are no characters: the file is damaged")
    texts: list[str] = array.tolist()
    return texts
