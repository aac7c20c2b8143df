"""NumPy arrays from files that may be damaged, or made to do harm."""

from __future__ import annotations

import os
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelabel.io.errors import OneLabelError

_LAST_CHARACTER = 0x10FFFF


def load_npy(path: str | Path, *, mapped: bool = False) -> NDArray[Any]:
    """Read a ``.npy`` file, or open it as a memory map; nothing is unpickled.

    Raises:
        OneLabelError: not a regular file, no array, one of Python objects, or larger than the memory.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.npy"
        >>> np.save(path, np.eye(2))
        >>> load_npy(path, mapped=True).shape
        (2, 2)
    """
    path = Path(path)
    if not path.is_file():  # reading a pipe or a device may never end
        raise OneLabelError(f"{path} is missing, or not a regular file")
    try:
        array = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    except Exception as error:  # damaged headers raise nearly every type there is
        raise OneLabelError(f"{path} is not a NumPy array that can be read: {_short(error)}") from None
    if not isinstance(array, np.ndarray):  # an archive of arrays under another name
        raise OneLabelError(f"{path} is not a NumPy array")
    return array


def load_npz(path: str | Path, keys: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Read the arrays of an ``.npz`` archive that have one of the names; nothing is unpickled.

    Raises:
        OneLabelError: no archive of arrays, or one that unpacks to more than the memory.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.npz"
        >>> np.savez(path, X=np.eye(2), other=np.eye(3))
        >>> [(key, array.shape) for key, array in load_npz(path, ("X", "ids")).items()]
        [('X', (2, 2))]
    """
    path = Path(path)
    if not path.is_file() or not zipfile.is_zipfile(path):
        raise OneLabelError(f"{path} is not an .npz archive; write it with numpy.savez")
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > memory():
            raise ValueError(f"unpacked it has {size / 2**30:.0f} GiB, more than the memory")
        with np.load(path, allow_pickle=False) as arrays:
            found = {key: arrays[key] for key in keys if key in arrays}
    except Exception as error:  # damaged archives raise nearly every type there is
        raise OneLabelError(f"{path} cannot be read as plain arrays: {_short(error)}") from None
    if not all(isinstance(array, np.ndarray) for array in found.values()):  # NumPy hands out bytes then
        raise OneLabelError(f"{path} cannot be read as plain arrays: what it holds are none")
    return found


def memory() -> int:
    """Return the bytes of memory of this machine.

    Example:
        >>> memory() > 2**20
        True
    """
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _short(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


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
