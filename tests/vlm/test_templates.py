"""Templates as a user gives them: one, several, a file of them; and what is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from onelabel.io.errors import OneLabelError
from onelabel.training.opening import Wanted
from onelabel.vlm.templates import spelled_templates


def test_one_several_and_a_file(tmp_path: Path) -> None:
    assert spelled_templates(["a {}."]) == ("a {}.",)
    assert spelled_templates(["a {}.|the {}", "{}"]) == ("a {}.", "the {}", "{}")
    file = tmp_path / "templates.txt"
    file.write_text("a photo of a {}.\n\n  ein Foto: {}  \n", encoding="utf-8")
    assert spelled_templates([str(file)]) == ("a photo of a {}.", "ein Foto: {}")
    assert Wanted(templates=(str(file),)).templates == ("a photo of a {}.", "ein Foto: {}")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("a photo", "no {} where the class name goes, and is no text file"),
        ("a {} and {}", "must hold {} once"),
        ("a {} | b", "'b' must hold {} once"),
        ("{name}", "must hold {} once"),
        ("", "is no text file"),
    ],
)
def test_what_is_no_template_is_refused(given: str, message: str) -> None:
    with pytest.raises(OneLabelError) as error:
        spelled_templates([given])
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"), [(b"\n\n", "holds no template"), (b"a cat\n", "'a cat' must hold")]
)
def test_a_file_without_templates_is_refused(tmp_path: Path, text: bytes, message: str) -> None:
    (tmp_path / "templates.txt").write_bytes(text)
    with pytest.raises(OneLabelError, match=message):
        spelled_templates([str(tmp_path / "templates.txt")])
