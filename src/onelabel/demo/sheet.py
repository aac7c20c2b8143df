"""A contact sheet: photos with what is in them and what a model said, as one PNG to look at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

from onelabel.io.atomic import atomic_write
from onelabel.io.errors import OneLabelError

_PHOTO, _GAP, _LINE, _TOP = 168, 16, 18, 64
_COLUMNS = 6
_BACKGROUND, _TEXT = (255, 255, 255), (30, 30, 30)
# Blue against brown and red, which colour-blind eyes tell apart; "missed" and "false" say the same in words.
_COLOURS = {"found": (0, 114, 178), "missed": (170, 110, 0), "false": (204, 51, 17)}

Word = tuple[str, str]
"""A class name and what became of it: "found", "missed" or "false"."""


def judge(true: Sequence[str], predicted: Sequence[str]) -> list[Word]:
    """Compare two sets of class names: found ones first, then missed, then false.

    Example:
        >>> judge(["sun", "boat"], ["boat", "key"])
        [('boat', 'found'), ('sun', 'missed'), ('key', 'false')]
    """
    found = [(name, "found") for name in true if name in predicted]
    missed = [(name, "missed") for name in true if name not in predicted]
    return [*found, *missed, *((name, "false") for name in predicted if name not in true)]


def contact_sheet(
    images: Sequence[Image.Image],
    true_labels: Sequence[Sequence[str]],
    predicted: Sequence[Sequence[str]],
    path: str | Path,
    *,
    title: str = "Photos, their labels and the model's",
) -> None:
    """Write a PNG with every photo above its labels: found, missed and false ones, in colour and in words.

    Args:
        images: N photos, of any size and mode RGB.
        true_labels: N lists of the classes that are present.
        predicted: N lists of the classes that the model gave.
        path: the PNG; an existing one is replaced.
        title: first line of the sheet.

    Raises:
        OneLabelError: no photo, lists of different lengths, or ``path`` cannot be written.

    Example:
        >>> import tempfile
        >>> from onelabel.demo.scenes import make_scene
        >>> picture, names = make_scene(seed=1, index=0)
        >>> target = Path(tempfile.mkdtemp()) / "sheet.png"
        >>> contact_sheet([picture], [names], [["key"]], target)
        >>> target.stat().st_size > 1000
        True
    """
    if not images or not len(images) == len(true_labels) == len(predicted):
        lengths = f"{len(images)} photos, {len(true_labels)} and {len(predicted)} lists of labels"
        raise OneLabelError(
            f"a contact sheet needs as many lists of labels as photos, and one at least: {lengths}"
        )
    words = [judge(true, given) for true, given in zip(true_labels, predicted, strict=True)]
    sheet = _draw(images, words, title)
    with atomic_write(path, "wb") as stream:
        sheet.save(stream, format="PNG", optimize=True)


def _draw(images: Sequence[Image.Image], words: Sequence[list[Word]], title: str) -> Image.Image:
    columns = min(_COLUMNS, len(images))
    height = _PHOTO + _LINE * max(len(of_one) for of_one in words) + _GAP
    rows = -(-len(images) // columns)
    size = (max(columns, 4) * (_PHOTO + _GAP) + _GAP, _TOP + rows * height)
    sheet = Image.new("RGB", size, _BACKGROUND)
    pen = ImageDraw.Draw(sheet)
    _legend(pen, title)
    for number, (image, of_one) in enumerate(zip(images, words, strict=True)):
        x, y = _GAP + number % columns * (_PHOTO + _GAP), _TOP + number // columns * height
        sheet.paste(ImageOps.pad(image.convert("RGB"), (_PHOTO, _PHOTO), color=_BACKGROUND), (x, y))
        for line, (name, kind) in enumerate(of_one):
            _write(
                pen, (x, y + _PHOTO + 2 + line * _LINE), name if kind == "found" else f"{name} ({kind})", kind
            )
    return sheet


def _legend(pen: ImageDraw.ImageDraw, title: str) -> None:
    pen.text((_GAP, 10), title, fill=_TEXT, font=_font(19))
    x = float(_GAP)
    for kind, meaning in (
        ("found", "found: present and given"),
        ("missed", "missed: present, not given"),
        ("false", "false: given, not present"),
    ):
        _write(pen, (x, 37), meaning, kind)
        x += pen.textlength(meaning, font=_font(15)) + 2 * _GAP


def _write(pen: ImageDraw.ImageDraw, corner: tuple[float, float], text: str, kind: str) -> None:
    pen.text(corner, text, fill=_COLOURS[kind], font=_font(15))


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
