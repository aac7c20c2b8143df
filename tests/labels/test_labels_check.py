"""Every fault that `onelabel check` promises to find, put into a folder and found again."""

from __future__ import annotations

import json
import random
import string
import struct
import sys
import time
import unicodedata
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike
from PIL import Image

from onelabel.io.errors import OneLabelError
from onelabel.io.ids import IdTable
from onelabel.labels import photo_scan
from onelabel.labels.check import CheckReport, Finding, render, run_checks
from onelabel.labels.class_names import similar_class_names
from onelabel.labels.table import LabelTable


def photo(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def table_of(
    ids: list[str], labels: ArrayLike | None = None, classes: tuple[str, ...] = ("cat", "horse")
) -> LabelTable:
    return LabelTable.from_dense(
        ids, classes, np.ones((len(ids), len(classes))) if labels is None else labels
    )


def found(report: CheckReport, kind: str) -> list[tuple[str, ...]]:
    return [finding.subjects for finding in report.findings if finding.kind == kind]


def kinds(report: CheckReport) -> set[str]:
    return {finding.kind for finding in report.findings}


def bomb(path: Path) -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    )


class TestPhotos:
    def test_nothing_to_report(self, tmp_path: Path) -> None:
        ids = [photo(tmp_path / f"{i}.png", i).name for i in range(3)]
        report = run_checks(table_of(ids), tmp_path)
        assert report == CheckReport(images=3, classes=2, photos=3, decoded=True, findings=())
        assert report.exit_code(strict=True) == 0
        assert "nothing found" in render(report)

    def test_six_broken_files_are_all_listed(self, tmp_path: Path) -> None:
        whole = photo(tmp_path / "good.png").read_bytes()
        (tmp_path / "truncated.png").write_bytes(whole[: len(whole) // 2])
        (tmp_path / "empty.jpg").write_bytes(b"")
        (tmp_path / "text.jpg").write_text("not an image")
        (tmp_path / "heic.heic").write_bytes(struct.pack(">I", 24) + b"ftypheic\0\0\0\0mif1heic")
        bomb(tmp_path / "bomb.png")
        ids = ["good.png", "truncated.png", "empty.jpg", "text.jpg", "heic.heic", "bomb.png", "gone.jpg"]
        report = run_checks(table_of(ids), tmp_path)
        assert found(report, "unreadable_image") == [
            ("truncated.png",),
            ("empty.jpg",),
            ("text.jpg",),
            ("heic.heic",),
        ]
        assert found(report, "oversized_image") == [("bomb.png",)]
        assert found(report, "missing_file") == [("gone.jpg",)]
        messages = {finding.subjects[0]: finding.message for finding in report.findings}
        assert "broken or incomplete" in messages["truncated.png"]
        assert "pillow-heif" in messages["heic.heic"]
        assert "900,000,000 pixels" in messages["bomb.png"]
        assert report.photos == 6
        assert (report.exit_code(), report.exit_code(strict=True)) == (0, 1)

    def test_headers_only_misses_truncation_and_says_so(self, tmp_path: Path) -> None:
        whole = photo(tmp_path / "a.png").read_bytes()
        (tmp_path / "a.png").write_bytes(whole[: len(whole) // 2])
        bomb(tmp_path / "b.png")
        report = run_checks(table_of(["a.png", "b.png"]), tmp_path, decode=False)
        assert kinds(report) == {"oversized_image"}
        assert "headers only" in render(report)

    def test_the_pixel_limit_is_the_callers(self, tmp_path: Path) -> None:
        photo(tmp_path / "a.png")
        assert run_checks(table_of(["a.png"]), tmp_path, max_pixels=256).findings == ()
        assert kinds(run_checks(table_of(["a.png"]), tmp_path, max_pixels=255)) == {"oversized_image"}

    def test_files_and_labels_that_lack_each_other(self, tmp_path: Path) -> None:
        photo(tmp_path / "a.png", 1)
        photo(tmp_path / "b" / "c.png", 2)
        photo(tmp_path / unicodedata.normalize("NFD", "ü.png"), 3)
        (tmp_path / "readme.txt").touch()
        report = run_checks(table_of(["a.png", "ü.png", "x.png"]), tmp_path)
        assert found(report, "file_without_labels") == [("b/c.png",)]
        assert found(report, "missing_file") == [("x.png",)]

    def test_a_stem_match_is_a_note(self, tmp_path: Path) -> None:
        photo(tmp_path / "a.png")
        report = run_checks(table_of(["a"]), tmp_path)
        assert found(report, "matched_by_stem") == [("a", "a.png")]
        assert report.exit_code(strict=True) == 0

    def test_an_animation_is_a_note(self, tmp_path: Path) -> None:
        frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
        frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
        report = run_checks(table_of(["a.gif"]), tmp_path)
        assert [(f.kind, f.severity) for f in report.findings] == [("first_frame_only", "note")]

    def test_an_id_that_leaves_the_folder_stops_the_check(self, tmp_path: Path) -> None:
        photo(tmp_path / "x.png")
        (tmp_path / "root").mkdir()
        with pytest.raises(OneLabelError, match=r"'\.\./x\.png' leaves"):
            run_checks(table_of(["../x.png"]), tmp_path / "root")

    def test_no_such_folder(self, tmp_path: Path) -> None:
        with pytest.raises(OneLabelError, match="no image folder"):
            run_checks(table_of(["a.png"]), tmp_path / "none")


class TestDuplicates:
    def make(self, folder: Path, *names: str, seed: int = 0) -> list[str]:
        for name in names:
            photo(folder / name, seed)
        return list(names)

    def test_identical_bytes_are_grouped_and_others_of_equal_size_are_not(self, tmp_path: Path) -> None:
        ids = self.make(tmp_path, "a.bmp", "b.bmp", "c.bmp", seed=1) + self.make(
            tmp_path, "d.bmp", "e.bmp", seed=2
        )
        ids += self.make(tmp_path, "f.bmp", seed=3)  # BMP: all files have the same size
        report = run_checks(table_of(ids), tmp_path)
        assert found(report, "duplicate_images") == [("a.bmp", "b.bmp", "c.bmp"), ("d.bmp", "e.bmp")]
        assert kinds(report) == {"duplicate_images"}

    def test_contradicting_labels(self, tmp_path: Path) -> None:
        ids = self.make(tmp_path, "a.png", "b.png", "c.png")
        report = run_checks(table_of(ids, [[1, 1], [0, 0], [-1, 1]]), tmp_path)
        (finding,) = (f for f in report.findings if f.kind == "duplicates_disagree")
        assert finding.severity == "error"
        assert finding.subjects == ("a.png", "b.png", "c.png")
        assert finding.message.endswith(": cat")

    def test_unknown_contradicts_nothing(self, tmp_path: Path) -> None:
        ids = self.make(tmp_path, "a.png", "b.png")
        report = run_checks(table_of(ids, [[1, 0], [0, 1]]), tmp_path)
        assert kinds(report) == {"duplicate_images"}

    def test_contradiction_between_far_copies(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("onelabel.labels.check._ROWS_AT_ONCE", 2)
        ids = self.make(tmp_path, *(f"{i}.png" for i in range(5)))
        report = run_checks(table_of(ids, [[1, 1], [0, 1], [0, 1], [0, 1], [-1, 1]]), tmp_path)
        assert len(found(report, "duplicates_disagree")) == 1

    def test_across_splits(self, tmp_path: Path) -> None:
        ids = self.make(tmp_path, "a.png", "b.png") + self.make(tmp_path, "c.png", "d.png", seed=1)
        ids += self.make(tmp_path, "e.png", "f.png", seed=2)
        splits = np.array([0, 1, 1, 1, 0, -1], np.int8)
        table = replace(table_of(ids), splits=splits, split_names=("train", "test"))
        report = run_checks(table, tmp_path)
        assert found(report, "duplicates_across_splits") == [("a.png", "b.png")]
        assert len(found(report, "duplicate_images")) == 3

    def test_broken_copies_are_found_too(self, tmp_path: Path) -> None:
        for name in ("a.jpg", "b.jpg"):
            (tmp_path / name).write_text("placeholder")
        report = run_checks(table_of(["a.jpg", "b.jpg"]), tmp_path)
        assert report.counts() == {"unreadable_image": 2, "duplicate_images": 1}

    def test_only_files_of_equal_size_are_read_for_their_digest(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        read: list[str] = []
        original = photo_scan._digest

        def digest(path: Path) -> bytes:
            read.append(path.name)
            return original(path)

        monkeypatch.setattr(photo_scan, "_digest", digest)
        (tmp_path / "a.jpg").write_bytes(b"1")
        (tmp_path / "b.jpg").write_bytes(b"2")
        (tmp_path / "c.jpg").write_bytes(b"333")
        run_checks(table_of(["a.jpg", "b.jpg", "c.jpg"]), tmp_path)
        assert read == ["a.jpg", "b.jpg"]


class TestLabels:
    def test_without_a_folder_only_labels_are_checked(self) -> None:
        report = run_checks(table_of(["gone.jpg"]))
        assert report.findings == ()
        assert "no photo read" in render(report)

    def test_classes_without_positive_and_images_with_nothing_known(self) -> None:
        report = run_checks(table_of(["a", "b", "c"], [[1, -1], [0, 0], [0, -1]]))
        assert found(report, "class_without_positive") == [("horse",)]
        assert found(report, "nothing_known") == [("b",)]
        assert report.exit_code(strict=True) == 1

    def test_exhaustive_images_are_known(self) -> None:
        table = table_of(["a", "b"], [[1, 1], [0, 0]]).with_default(exhaustive=True)
        assert run_checks(table).findings == ()

    def test_groups_across_splits(self) -> None:
        groups = np.array([0, 0, 1, 1, 2, 2, -1, -1], np.int32)
        splits = np.array([0, 1, 1, 1, 0, -1, 0, 1], np.int8)
        table = replace(
            table_of([str(i) for i in range(8)]),
            groups=groups,
            group_names=IdTable.from_strings(["p1", "p2", "p3"]),
            splits=splits,
            split_names=("train", "val"),
        )
        (finding,) = run_checks(table).findings
        assert (finding.kind, finding.severity, finding.subjects) == ("group_across_splits", "error", ("p1",))
        assert finding.message == "is in train, val"

    def test_an_empty_table(self, tmp_path: Path) -> None:
        table = LabelTable.from_dense([], ["cat"], np.zeros((0, 1)))
        photo(tmp_path / "a.png")
        report = run_checks(table, tmp_path)
        assert kinds(report) == {"class_without_positive", "file_without_labels"}


def one_edit_apart(a: str, b: str) -> bool:
    """The definition, spelled out: insert, delete, replace one character, or swap two neighbours."""
    letters = set(a + b)
    near = {a[:i] + a[i + 1 :] for i in range(len(a))}
    near |= {a[:i] + c + a[i + 1 :] for i in range(len(a)) for c in letters}
    near |= {a[:i] + c + a[i:] for i in range(len(a) + 1) for c in letters}
    near |= {a[:i] + a[i + 1] + a[i] + a[i + 2 :] for i in range(len(a) - 1)}
    return a != b and b in near


class TestClassNames:
    @pytest.mark.parametrize(
        "first, second, message",
        [
            ("dog", "Dog", "differ only in case or spacing"),
            ("dog", "dog ", "differ only in case or spacing"),
            ("traffic light", "traffic_light", "differ only in case or spacing"),
            ("traffic light", "TrafficLight", "differ only in case or spacing"),
            ("ｄｏｇ", "dog", "differ only in case or spacing"),  # full-width letters
            ("Fussgänger", "Fußgänger", "or the spelling of a letter, such as ß and ss"),
            ("dog", "dgo", "two letters swapped"),
            ("dog", "dogs", "differ in one letter"),
            ("giraffe", "girafe", "differ in one letter"),
            ("bicycle", "bicicle", "differ in one letter"),
            ("horse", "house", "differ in one letter"),
        ],
    )
    def test_near(self, first: str, second: str, message: str) -> None:
        (finding,) = similar_class_names([first, "something else", second])
        assert finding.subjects == (first, second)
        assert finding.severity == "warning"
        assert finding.message.endswith(message)

    @pytest.mark.parametrize(
        "first, second",
        [
            ("class1", "class2"),
            ("class", "class1"),
            ("n01440764", "n01440765"),
            ("dog", "cat"),
            ("cat", "car"),
            ("cat", "cart"),
            ("abcd", "badc"),
            ("ab", ""),
        ],
    )
    def test_not_near(self, first: str, second: str) -> None:
        assert similar_class_names([first, second]) == []

    def test_three_spellings_are_one_finding(self) -> None:
        assert [f.subjects for f in similar_class_names(["dog", "DOG", "Dog"])] == [("dog", "DOG", "Dog")]

    @settings(max_examples=200, deadline=None)
    @given(st.lists(st.text("abc", min_size=5, max_size=7), unique=True, max_size=8))
    def test_equal_to_the_definition(self, names: list[str]) -> None:
        expected = {(a, b) for i, a in enumerate(names) for b in names[i + 1 :] if one_edit_apart(a, b)}
        assert {finding.subjects for finding in similar_class_names(names)} == expected

    def test_ten_thousand_classes_take_seconds(self) -> None:
        rng = random.Random(0)
        names = ["".join(rng.choices(string.ascii_lowercase, k=rng.randint(8, 25))) for _ in range(9_000)]
        names += [f"class_{i:05}" for i in range(1_000)]
        typo = names[17][:3] + names[17][4:]
        start = time.process_time()
        assert [finding.subjects for finding in similar_class_names([*names, typo])] == [(names[17], typo)]
        assert time.process_time() - start < 10  # every pair would be 50 million comparisons


class TestProcesses:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        for i in range(40):
            photo(tmp_path / "photos" / f"{i:02}.png", seed=i // 2)
        (tmp_path / "photos" / "07.png").write_bytes(b"broken")
        return tmp_path / "photos"

    def test_several_processes_find_what_one_finds(self, folder: Path) -> None:
        table = table_of([f"{i:02}.png" for i in range(41)])
        one, several = (run_checks(table, folder, workers=workers) for workers in (1, 2))
        assert one == several
        assert one.counts() == {"missing_file": 1, "unreadable_image": 1, "duplicate_images": 19}

    def test_a_decoder_that_kills_its_process_costs_one_photo(
        self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A package for HEIC that crashes: what a fault in any decoder's C code would do."""
        package = tmp_path / "site" / "pillow_heif"
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        (package / "as_plugin.py").write_text(
            "import os\ndef HeifImageFile(stream, name):\n    os._exit(139)\n"
        )
        monkeypatch.syspath_prepend(str(tmp_path / "site"))
        heic = struct.pack(">I", 24) + b"ftypheic\0\0\0\0mif1heic"
        for name in ("13.png", "30.png"):
            (folder / name).write_bytes(heic + name.encode())
        report = run_checks(table_of([f"{i:02}.png" for i in range(40)]), folder, workers=2)
        assert found(report, "unreadable_image") == [("07.png",), ("13.png",), ("30.png",)]
        assert [f.message for f in report.findings if f.subjects == ("13.png",)] == [photo_scan._CRASHED]
        assert report.photos == 40

    def test_processes_that_cannot_start_are_a_clear_error(
        self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What a script without a main guard runs into: the new process fails before its first task."""
        script = tmp_path / "script.py"
        script.write_text("raise SystemExit(1)\n")
        main = sys.modules["__main__"]
        monkeypatch.setattr(main, "__spec__", None, raising=False)
        monkeypatch.setattr(main, "__file__", str(script), raising=False)
        table = table_of([f"{i:02}.png" for i in range(40)])
        with pytest.raises(OneLabelError, match="__name__ == '__main__'"):
            run_checks(table, folder, workers=2)

    def test_tasks_under_way_are_bounded(self) -> None:
        """Tasks are taken as they are worked on: memory for paths does not grow with the number of photos."""
        taken = 0

        def tasks() -> Iterator[photo_scan._Task]:
            nonlocal taken
            for _ in range(100):
                taken += 1
                yield photo_scan._Task("", [], [], [], 1, True)

        answers = photo_scan._outcomes(tasks(), workers=2)
        next(answers)
        assert taken <= 5
        assert 1 + len(list(answers)) == taken == 100

    @pytest.mark.parametrize(
        "workers, photos, expected", [(3, 1000, 3), (8, 20, 2), (0, 9, 0), (None, 10, 1), (4, 0, 0)]
    )
    def test_number_of_workers(self, workers: int | None, photos: int, expected: int) -> None:
        assert photo_scan._number_of_workers(workers, photos) == expected


class TestReport:
    def report(self, count: int) -> CheckReport:
        findings = tuple(
            Finding("missing_file", "error", (f"{i}.jpg",), "no such file") for i in range(count)
        )
        return CheckReport(images=count, classes=1, photos=0, decoded=True, findings=findings)

    def test_json(self) -> None:
        content = json.loads(json.dumps(self.report(2).to_dict()))
        assert content["counts"] == {"missing_file": 2}
        assert content["findings"][1] == {
            "kind": "missing_file",
            "severity": "error",
            "subjects": ["1.jpg"],
            "message": "no such file",
        }
        assert content["kind"] == "onelabel-check"
        assert content["format_version"] == 1

    def test_ten_examples_then_a_count(self) -> None:
        text = render(self.report(12))
        assert "  9.jpg: no such file" in text
        assert "10.jpg" not in text
        assert "... and 2 more, see --json FILE" in text
        assert "more" not in render(self.report(10))

    def test_names_cannot_reach_the_terminal(self) -> None:
        finding = Finding("missing_file", "error", ("\x1b[2Ja\nb.jpg",), "no such file")
        text = render(replace(self.report(0), findings=(finding,)))
        assert "\x1b" not in text
        assert r"\x1b[2Ja\nb.jpg" in text

    def test_kinds_come_in_a_fixed_order_worst_first(self, tmp_path: Path) -> None:
        report = run_checks(table_of(["gone.jpg"], [[0, 0]], classes=("dog", "Dog")), tmp_path)
        order = [
            "missing_file",
            "nothing_known",
            "class_without_positive",
            "class_without_positive",
            "similar_class_names",
        ]
        assert [finding.kind for finding in report.findings] == order
