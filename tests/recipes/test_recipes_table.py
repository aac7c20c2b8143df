"""Tables of published and measured numbers, from run folders to files."""

from __future__ import annotations

import csv
import html
import io
from pathlib import Path
from typing import Any

import pytest

from onelabel.io.errors import OneLabelError
from onelabel.recipes.catalogue import load_recipe
from onelabel.recipes.published import find
from onelabel.recipes.render import to_csv, to_latex, to_markdown, to_text, writer_of
from onelabel.recipes.results import NAME, Result, read_result, read_results, write_result
from onelabel.recipes.table import lines_of, table_of

PARTIAL = "train has 9 images; the published list has 10"


def finished(
    folder: Path, recipe: str, share: float, *, seed: int = 0, notes: tuple[str, ...] = (), **changed: Any
) -> Result:
    """Write the record of a run and read it."""
    folder.mkdir(parents=True)
    test = {"map_published": share}
    write_result(folder, load_recipe(recipe), seed=seed, changed=changed, notes=notes, test=test)
    return read_result(folder)


@pytest.fixture
def results(tmp_path: Path) -> list[Result]:
    return [
        finished(tmp_path / "a", "voc2012/vlpl", 0.8876),
        finished(tmp_path / "b", "voc2012/vlpl", 0.8912, seed=1),
        finished(tmp_path / "c_1", "nus-cole/ll-r", 0.4733, epochs=2),
        finished(tmp_path / "d", "voc2012/vlpl/convnext_xlarge.fb_in22k", 0.93),
        finished(tmp_path / "e", "nus-official/hill", 0.5, notes=(PARTIAL,)),
    ]


def test_a_record_is_read_as_it_was_written(results: list[Result]) -> None:
    first, _, third, fourth, fifth = results
    assert (first.data_set, first.method, first.setting, first.seed) == ("voc2012", "vlpl", "", 0)
    assert first.map == pytest.approx(88.76) and first.remarks == ()
    assert third.remarks == ("changed: epochs 2",)
    assert fourth.setting == "convnext_xlarge.fb_in22k"
    assert "9 images" in fifth.remarks[0]


def test_methods_by_data_sets(results: list[Result]) -> None:
    table = table_of(lines_of(results))
    assert table.header == (
        "method", "voc2012 published", "voc2012 measured", "nus-official published",
        "nus-official measured", "nus-cole published", "nus-cole measured",
    )  # fmt: skip
    rows = {row[0]: row[1:] for row in table.rows}
    letters = {entry.split(maxsplit=1)[1]: entry.split()[0] for entry in table.legend if entry[0] != "["}
    runs = [entry for entry in table.legend if entry[0] == "["]
    number = {run.split(",")[0].split("/")[-1]: run.split()[0] for run in runs}
    one, own = letters["VLPL Table 1"], letters["LargeLossMatters table"]
    assert rows["vlpl"][:2] == (f"89.10 {one}", f"88.76 {number['a']}; 89.12 {number['b']}")
    assert rows["ll-r"][4:] == (f"47.4 {own}", f"47.33* {number['c_1']}")
    assert rows["ll-r"][2:4] == ("", "")
    assert rows["hill"][2:4] == ("", f"50.00* {number['e']}")
    variant = rows["vlpl (convnext_xlarge.fb_in22k)"]
    assert variant[:2] == (f"93.37 {letters['VLPL Table 2']}", f"93.00 {number['d']}")
    assert len(runs) == 5 and next(run for run in runs if "c_1" in run).endswith("; * changed: epochs 2")


def test_without_runs_all_published_numbers_of_the_standard_setting() -> None:
    lines = lines_of([])
    assert {line.data_set for line in lines} >= {"voc2012", "coco2014", "nus-official", "nus-cole", "cub"}
    assert all(line.published and not line.measured and not line.setting for line in lines)
    assert any("does not name its list" in entry for entry in table_of(lines).legend)


DOUBTFUL = {
    "nus-splc/gr": "setting not confirmed: w, b, μ, σ, q2, q3",
    "cub/aevlp": "known to differ: the released graph on the classes' texts",
}


@pytest.mark.parametrize(("recipe", "remark"), DOUBTFUL.items())
def test_what_is_not_the_papers_is_marked_and_said_in_every_export(
    recipe: str, remark: str, tmp_path: Path
) -> None:
    """Runs with unchanged settings of a recipe that is not confirmed, or known to differ."""
    lines = lines_of([finished(tmp_path / name, recipe, 0.4933) for name in ("one", "two")])
    table = table_of(lines)
    assert "49.33* [1]; 49.33* [2]" in to_text(table) and to_text(table).count(f"; * {remark}") == 2
    assert r"49.33\* [1]" in to_markdown(table) and remark.replace("_", r"\_") in to_markdown(table)
    assert "49.33* [1]" in to_latex(table) and remark in to_latex(table)
    rows = [row for row in csv.DictReader(io.StringIO(to_csv(lines))) if row["measured"]]
    assert [(row["measured"], row["mark"]) for row in rows] == [("49.33", "*")] * 2
    assert all(row["remarks"].startswith(remark) for row in rows)
    upper, _, lower = writer_of("t.html")(lines).rpartition("Methods and data sets")
    assert upper.count(">49.33*</td>") == 2 and "49.33* [1]; 49.33* [2]" in lower
    note = html.unescape(upper)
    assert note.count(remark) == 1, "runs with the same remark share a note"
    assert f"* {recipe.split('/')[1]}, {tmp_path / 'one'}, {tmp_path / 'two'}: {remark}" in note


def test_the_remarks_are_those_of_the_record_not_of_the_recipe_of_today(tmp_path: Path) -> None:
    finished(tmp_path / "run", "voc2012/vlpl", 0.5)
    file = tmp_path / "run" / NAME
    file.write_text(file.read_text().replace('"differs": []', '"differs": ["one epoch less"]'))
    assert read_result(tmp_path / "run").remarks == ("known to differ: one epoch less",)


def test_folders_that_hold_runs(tmp_path: Path, results: list[Result]) -> None:
    other = finished(tmp_path / "far" / "deep" / "run", "voc2012/an", 0.5)
    (tmp_path / "prepared").mkdir()
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "environment.json").touch()
    found, unfinished = read_results([tmp_path])
    assert list(found) == results, "by name, and from direct sub-folders alone"
    assert unfinished == (tmp_path / "begun",)
    found, unfinished = read_results([tmp_path / "d", tmp_path, other.run, tmp_path / "a" / ".." / "a"])
    assert [result.run for result in found] == [
        results[3].run, *(result.run for result in (*results[:3], results[4])), other.run,
    ], "each run once, where it is named first"  # fmt: skip
    for empty in (tmp_path / "far", tmp_path / "begun", tmp_path / "none"):
        with pytest.raises(OneLabelError, match=r"holds none \(no benchmark.json in it or in a folder"):
            read_results([results[0].run, empty])


def test_csv_holds_every_number_in_a_cell_of_its_own(results: list[Result]) -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(lines_of(results)))))
    vlpl = [
        row for row in rows if (row["method"], row["data_set"], row["setting"]) == ("vlpl", "voc2012", "")
    ]
    assert [(row["published"], row["measured"], row["seed"]) for row in vlpl] == [
        ("89.10", "88.76", "0"), ("", "89.12", "1"),
    ]  # fmt: skip
    assert vlpl[0]["published_source"] == "VLPL Table 1" and vlpl[1]["run"].endswith("b")
    numbers = [row["published"] for row in rows if row["published"]]
    wanted = [each.text for line in lines_of(results) for each in line.published]
    assert numbers == wanted
    assert sum(bool(row["measured"]) for row in rows) == len(results)


def test_markdown_latex_and_text_hold_the_same_cells(results: list[Result]) -> None:
    table = table_of(lines_of(results))
    markdown, latex, text = to_markdown(table), to_latex(table), to_text(table)
    assert markdown.count("\n|") == len(table.rows) + 2
    assert {line.count("|") for line in markdown.splitlines() if line.startswith("|")} == {
        len(table.header) + 1
    }
    assert {line.count("&") for line in latex.splitlines() if line.endswith(r"\\")} == {len(table.header) - 1}
    assert "c\\_1" in latex and "c\\_1" in markdown
    for row in table.rows:
        for cell in row:
            assert cell in text
            assert cell.replace("_", r"\_") in latex
            assert cell.replace("_", r"\_").replace("*", r"\*") in markdown


def test_hostile_names_do_no_harm(tmp_path: Path) -> None:
    result = finished(tmp_path / "a|b&%$#_{}~^<script>\\", "voc2012/an", 0.5)
    lines = lines_of([result])
    page = writer_of("t.html")(lines)
    assert "<script" not in page and "&lt;script&gt;" in page
    latex = to_latex(table_of(lines))
    assert r"a|b\&\%\$\#\_\{\}\textasciitilde{}\textasciicircum{}<script>\textbackslash{}" in latex
    assert {
        line.count("|") for line in to_markdown(table_of(lines)).splitlines() if line.startswith("| ")
    } == {4}


def test_the_page_shows_both_sides_and_what_is_not_comparable(results: list[Result]) -> None:
    page = writer_of("t.html")(lines_of(results))
    for text in ("On voc2012", "On nus-cole", "88.76", "89.10", "47.33", "VLPL Table 1", "epochs 2"):
        assert text in page, text
    assert "changed: epochs 2" in page
    assert "no settings for this protocol are published" in page
    assert "onelabel benchmark nus-cole/ll-r --data DIR --out RUN --seed 0 --epochs 2" in page


def test_what_is_no_record_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OneLabelError, match="not the folder of a finished benchmark"):
        read_result(tmp_path)
    finished(tmp_path / "run", "voc2012/an", 0.5)
    file = tmp_path / "run" / NAME
    file.write_text(file.read_text().replace('"map_published": 0.5', '"map": 0.5'))
    with pytest.raises(OneLabelError, match="is not whole"):
        read_result(tmp_path / "run")
    file.write_text(file.read_text().replace('"map"', '"map_published"').replace('"voc2012"', '"voc"'))
    with pytest.raises(OneLabelError, match="is not whole"):
        read_result(tmp_path / "run")
    with pytest.raises(OneLabelError, match=r"must end in one of these"):
        writer_of("table.txt")


def test_published_numbers_are_found_for_every_line(results: list[Result]) -> None:
    for line in lines_of(results):
        assert line.published == find(line.data_set, line.method, line.setting)
        assert {found.data_set for found in line.published} <= {line.data_set}
        assert {found.data_set for found in line.measured} <= {line.data_set}
