"""Images in tar files: the store of a folder, and what is refused."""

from __future__ import annotations

import io
import json
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from onelabel.images.shards import ShardFiles, expand_shards, list_shards, rows_in_shards
from onelabel.io.errors import ImageError, OneLabelError
from onelabel.io.ids import IdTable
from onelabel.io.shares import Share
from onelabel.vlm.store import UnfinishedStoreError

COUNT = 23


def member(name: str, data: bytes = b"x", **changes: Any) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in changes.items():
        setattr(info, key, value)
    return info, data


def pack(path: Path, members: list[tuple[tarfile.TarInfo, bytes]], kind: int = tarfile.PAX_FORMAT) -> Path:
    with tarfile.open(path, "w", format=kind) as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    return path


def files_of(photos: Any, names: list[str]) -> list[tuple[tarfile.TarInfo, bytes]]:
    """As WebDataset has it: each image, and its labels beside it."""
    out = []
    for name in names:
        out.append(member(name, (photos.root / name).read_bytes()))
        out.append(member(str(Path(name).with_suffix(".json")), json.dumps({"label": 1}).encode()))
    return out


def three_shards(photos: Any, folder: Path) -> str:
    names = list(photos.ids)
    for number in range(3):
        kind = (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)[number]
        pack(folder / f"data-{number:03d}.tar", files_of(photos, names[number * 8 : number * 8 + 8]), kind)
    return str(folder / "data-{000..002}.tar")


def listed(pattern: str, ids: IdTable, spool: Path) -> tuple[Any, Any]:
    return rows_in_shards(ids, list_shards(ShardFiles(pattern, spool)), pattern)


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_patterns() -> None:
    assert expand_shards("a.tar") == ["a.tar"]
    assert expand_shards("{1..2}/{09..10}.tar") == ["1/09.tar", "1/10.tar", "2/09.tar", "2/10.tar"]
    for wrong in ("{2..1}.tar", "{0..9999999}.tar", "{0..9999}/{0..9999}.tar"):
        with pytest.raises(OneLabelError, match="ranges must go up, and give a million shards at most"):
            expand_shards(wrong)


@pytest.mark.parametrize("workers", [0, 2])
def test_the_store_is_that_of_the_folder(photos: Any, tmp_path: Path, workers: int) -> None:
    photos.write(tmp_path / "folder")
    order, shards = listed(three_shards(photos, tmp_path), photos.ids, tmp_path)
    assert order.tolist() == list(range(COUNT))
    photos.write(tmp_path / "tars", root="nowhere", shards=shards, workers=workers)
    assert contents(tmp_path / "tars") == contents(tmp_path / "folder")


def test_rows_lie_as_in_the_shards_and_parts_share_them(photos: Any, tmp_path: Path) -> None:
    whole = photos.write(tmp_path / "folder")
    names = Random(0).sample(list(photos.ids), 15)  # of a table in another order, with fewer images
    pattern, ids = three_shards(photos, tmp_path), IdTable.from_strings(names)
    order, shards = listed(pattern, ids, tmp_path)
    taken = ids.take(order)
    assert list(taken) == sorted(names, key=list(photos.ids).index)
    with pytest.raises(UnfinishedStoreError):
        photos.write(tmp_path / "tars", ids=taken, shards=shards, share=Share(1, 2))
    store = photos.write(tmp_path / "tars", ids=taken, shards=shards, share=Share(0, 2))
    rows = whole.ids.rows_of(taken)
    np.testing.assert_array_equal(store.rows(np.arange(15)), whole.rows(rows))


def test_a_changed_shard_is_found_before_going_on(photos: Any, tmp_path: Path) -> None:
    pattern = three_shards(photos, tmp_path)
    _, shards = listed(pattern, photos.ids, tmp_path)
    with pytest.raises(UnfinishedStoreError):
        photos.write(tmp_path / "tars", shards=shards, share=Share(0, 2))
    shard = tmp_path / "data-000.tar"
    data = bytearray(shard.read_bytes())
    data[int(shards.start[3]) + int(shards.size[3]) - 1] ^= 1
    shard.write_bytes(data)
    with pytest.raises(
        OneLabelError, match=r"data-000\.tar/000\.png has changed|data-000\.tar/.*has changed"
    ):
        photos.write(tmp_path / "tars", shards=shards, share=Share(0, 2))


def test_a_broken_image_is_named_with_its_shard(photos: Any, tmp_path: Path) -> None:
    pack(tmp_path / "a.tar", [member("000.png", b"no image"), member("b.png", b"")])
    for name in ("000.png", "b.png"):
        ids = IdTable.from_strings([name])
        _, shards = listed(str(tmp_path / "a.tar"), ids, tmp_path)
        with pytest.raises(ImageError) as caught:
            photos.write(tmp_path / "tars", ids=ids, shards=shards, overwrite=True)
        assert caught.value.path == str(tmp_path / "a.tar" / name)


def test_images_that_are_in_no_shard_are_named(photos: Any, tmp_path: Path) -> None:
    with pytest.raises(
        OneLabelError, match=r"2 of 3 images are not in .*\(such as 000, a/none\.png\): ids must"
    ):
        listed(
            three_shards(photos, tmp_path), IdTable.from_strings(["000.png", "000", "a/none.png"]), tmp_path
        )


# -- hostile shards ---


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (member("../a.png"), r"'\.\./a\.png' .* is not a path below the shard"),
        (member("a/../../b.png"), "is not a path below the shard"),
        (member("/etc/a.png"), "'/etc/a.png' .* is not a path below"),
        (member("a\\b.png"), "is not a path below"),
        (
            member("a.png", b"", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
            "'a.png' .*links are not followed",
        ),
        (member("a.png", b"", type=tarfile.LNKTYPE, linkname="b.png"), "links are not followed"),
        (member("a.png", b"", type=tarfile.CHRTYPE), "not a regular file"),
        (member("a.png", b"", type=tarfile.FIFOTYPE), "not a regular file"),
        (member("ok.png"), r"the image 'ok\.png' appears twice"),
        (member("./ok.png"), r"the image 'ok\.png' appears twice"),
    ],
)
def test_hostile_entries_are_refused_by_name(
    tmp_path: Path, entry: tuple[tarfile.TarInfo, bytes], message: str
) -> None:
    pack(tmp_path / "a.tar", [member("ok.png"), entry])
    with pytest.raises(OneLabelError, match=message):
        list_shards(ShardFiles(str(tmp_path / "a.tar"), tmp_path))


def test_an_entry_that_claims_an_absurd_size_is_refused(tmp_path: Path) -> None:
    info, _ = member("a.png")
    info.size = 2**86
    header = info.tobuf(tarfile.GNU_FORMAT)
    (tmp_path / "a.tar").write_bytes(header + bytes(4096))
    with pytest.raises(OneLabelError, match=r"a\.tar is cut off or damaged"):
        list_shards(ShardFiles(str(tmp_path / "a.tar"), tmp_path))


def test_every_cut_and_many_changes_are_refused_or_harmless(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.tar", [member(f"{n}.png", bytes(range(200)) * 4) for n in range(3)])
    data, end = path.read_bytes(), 3 * (512 + 1024)
    whole = list_shards(ShardFiles(str(path), tmp_path))
    for cut in [0, 1, 511, 512, 513, *range(1000, end, 97), end - 512, end]:
        path.write_bytes(data[:cut])
        with pytest.raises(OneLabelError, match=r"a\.tar"):
            list_shards(ShardFiles(str(path), tmp_path))
    random = Random(0)
    for _ in range(300):
        changed = bytearray(data)
        for _ in range(random.randrange(1, 4)):
            changed[random.randrange(end)] = random.randrange(256)
        path.write_bytes(changed)
        try:
            found = list_shards(ShardFiles(str(path), tmp_path))
        except OneLabelError:
            continue
        assert len(found.names) <= len(whole.names)
        assert all(len(found.read(row)) == found.size[row] for row in range(len(found.names)))


@pytest.mark.parametrize(
    "make",
    [lambda _: None, lambda path: path.mkdir(), lambda path: path.write_bytes(b"\x1f\x8b" + bytes(600))],
)
def test_what_is_no_plain_tar_file(tmp_path: Path, make: Callable[[Path], object]) -> None:
    make(tmp_path / "a.tar")
    with pytest.raises(OneLabelError, match=r"a\.tar"):
        list_shards(ShardFiles(str(tmp_path / "a.tar"), tmp_path))


# -- shards by address ---


@pytest.fixture
def remote(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """A stand-in for WebDataset's opener, which serves files of a folder; returns what was asked for."""
    asked: list[str] = []

    def gopen(address: str, mode: str) -> Any:
        assert mode == "rb"
        asked.append(address.rpartition("/")[2])
        return (tmp_path / asked[-1]).open("rb")

    module = ModuleType("webdataset.gopen")
    module.gopen = gopen  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "webdataset", ModuleType("webdataset"))
    monkeypatch.setitem(sys.modules, "webdataset.gopen", module)
    return asked


def test_shards_by_address_are_read_one_after_the_other(
    photos: Any, tmp_path: Path, remote: list[str]
) -> None:
    photos.write(tmp_path / "folder")
    three_shards(photos, tmp_path)
    (spool := tmp_path / "spool").mkdir()
    _, shards = listed("https://example.org/data-{000..002}.tar", photos.ids, spool)
    assert not list(spool.iterdir())
    most = 0

    def encoder(images: Any) -> Any:
        nonlocal most
        most = max(most, len(list(spool.iterdir())))
        return photos.encoder(images)

    photos.write(tmp_path / "tars", shards=shards, encoder=encoder)
    assert contents(tmp_path / "tars") == contents(tmp_path / "folder")
    assert remote == [f"data-{number:03d}.tar" for number in range(3)] * 2  # listed, then read
    assert most <= 2


def test_an_address_that_cannot_be_read(tmp_path: Path, remote: list[str]) -> None:
    for wrong in ("gs://bucket/a.tar", "s3://bucket/$(touch x).tar", "ftp://a/b.tar", "s3://a/b'c.tar"):
        with pytest.raises(OneLabelError, match=r"cannot be read|is no address"):
            list_shards(ShardFiles(wrong, tmp_path))
    assert remote == ["a.tar"] and not list(tmp_path.iterdir())


def test_without_the_extra_its_name_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "webdataset", None)
    monkeypatch.delitem(sys.modules, "webdataset.gopen", raising=False)
    with pytest.raises(OneLabelError, match=r"pip install 'onelabel\[stream\]'"):
        list_shards(ShardFiles("https://example.org/a.tar", tmp_path))


def test_s3_is_read_by_its_client(photos: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("webdataset", reason="the extra `stream` is not installed")
    three_shards(photos, tmp_path)
    (client := tmp_path / "bin" / "aws").parent.mkdir()
    client.write_text(f"#!/bin/sh\necho \"$@\" >> '{tmp_path}/asked'\ncat '{tmp_path}/'\"${{3##*/}}\"\n")
    client.chmod(0o755)
    monkeypatch.setenv("PATH", f"{client.parent}:/usr/bin:/bin")
    (spool := tmp_path / "spool").mkdir()
    _, shards = listed("s3://bucket/a&b/data-{000..002}.tar", photos.ids, spool)
    photos.write(tmp_path / "folder")
    photos.write(tmp_path / "tars", shards=shards)
    assert contents(tmp_path / "tars") == contents(tmp_path / "folder")
    assert (tmp_path / "asked").read_text().splitlines()[0] == "s3 cp s3://bucket/a&b/data-000.tar -"
    with pytest.raises(OneLabelError, match=r"s3://bucket/none\.tar cannot be read"):
        list_shards(ShardFiles("s3://bucket/none.tar", spool))
    assert [file.name for file in spool.iterdir()] == ["000002.tar"]  # the last goes with the folder
