"""Which encoding a text file has, and whether all of it can be read with it."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path

from onelabel.io.errors import LabelFileError, OneLabelError

_BLOCK = 1 << 20
_NUL = ("a NUL byte, which no text holds", "remove it, or if it is UTF-16, add --encoding utf-16-le")
_MARKS = {  # what a file may begin with; the longer mark first
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_OTHER_FILES = {
    b"PK\x03\x04": "it is a zip or Excel file: export the sheet as 'CSV UTF-8'",
    b"PAR1": "it is a parquet file: take it out of the folder, or give it alone",
    b"\x93NUMPY": "it is a NumPy array: write a CSV file with an image column instead",
    b"\x1f\x8b": "it is compressed: unpack it with gunzip",
    b"\xff\xd8\xff": "it is a JPEG photo: give the label file, and the photos with --images",
    b"\x89PNG": "it is a PNG picture: give the label file, and the photos with --images",
}


def check_text(path: Path, encoding: str | None = None) -> str:
    """Read a file once in blocks and make sure that it is text without NUL characters.

    Args:
        path: the file.
        encoding: as given by the user; None is UTF-8, or UTF-16 or UTF-32 where the file begins with the mark
            of one of these.

    Returns:
        The name of the encoding to open it with; a mark at the beginning is left out.

    Raises:
        LabelFileError: missing, empty, not readable, or with a byte that is not text, by value and place.
        OneLabelError: there is no such encoding.
    """
    try:
        if not path.is_file() and path.exists():  # reading a pipe or a device may never end
            raise LabelFileError(path, "is not a regular file")
        with path.open("rb") as stream:
            start = stream.read(8)
            if not start.removeprefix(codecs.BOM_UTF8).strip() and not stream.read(_BLOCK).strip():
                raise LabelFileError(path, "the file is empty")
            stream.seek(0)
            name = _encoding(start, encoding)
            hint = next((text for magic, text in _OTHER_FILES.items() if start.startswith(magic)), None)
            _check_blocks(path, iter(lambda: stream.read(_BLOCK), b""), name, hint)
            return name
    except OSError as error:
        raise LabelFileError(path, f"cannot be read: {error.strerror or error}") from None


def _encoding(start: bytes, given: str | None) -> str:
    found = next((name for mark, name in _MARKS.items() if start.startswith(mark)), None)
    if given is None:
        return found or "utf-8"
    try:
        name = codecs.lookup(given).name
        b" ".decode(given, errors="replace")
        codecs.getincrementaldecoder(given)
    except (LookupError, ValueError):
        example = "such as utf-8, utf-16, windows-1252, shift_jis or gb18030"
        raise OneLabelError(f"there is no encoding {given!r} for --encoding; name one {example}") from None
    # The mark of the encoding that is named is no part of the text.
    return found if found is not None and name.startswith(found.removesuffix("-sig")) else name


def _check_blocks(path: Path, blocks: Iterator[bytes], name: str, hint: str | None) -> None:
    decoder = codecs.getincrementaldecoder(name)()
    offset, line = 0, 1
    for block in blocks:
        pending = decoder.getstate()[0]
        try:
            text = decoder.decode(block)
        except UnicodeError as error:
            start = error.start if isinstance(error, UnicodeDecodeError) else 0
            whole = pending + block
            line += _lines_before(whole[:start], name)
            place = offset - len(pending) + start
            raise _not_text(path, whole[start : start + 1], place, line, _invalid(name), hint) from None
        if "\0" in text:
            before = text[: text.index("\0")]
            place = offset - len(pending) + len(before.encode(name))
            line += before.count("\n")
            raise _not_text(path, b"\0", place, line, _NUL, hint)
        offset += len(block)
        line += text.count("\n")
    if pending := decoder.getstate()[0]:
        raise _not_text(path, pending[:1], offset - len(pending), line, _invalid(name), hint)


def _lines_before(data: bytes, name: str) -> int:
    return data.decode(name, errors="ignore").count("\n")


def _invalid(name: str) -> tuple[str, str]:
    """Say what is wrong with a byte, and what to do."""
    shown = "UTF-8" if name in ("utf-8", "utf-8-sig") else name
    return f"not valid {shown}", "name the encoding, such as --encoding windows-1252, or save it as UTF-8"


def _not_text(
    path: Path, value: bytes, offset: int, line: int, problem: tuple[str, str], hint: str | None
) -> LabelFileError:
    what, advice = problem
    code = f"byte 0x{value[0]:02X}" if value else "a byte"
    return LabelFileError(path, f"{code} at offset {offset} is {what}; {hint or advice}", line=line)
