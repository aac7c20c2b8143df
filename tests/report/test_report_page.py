"""Pages: every text is shown as it is and runs nothing, figures hold shapes alone, files are whole."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from browser import HOSTILE, require_harmless, visit
from onelabel.io.errors import OneLabelError
from onelabel.report import extra
from onelabel.report.figures import bars, curves, dots, heat_map, reliability, steps
from onelabel.report.page import (
    Block,
    Code,
    Facts,
    Figure,
    Heading,
    Note,
    Photo,
    Photos,
    Section,
    Table,
    Text,
    data_path,
    render_page,
    write_page,
)
from onelabel.report.text import clean

SVG = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">{}</svg>'


def jpeg() -> bytes:
    stream = BytesIO()
    Image.new("RGB", (60, 40), (90, 140, 200)).save(stream, "JPEG")
    return stream.getvalue()


def every_block(name: str, half: int = 0) -> list[Block]:
    """Every kind of block, with the name wherever text can be, and one half of the kinds of figures."""
    values = [1.0, float("nan"), 3.0]
    names = [name, "b", "c"]
    drawings: list[Callable[[], str]] = [
        lambda: dots(names, values, name, low=values, high=values, reference=(name, 2.0)),
        lambda: bars(names, {name: [1, 2, 3], "b": [2, 1, 0]}, name),
        lambda: curves([1, 2, 3], {name: values, "b": values}, name, name, marks={name: 2.0}),
        lambda: steps([0, 1, 2, 3], {name: [1, 2, 3]}, name, name, marks={name: 1.0}),
        lambda: reliability([0.1, 0.5, 0.9], [0.2, 0.4, 0.8], [5, 0, 2]),
        lambda: heat_map([values], [name], names, name, name, name),
    ]
    return [
        Text(name), Heading(name), Note(name), Note(name, "warning"), Code([name, name]),
        Facts([(name, name, name)]), Table([name, name], [[name, 1], [name, None]], name),
        Photos([Photo(name, [name], jpeg()), Photo(name, [name], problem=name)]),
        *(Figure(drawing(), name, name) for drawing in drawings[half::2]),
    ]  # fmt: skip


class Found(HTMLParser):
    """Elements, attributes and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@cache
def found_in_page(name: str, half: int) -> Found:
    return Found(render_page(name, [Section(name, every_block(name, half))], subtitle=name))


@pytest.mark.parametrize(("row", "name"), list(enumerate(HOSTILE)))
def test_a_hostile_name_is_text_wherever_it_stands(row: int, name: str) -> None:
    page, plain = found_in_page(name, row % 2), found_in_page("plain", row % 2)
    # The same elements as with a harmless name; matplotlib breaks no text into several.
    assert set(page.tags) == set(plain.tags)
    assert page.tags.count("section") == 1 and "script" not in page.tags
    assert not [key for key, _ in page.attributes if key.startswith("on")]
    links = [value for key, value in page.attributes if key in ("href", "src", "xlink:href")]
    assert all(value.startswith(("#", "data:")) for value in links)
    shown = [text for text in page.texts if text == clean(name)]
    assert len(shown) >= 8


def test_a_browser_shows_hostile_names_and_runs_none_of_them(tmp_path: Path) -> None:
    sections = [Section(name, every_block(name, row % 2)) for row, name in enumerate(HOSTILE)]
    write_page(tmp_path / "page.html", HOSTILE[0], sections, subtitle=HOSTILE[1])
    found = visit(tmp_path / "page.html", tmp_path / "profile")
    require_harmless(found)
    assert found.desk.images == len(HOSTILE) and len(found.desk.figures) == 3 * len(HOSTILE)
    for name in HOSTILE:
        assert " ".join(clean(name).split()) in " ".join(found.phone.text.split())


@pytest.mark.parametrize(
    "inside",
    [
        "<script>1</script>",
        "<foreignObject/>",
        '<g onclick="1"/>',
        '<use xlink:href="http://example.invalid/a#b"/>',
        '<use href="data:image/svg+xml,x"/>',
        '<a href="javascript:1"/>',
        '<image href="#a"/>',
        '<path style="fill: url(http://example.invalid/a)"/>',
        "<style>*{}</style>",
    ],
)
def test_a_figure_holds_shapes_and_text_alone(inside: str) -> None:
    with pytest.raises(ValueError, match="figure"):
        render_page("a", [Section("b", [Figure(SVG.format(inside), "c", "d")])])


def test_a_figure_declares_no_entities() -> None:
    bomb = '<!DOCTYPE svg [<!ENTITY a "aaaa">]>' + SVG.format("<text>&a;</text>")
    with pytest.raises(ValueError, match="declare"):
        render_page("a", [Section("b", [Figure(bomb, "c", "d")])])


def test_figures_of_a_page_share_no_ids_and_find_their_own() -> None:
    svg = curves([1, 2], {"a": [1, 2]}, "x", "y")
    page = render_page("a", [Section("b", [Figure(svg, "c", "d"), Figure(svg, "c", "d")])])
    ids = re.findall(r' id="([^"]+)"', page)
    used = set(re.findall(r'url\(#([^)"]+)\)', page)) | set(re.findall(r'href="#([^"]+)"', page))
    assert len(ids) == len(set(ids))
    assert used <= set(ids) and len(used) >= 4
    assert page.count('role="img" aria-label="d"') == 2


def test_a_table_with_a_short_row_is_refused() -> None:
    with pytest.raises(ValueError, match="1 cells under 2 headers"):
        Table(["a", "b"], [["c"]])


def test_numbers_stand_right_and_names_left() -> None:
    page = render_page("a", [Section("b", [Table(["name", "n"], [["x", 12345], ["y", float("nan")]])])])
    assert '<th scope="row">x</th><td class="n">12,345</td>' in page
    assert '<th scope="row">y</th><td class="n">–</td>' in page


def test_what_fails_leaves_both_files_as_they_were(tmp_path: Path) -> None:
    page = tmp_path / "a.html"
    write_page(page, "a", [Section("b", [Text("c")])], data={"n": 1})
    before = page.read_text("utf-8"), data_path(page).read_text("utf-8")
    with pytest.raises(ValueError, match="script"):
        write_page(page, "a", [Section("b", [Figure(SVG.format("<script/>"), "", "")])], data={"n": 2})
    assert (page.read_text("utf-8"), data_path(page).read_text("utf-8")) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.html", "a.json"]


def test_json_is_strict_and_holds_hostile_text(tmp_path: Path) -> None:
    data = {"name": "\udcff\u202e<script>", "values": [float("nan"), float("inf"), 0.5]}
    write_page(tmp_path / "a.html", "a", [], data=data)
    text = (tmp_path / "a.json").read_text("utf-8")
    assert json.loads(text, parse_constant=pytest.fail) == {**data, "values": [None, None, 0.5]}


def test_a_page_is_the_same_each_time() -> None:
    pages = [render_page("a", [Section("b", every_block("c"))]) for _ in range(2)]
    assert pages[0] == pages[1]


def test_without_the_extra_one_line_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(extra, "find_spec", lambda _: None)
    with pytest.raises(OneLabelError, match=r"pip install 'onelabel\[report\]'"):
        write_page(tmp_path / "a.html", "a", [])
    assert not list(tmp_path.iterdir())


def test_the_building_blocks_load_no_library() -> None:
    code = "import sys, onelabel.report.page, onelabel.report.figures; "
    code += "sys.exit(bool({'jinja2', 'matplotlib', 'torch'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_example_of_the_document_makes_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (Path(__file__).parents[2] / "docs" / "report.md").read_text("utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    monkeypatch.chdir(tmp_path)
    subprocess.run([sys.executable, "-c", code], check=True)
    assert "<svg" in (tmp_path / "two.html").read_text("utf-8") and (tmp_path / "two.json").is_file()
