"""Which images are in a folder, and which file belongs to an id."""

from __future__ import annotations

import glob
import ntpath
import os
import posixpath
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from onelabel.io.errors import OneLabelError
from onelabel.io.ids import IdTable

# HEIC is listed although it needs an extra package: decoding then says so, instead of files going missing.
SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".gif", ".tif", ".tiff", ".bmp",
    ".ppm", ".pgm", ".pbm", ".pnm", ".pfm", ".jp2", ".j2k", ".jpx", ".jpf", ".avif", ".heic", ".heif", ".hif",
)  # fmt: skip
_DEEP = re.compile(r"(?:^|(?<=[/\\]))\*\*(?=[/\\]|$)")


def list_images(root: str | Path) -> list[str]:
    """List the images below a folder as ids: paths relative to it, with ``/``, Unicode NFC, sorted.

    A file counts by its extension, in any case. Hidden files and folders (``.name``) are skipped. Links to
    files are followed where the file is inside ``root``; links to folders are not, because what they point to
    is either listed in its own place or outside.

    Raises:
        OneLabelError: not a folder, not readable, or with a file name that is not valid Unicode.

    Example:
        >>> import tempfile
        >>> root = Path(tempfile.mkdtemp())
        >>> for name in ("b.JPG", "a.png", ".hidden.png", "notes.txt"):
        ...     (root / name).touch()
        >>> list_images(root)
        ['a.png', 'b.JPG']
    """
    return sorted(unicodedata.normalize("NFC", name) for name in _walk(_folder(root)))


def expand_photos(args: Sequence[str]) -> list[Path]:
    """Turn files, folders and patterns into image files, in the order given, each once.

    A file is taken whatever its name; a folder gives its images as :func:`list_images`; a pattern (``*``,
    ``?``, ``[…]``, ``**``) gives the images and folders that it matches.

    Raises:
        OneLabelError: an argument names nothing, or a folder or pattern holds no image.

    Example:
        >>> import tempfile
        >>> root = Path(tempfile.mkdtemp())
        >>> (root / "a.png").touch()
        >>> [path.name for path in expand_photos([str(root), str(root / "*.png")])]
        ['a.png']
    """
    return list(dict.fromkeys(path for arg in args for path in _expand(arg)))


@dataclass(frozen=True)
class Resolved:
    """The files of a table of ids.

    Attributes:
        paths: per row the path relative to the image folder as the file system spells it; empty if missing.
        missing: rows without a file: (m,) int64.
        by_stem: rows whose file was found by its name without extension: (k,) int64.
        notes: what to tell the user, one line each.
    """

    paths: IdTable
    missing: NDArray[np.int64]
    by_stem: NDArray[np.int64]
    notes: tuple[str, ...]


def resolve(ids: IdTable, root: str | Path) -> Resolved:
    """Find the file of every id below ``root``.

    An id is a path relative to ``root``. Without a file of that name, the only image in the same folder that
    has the same name but for its extension is taken, unless another id has it, and reported.

    Args:
        ids: image ids.
        root: the image folder.

    Raises:
        OneLabelError: an id that leaves ``root`` (absolute, through ``..`` or through a link), or ``root`` is
            not a folder.

    Example:
        >>> import tempfile
        >>> root = Path(tempfile.mkdtemp())
        >>> (root / "a.jpg").touch()
        >>> found = resolve(IdTable.from_strings(["a", "b.jpg"]), root)
        >>> list(found.paths), found.missing.tolist(), found.by_stem.tolist()
        (['a.jpg', ''], [1], [0])
    """
    root = _folder(root)
    spelled = IdTable.from_strings(_walk(root))  # as on disk: some systems store names decomposed
    files = IdTable.from_strings(unicodedata.normalize("NFC", name) for name in spelled)
    rows = files.rows_of(_inside(text, root) for text in ids)
    unlisted = _unlisted(ids, np.flatnonzero(rows < 0), root)
    unmatched = np.array([row for row in np.flatnonzero(rows < 0).tolist() if row not in unlisted], np.int64)
    rows[unmatched] = _match_stems(ids.take(unmatched), files, taken=rows[rows >= 0])
    paths = IdTable.from_strings(
        unlisted.get(i, "") if row < 0 else spelled.text(row) for i, row in enumerate(rows.tolist())
    )
    by_stem, missing = unmatched[rows[unmatched] >= 0], unmatched[rows[unmatched] < 0]
    return Resolved(paths, missing, by_stem, _notes(ids, paths, by_stem, missing, root))


def _unlisted(ids: IdTable, rows: NDArray[np.int64], root: Path) -> dict[int, str]:
    """Return the files among ``rows`` that a walk passes by: hidden, of another extension, behind a link."""
    paths = ((row, _inside(ids.text(row), root)) for row in rows.tolist())
    return {row: path for row, path in paths if _is_file_inside(path, root)}


def _inside(text: str, root: Path) -> str:
    """Return an id as the relative path it means, or refuse it."""
    path, windows = posixpath.normpath(text), PureWindowsPath(ntpath.normpath(text))
    if path.startswith("/") or windows.anchor or ".." in (path.split("/")[0], *windows.parts[:1]):
        raise OneLabelError(f"image {text!r} leaves the image folder {root}; ids are paths below it")
    return unicodedata.normalize("NFC", path)


def _is_file_inside(path: str, root: Path) -> bool:
    try:
        if not (root / path).is_file():
            return False
        inside = (root / path).resolve().is_relative_to(root)
    except (OSError, ValueError):  # a name too long or with a zero byte is no file
        return False
    if not inside:
        raise OneLabelError(f"image {path!r} is a link that leaves the image folder {root}")
    return True


def _match_stems(ids: IdTable, files: IdTable, taken: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return per id the row of the only file with the same stem, -1 where there is none or it is taken."""
    match = np.full(len(ids), -1, np.int64)
    if len(ids) == 0:
        return match
    count = np.zeros(len(ids), np.int64)
    wanted = IdTable.from_strings(_stem(posixpath.normpath(text)) for text in ids)
    for row, name in enumerate(files):
        position = wanted.find(_stem(name))
        if position >= 0:
            match[position] = row
            count[position] += 1
    match[(count > 1) | np.isin(match, taken)] = -1
    return match


def _stem(path: str) -> str:
    path = unicodedata.normalize("NFC", path)
    return posixpath.splitext(path)[0] if _is_image(path) else path


def _notes(
    ids: IdTable, paths: IdTable, by_stem: NDArray[np.int64], missing: NDArray[np.int64], root: Path
) -> tuple[str, ...]:
    notes = []
    if len(by_stem):
        example = f"{ids.text(int(by_stem[0]))!r} -> {paths.text(int(by_stem[0]))!r}"
        notes.append(f"{len(by_stem)} ids found by name without extension, such as {example}")
    if len(missing):
        example = repr(ids.text(int(missing[0])))
        notes.append(f"{len(missing)} of {len(ids)} ids have no file in {root}, such as {example}")
    return tuple(notes)


def _folder(root: str | Path) -> Path:
    root = Path(root)
    if not root.exists():
        raise OneLabelError(f"there is no image folder {root}")
    if not root.is_dir():
        raise OneLabelError(f"{root} is a file; the image folder is wanted")
    return root.resolve()


def _is_image(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in SUFFIXES  # noqa: PTH122 - a Path per file costs seconds


def _walk(root: Path) -> Iterator[str]:
    """Give the images below ``root`` (resolved), as paths relative to it with ``/``, in no order."""
    pending = [""]
    while pending:
        prefix = pending.pop()
        try:
            with os.scandir(root / prefix) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(f"{prefix}{entry.name}/")
                    elif _is_image(entry.name) and _is_wanted(entry, root):
                        yield _checked(f"{prefix}{entry.name}", root)
        except OSError as error:
            raise OneLabelError(f"cannot list {root / prefix}: {error.strerror}") from error


def _is_wanted(entry: os.DirEntry[str], root: Path) -> bool:
    try:
        return entry.is_file() and (not entry.is_symlink() or Path(entry.path).resolve().is_relative_to(root))
    except OSError:  # a link to itself
        return False


def _checked(name: str, root: Path) -> str:
    if not name.isascii():
        try:
            name.encode()
        except UnicodeEncodeError:
            raise OneLabelError(
                f"{root} has a file whose name is not valid UTF-8: {name!r}; rename it"
            ) from None
    return name


def _expand(arg: str) -> list[Path]:
    path = Path(arg)
    if path.is_dir():
        return _images_in(path) or _nothing(f"there is no image in the folder {path}")
    if path.exists():
        return [path]
    if not glob.has_magic(arg):
        _nothing(f"there is no file, folder or pattern {arg!r}")
    matches = sorted(_matches(arg))
    found = [p for match in matches for p in (_images_in(match) if match.is_dir() else [match])]
    return [p for p in found if _is_image(p.name)] or _nothing(f"no image matches {arg!r}")


def _matches(pattern: str) -> Iterator[Path]:
    """Give what a pattern matches; ``**`` goes through no link, so that links in a circle come to an end."""
    deep = _DEEP.search(pattern)
    head = pattern[: deep.start()] or os.curdir if deep else pattern
    for match in map(Path, glob.glob(head)):  # noqa: PTH207 - patterns may be absolute
        below = match.glob(pattern[deep.start() :]) if deep else [match]
        yield from (path for path in below if not _is_hidden(path.relative_to(match) if deep else Path()))


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _images_in(folder: Path) -> list[Path]:
    return [folder / name for name in sorted(_walk(_folder(folder)))]


def _nothing(problem: str) -> NoReturn:
    raise OneLabelError(problem)
