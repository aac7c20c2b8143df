"""Which files count as images, and which file belongs to an id."""

from __future__ import annotations

import os
import tracemalloc
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onelabel.images.folder import expand_photos, list_images, resolve
from onelabel.io.errors import OneLabelError
from onelabel.io.ids import IdTable


def make(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def ids(*texts: str) -> IdTable:
    return IdTable.from_strings(texts)


class TestListImages:
    def test_recursive_sorted_and_by_extension_in_any_case(self, tmp_path: Path) -> None:
        make(tmp_path, "b.JPG", "a/z.png", "a/b/c.WebP", "notes.txt", "Z.jpeg", "noextension", "x.jpg.bak")
        assert list_images(tmp_path) == ["Z.jpeg", "a/b/c.WebP", "a/z.png", "b.JPG"]

    def test_hidden_files_and_folders_are_skipped(self, tmp_path: Path) -> None:
        make(tmp_path, ".a.jpg", "._b.jpg", ".thumbnails/c.jpg", "d.jpg")
        assert list_images(tmp_path) == ["d.jpg"]

    def test_heic_is_listed_so_that_decoding_can_say_what_it_needs(self, tmp_path: Path) -> None:
        assert list_images(make(tmp_path, "a.HEIC")) == ["a.HEIC"]

    def test_links_inside_are_followed_links_outside_are_not(self, tmp_path: Path) -> None:
        root = make(tmp_path / "root", "a.jpg", "sub/b.jpg")
        make(tmp_path / "outside", "secret.jpg")
        (root / "inside.jpg").symlink_to(root / "sub" / "b.jpg")
        (root / "leaves.jpg").symlink_to(tmp_path / "outside" / "secret.jpg")
        (root / "folder").symlink_to(tmp_path / "outside")
        (root / "loop").symlink_to(root)
        (root / "self.jpg").symlink_to(root / "self.jpg")
        (root / "dangling.jpg").symlink_to(root / "nothing.jpg")
        assert list_images(root) == ["a.jpg", "inside.jpg", "sub/b.jpg"]

    def test_the_folder_itself_may_be_a_link(self, tmp_path: Path) -> None:
        make(tmp_path / "real", "a.jpg")
        (tmp_path / "link").symlink_to(tmp_path / "real")
        assert list_images(tmp_path / "link") == ["a.jpg"]

    def test_folder_named_like_an_image(self, tmp_path: Path) -> None:
        assert list_images(make(tmp_path, "odd.jpg/a.png")) == ["odd.jpg/a.png"]

    def test_ids_are_composed_unicode(self, tmp_path: Path) -> None:
        make(tmp_path, unicodedata.normalize("NFD", "ü.jpg"))
        assert list_images(tmp_path) == [unicodedata.normalize("NFC", "ü.jpg")]

    def test_bad_roots(self, tmp_path: Path) -> None:
        with pytest.raises(OneLabelError, match=r"there is no image folder .*none"):
            list_images(tmp_path / "none")
        with pytest.raises(OneLabelError, match=r"a\.jpg is a file"):
            list_images(make(tmp_path, "a.jpg") / "a.jpg")

    @pytest.mark.skipif(os.name == "nt", reason="Windows names are Unicode")
    def test_name_that_is_no_unicode(self, tmp_path: Path) -> None:
        try:
            Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.jpg")).touch()
        except OSError:
            pytest.skip("this file system refuses such names")
        with pytest.raises(OneLabelError, match=r"not valid UTF-8: .*caf"):
            list_images(tmp_path)

    def test_folder_that_cannot_be_listed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        make(tmp_path, "sub/a.jpg")
        original = os.scandir

        def refuse(path: Path) -> object:
            if Path(path).name == "sub":
                raise PermissionError(13, "Permission denied")
            return original(path)

        monkeypatch.setattr(os, "scandir", refuse)
        with pytest.raises(OneLabelError, match=r"cannot list .*sub.*Permission denied"):
            list_images(tmp_path)


class TestExpandPhotos:
    def test_files_folders_and_patterns_in_order_each_once(self, tmp_path: Path) -> None:
        make(tmp_path, "b.jpg", "a.jpg", "sub/c.png", "sub/deep/d.png", "notes.txt")
        given = [
            str(tmp_path / "sub"),
            str(tmp_path / "*.jpg"),
            str(tmp_path / "b.jpg"),
            str(tmp_path / "**/*.png"),
        ]
        found = [path.relative_to(tmp_path).as_posix() for path in expand_photos(given)]
        assert found == ["sub/c.png", "sub/deep/d.png", "a.jpg", "b.jpg"]

    def test_a_named_file_is_taken_whatever_its_extension(self, tmp_path: Path) -> None:
        make(tmp_path, "photo", "odd[1].jpg")
        assert expand_photos([str(tmp_path / "photo")]) == [tmp_path / "photo"]
        assert expand_photos([str(tmp_path / "odd[1].jpg")]) == [tmp_path / "odd[1].jpg"]

    def test_a_pattern_takes_images_only_and_folders_whole(self, tmp_path: Path) -> None:
        make(tmp_path, "a.jpg", "a.txt", "arms/b.png", "ants/readme.md")
        found = expand_photos([str(tmp_path / "a*")])
        assert found == [tmp_path / "a.jpg", tmp_path / "arms" / "b.png"]

    def test_decomposed_names_still_open(self, tmp_path: Path) -> None:
        make(tmp_path, unicodedata.normalize("NFD", "ü.jpg"))
        assert all(path.exists() for path in expand_photos([str(tmp_path)]))

    @pytest.mark.parametrize(
        "argument, problem",
        [
            ("none.jpg", "no file, folder or pattern"),
            ("*.gif", "no image matches"),
            ("empty", "no image in the folder"),
        ],
    )
    def test_nothing_found(self, tmp_path: Path, argument: str, problem: str) -> None:
        (tmp_path / "empty").mkdir()
        with pytest.raises(OneLabelError, match=problem) as caught:
            expand_photos([str(tmp_path / argument)])
        assert argument in str(caught.value)


class TestResolve:
    def test_exact_stem_and_missing(self, tmp_path: Path) -> None:
        make(tmp_path, "a.jpg", "sub/b.PNG", "sub/c.v2.jpg")
        found = resolve(ids("a.jpg", "sub/b", "sub/b.gone/x.jpg", "sub/c.v2", "none.jpg"), tmp_path)
        assert list(found.paths) == ["a.jpg", "sub/b.PNG", "", "sub/c.v2.jpg", ""]
        assert found.by_stem.tolist() == [1, 3]
        assert found.missing.tolist() == [2, 4]
        assert "2 ids found by name without extension, such as 'sub/b' -> 'sub/b.PNG'" in found.notes[0]
        assert found.notes[1].startswith("2 of 5 ids have no file in")

    def test_nothing_to_note(self, tmp_path: Path) -> None:
        assert resolve(ids("a.jpg"), make(tmp_path, "a.jpg")).notes == ()

    def test_other_extension_is_a_stem_match(self, tmp_path: Path) -> None:
        found = resolve(ids("a.png", "b.jpg"), make(tmp_path, "a.jpg", "b.JPG"))
        assert list(found.paths) == ["a.jpg", "b.JPG"]
        assert found.by_stem.tolist() == [0, 1]

    def test_a_stem_with_two_files_is_missing(self, tmp_path: Path) -> None:
        assert resolve(ids("a"), make(tmp_path, "a.jpg", "a.png")).missing.tolist() == [0]

    def test_a_file_is_not_given_to_two_ids(self, tmp_path: Path) -> None:
        make(tmp_path, "a.jpg")
        assert resolve(ids("a", "a.jpg"), tmp_path).missing.tolist() == [0]
        assert resolve(ids("a", "a.png"), tmp_path).missing.tolist() == [1]

    def test_a_stem_does_not_match_in_another_folder(self, tmp_path: Path) -> None:
        assert resolve(ids("a", "other/a"), make(tmp_path, "sub/a.jpg")).missing.tolist() == [0, 1]

    def test_files_that_a_listing_passes_by(self, tmp_path: Path) -> None:
        make(tmp_path, ".hidden.jpg", "photo.dat", "sub/a.jpg")
        (tmp_path / "link").symlink_to(tmp_path / "sub")
        named = [".hidden.jpg", "photo.dat", "link/a.jpg"]
        found = resolve(ids(*named), tmp_path)
        assert list(found.paths) == named
        assert len(found.missing) == len(found.by_stem) == 0

    def test_ways_to_write_the_same_path(self, tmp_path: Path) -> None:
        make(tmp_path, "sub/a.jpg", "b.jpg")
        found = resolve(ids("./sub//a.jpg", "sub/../b.jpg"), tmp_path)
        assert list(found.paths) == ["sub/a.jpg", "b.jpg"]
        assert len(found.by_stem) == 0

    def test_unicode_forms(self, tmp_path: Path) -> None:
        on_disk = unicodedata.normalize("NFD", "ü/é.jpg")
        make(tmp_path, on_disk)
        for form in ("NFC", "NFD"):
            found = resolve(ids(unicodedata.normalize(form, "ü/é.jpg")), tmp_path)
            assert list(found.paths) == [on_disk]

    @pytest.mark.parametrize(
        "text", ["../x.jpg", "..", "a/../../x.jpg", "/etc/passwd", "//host/x.jpg", "C:\\x.jpg", "C:/x.jpg"]
    )
    def test_paths_that_leave_the_folder_are_refused(self, tmp_path: Path, text: str) -> None:
        make(tmp_path, "x.jpg", "root/a.jpg")
        with pytest.raises(OneLabelError, match="leaves the image folder") as caught:
            resolve(ids("a.jpg", text), tmp_path / "root")
        assert repr(text) in str(caught.value)

    def test_links_that_leave_the_folder_are_refused(self, tmp_path: Path) -> None:
        root = make(tmp_path / "root", "a.jpg")
        make(tmp_path, "secret.jpg")
        (root / "link.jpg").symlink_to(tmp_path / "secret.jpg")
        (root / "up").symlink_to(tmp_path)
        for text in ("link.jpg", "up/secret.jpg"):
            with pytest.raises(OneLabelError, match=f"'{text}' is a link that leaves"):
                resolve(ids(text), root)

    @pytest.mark.parametrize("text", ["", ".", "a\0b.jpg", "x" * 5000 + ".jpg"])
    def test_odd_ids_are_missing(self, tmp_path: Path, text: str) -> None:
        assert resolve(ids(text), make(tmp_path, "a.jpg")).missing.tolist() == [0]

    @settings(max_examples=60, deadline=None)
    @given(text=st.text(st.sampled_from("a./\\:~ é"), max_size=12))
    def test_whatever_the_id_the_path_is_inside_or_the_id_is_refused(
        self, tmp_path_factory: pytest.TempPathFactory, text: str
    ) -> None:
        root = make(tmp_path_factory.mktemp("x") / "root", "a.jpg", "a/a.jpg", "é/a.a")
        try:
            found = resolve(ids(text), root)
        except OneLabelError as error:
            assert repr(text) in str(error)
        else:
            path = (root / str(found.paths[0])).resolve()
            assert path == root.resolve() if len(found.missing) else path.is_relative_to(root.resolve())

    def test_order_and_memory_for_many(self, tmp_path: Path) -> None:
        names = [f"{i % 50:02}/{i:06}.jpg" for i in range(5_000)]
        make(tmp_path, *names)
        table = IdTable.from_strings(names).take(np.random.default_rng(0).permutation(len(names)))
        tracemalloc.start()
        found = resolve(table, tmp_path)
        kept = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        assert found.paths == table
        assert kept < 30 * len(names)  # bytes: 13 of text and an offset of 8 each; a Python string has 62
