"""What two models say of the same photos, side by side: the predicted probabilities of the likeliest classes.

Source: Xing et al. (2023), https://arxiv.org/abs/2310.15985, Figure 4, which shows AN beside VLPL.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from onelabel.images.decode import decode
from onelabel.io.atomic import atomic_folder, atomic_write
from onelabel.io.errors import OneLabelError
from onelabel.models.bundle import Bundle
from onelabel.recipes.diagnostics_draw import save_figure
from onelabel.recipes.diagnostics_files import write_csv
from onelabel.report.draw import BLUE, ORANGE
from onelabel.report.text import shorten

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_PHOTOS = 24
_THUMBNAIL, _NAME = 320, 24
Probs = NDArray[np.float32]


@dataclass(frozen=True)
class PhotoProbs:
    """Probabilities of two models for one photo.

    Args:
        photo: its file.
        classes: the likeliest class ids, likeliest first.
        probs: (2, k) probabilities of both models.
    """

    photo: Path
    classes: tuple[str, ...]
    probs: Probs


def likeliest(photo: Path, class_ids: Sequence[str], probs: Probs, top: int) -> PhotoProbs:
    """Pick the classes that either model gives the highest probabilities.

    Args:
        photo: its file.
        class_ids: C class ids.
        probs: (2, C).
        top: how many classes.

    Example:
        >>> probs = np.array([[0.9, 0.1, 0.2], [0.5, 0.05, 0.8]], np.float32)
        >>> likeliest(Path("a.jpg"), ["cat", "cow", "dog"], probs, 2).classes
        ('cat', 'dog')
    """
    order = np.argsort(-probs.max(axis=0), kind="stable")[:top]
    return PhotoProbs(photo, tuple(class_ids[c] for c in order), probs[:, order])


def compare_photos(
    bundles: tuple[Bundle, Bundle], photos: Sequence[Path], top: int, batch_size: int, max_pixels: int
) -> list[PhotoProbs]:
    """Ask both models about photos.

    Raises:
        OneLabelError: the models have other classes, or one cannot read photos.
        ImageError: names a photo that cannot be used.
    """
    if len(photos) > MOST_PHOTOS:
        raise OneLabelError(f"{len(photos)} photos do not fit one figure: give at most {MOST_PHOTOS}")
    ids = bundles[0].class_ids
    columns = (np.arange(len(ids)), bundles[1].columns(ids))
    asked = [
        [probs[order] for _, probs in bundle.predict(photos, batch_size=batch_size, max_pixels=max_pixels)]
        for bundle, order in zip(bundles, columns, strict=True)
    ]
    return [likeliest(photo, ids, np.stack(both), top) for photo, *both in zip(photos, *asked, strict=True)]


def write_comparison(
    out: str | Path, names: tuple[str, str], found: Sequence[PhotoProbs], *, max_pixels: int, overwrite: bool
) -> None:
    """Write ``probabilities.svg``, ``.png``, ``.csv`` and ``.json`` into a folder, all of them or nothing.

    Raises:
        OneLabelError: the folder exists, or the extra ``report`` is not installed.
    """
    thumbnails = [_thumbnail(entry.photo, max_pixels) for entry in found]
    with atomic_folder(out, overwrite=overwrite) as folder:
        rows = [
            (entry.photo.as_posix(), name, *entry.probs[:, c].tolist())
            for entry in found for c, name in enumerate(entry.classes)
        ]  # fmt: skip
        write_csv(folder / "probabilities.csv", ("photo", "class", "first", "second"), rows)
        with atomic_write(folder / "probabilities.json") as stream:
            content = {
                "first": names[0], "second": names[1],
                "rows": [dict(zip(("photo", "class", "first", "second"), row, strict=True)) for row in rows],
            }  # fmt: skip
            json.dump(content, stream, indent=1, ensure_ascii=False)
        height = sum(0.75 + 0.24 * len(entry.classes) for entry in found)
        save_figure(
            folder / "probabilities", lambda figure: _paint(figure, names, found, thumbnails), (6.2, height)
        )


def _thumbnail(photo: Path, max_pixels: int) -> Image.Image:
    image = decode(photo, max_pixels)
    image.thumbnail((_THUMBNAIL, _THUMBNAIL))
    return image


def _paint(
    figure: Figure, names: tuple[str, str], found: Sequence[PhotoProbs], thumbnails: Sequence[Image.Image]
) -> None:
    heights = [0.75 + 0.24 * len(entry.classes) for entry in found]
    grid = figure.subplots(len(found), 2, squeeze=False, width_ratios=[1, 1.7], height_ratios=heights)
    for number, ((picture, axes), entry, image) in enumerate(zip(grid, found, thumbnails, strict=True)):
        picture.imshow(np.asarray(image))
        picture.set_axis_off()
        rows = np.arange(len(entry.classes))
        for shift, name, probs, colour, hatch in zip(
            (-0.2, 0.2), names, entry.probs, (ORANGE, BLUE), ("", "////"), strict=True
        ):
            axes.barh(
                rows + shift, probs, height=0.38, color=colour, hatch=hatch, edgecolor="white",
                label=shorten(name, _NAME),
            )  # fmt: skip
        axes.set_yticks(rows, [shorten(name, _NAME) for name in entry.classes])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlim(0, 1)
        axes.grid(axis="x")
        if number == 0:
            axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, fontsize=8, borderaxespad=0.2)
    grid[-1, 1].set_xlabel("predicted probability")
