"""The contact sheet says what was found, missed and false, in colour and in words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from onelabel.demo import sheet
from onelabel.demo.sheet import contact_sheet, judge
from onelabel.io.errors import OneLabelError

NAMES = st.lists(st.sampled_from("abcdefgh"), unique=True)


def photo(size: tuple[int, int] = (96, 96)) -> Image.Image:
    return Image.new("RGB", size, (10, 200, 10))


def colours_of(path: Path) -> set[tuple[int, ...]]:
    with Image.open(path) as image:
        return {tuple(row) for row in np.unique(np.asarray(image).reshape(-1, 3), axis=0).tolist()}


@given(NAMES, NAMES)
def test_every_name_is_judged_once_and_rightly(true: list[str], predicted: list[str]) -> None:
    verdicts = dict(judge(true, predicted))
    assert len(judge(true, predicted)) == len(verdicts) == len({*true, *predicted})
    expected = {(True, True): "found", (True, False): "missed", (False, True): "false"}
    assert all(kind == expected[name in true, name in predicted] for name, kind in verdicts.items())


def test_words_are_written_with_their_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[tuple[str, str]] = []
    monkeypatch.setattr(sheet, "_write", lambda _pen, _corner, text, kind: written.append((text, kind)))
    contact_sheet([photo()], [["sun", "boat"]], [["sun", "key"]], tmp_path / "sheet.png")
    assert written[-3:] == [("sun", "found"), ("boat (missed)", "missed"), ("key (false)", "false")]
    assert [kind for _, kind in written[:-3]] == ["found", "missed", "false"]  # the legend


def test_the_file_shows_every_photo(tmp_path: Path) -> None:
    photos = [Image.new("RGB", (50 + n, 90), (n, 255 - n, 7)) for n in range(13)]
    contact_sheet(photos, [["sun"]] * 13, [["sun"]] * 13, tmp_path / "sheet.png", title="Test")
    assert {(n, 255 - n, 7) for n in range(13)} <= colours_of(tmp_path / "sheet.png")


def test_text_stays_within_the_sheet_and_below_its_photo(tmp_path: Path) -> None:
    true = ["umbrella", "mushroom", "person", "flower", "cloud", "clock"]
    contact_sheet([photo()] * 6, [true] * 6, [[]] * 6, tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as image:
        pixels = np.asarray(image).astype(int)
    assert (pixels[-4:] == 255).all() and (pixels[:, -4:] == 255).all()
    is_photo = (pixels == (10, 200, 10)).all(axis=2)
    assert is_photo.sum() == 6 * 168 * 168


@pytest.mark.parametrize(("photos", "true", "given_names"), [(0, 0, 0), (2, 1, 2), (2, 2, 3)])
def test_lists_that_do_not_fit_are_refused(tmp_path: Path, photos: int, true: int, given_names: int) -> None:
    with pytest.raises(OneLabelError, match=f"{photos} photos, {true} and {given_names} lists"):
        contact_sheet([photo()] * photos, [["sun"]] * true, [["sun"]] * given_names, tmp_path / "sheet.png")
    assert not list(tmp_path.iterdir())
