"""Small trees in the layout of the published data sets: other content, broken and partial archives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onelabel.io.errors import OneLabelError
from onelabel.labels import Loaded, ReadOptions, load_labels
from onelabel.labels.datasets import nus, voc
from onelabel.labels.readers import READERS

DATASETS = [reader.name for reader in READERS if reader.download]


def read(path: Path, **options: Any) -> Loaded:
    return load_labels(path, ReadOptions(**options))


def refused(path: Path, **options: Any) -> str:
    with pytest.raises(OneLabelError) as caught:
        read(path, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def noted(loaded: Loaded, text: str) -> bool:
    return any(text in note for note in loaded.notes)


@pytest.mark.parametrize("name", DATASETS)
def test_missing_data_says_what_to_download(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "none"):
        message = refused(folder, format=name)
        assert str(folder) in message and "https://" in message.replace("http://", "https://")
        assert any(unit in message for unit in (" MB", " GB")) and "this folder" in message


def test_all_data_sets_are_there() -> None:
    assert DATASETS == [
        "voc2012", "voc2007", "coco2014", "cub", "nus-cole", "nus-official", "nus-splc", "openimages-v3"
    ]  # fmt: skip


def voc_tree(root: Path, year: str, part: str, flags: dict[str, dict[str, int]]) -> Path:
    """Write the lists of one part; ``flags`` gives class and flag by image, -1 where nothing is said."""
    lists = root / "VOCdevkit" / year / "ImageSets" / "Main"
    lists.mkdir(parents=True, exist_ok=True)
    for name in voc.CLASSES:
        rows = [f"{image} {found.get(name, -1):2d}\n" for image, found in flags.items()]
        (lists / f"{name}_{part}.txt").write_text("".join(rows))
    return lists


TRAIN = {"2008_2": {"cat": 1, "dog": 1}, "2007_1": {"dog": 0}, "2007_3": {"tvmonitor": 1, "dog": 0}}


def test_voc(tmp_path: Path) -> None:
    voc_tree(tmp_path, "VOC2012", "train", TRAIN)
    voc_tree(tmp_path, "VOC2012", "val", {"2009_1": {"aeroplane": 1}})
    photos = tmp_path / "VOCdevkit" / "VOC2012" / "JPEGImages"
    photos.mkdir()
    (photos / "2009_1.jpg").touch()
    loaded = read(tmp_path)
    table = loaded.table
    assert loaded.format == "voc2012"
    assert [list(table.part(name).ids) for name in ("train", "test")] == [
        ["2007_3.jpg", "2008_2.jpg"], ["2009_1.jpg"]
    ]  # fmt: skip
    positives = [[table.class_ids[column] for column in np.flatnonzero(row == 1)] for row in table.dense()]
    assert positives == [["tvmonitor"], ["cat", "dog"], ["aeroplane"]]
    assert not table.counts().unknown.any()
    assert noted(loaded, "1 train images without a positive are left out")
    assert noted(loaded, "2 of 3 photos are not in")
    for folder in (tmp_path / "VOCdevkit", tmp_path / "VOCdevkit" / "VOC2012"):
        assert read(folder).table == table
    above = read(tmp_path, images=tmp_path).table
    assert above.ids[0] == "VOCdevkit/VOC2012/JPEGImages/2007_3.jpg"
    assert list(read(tmp_path, images=tmp_path / "elsewhere").table.ids) == list(table.ids)
    assert read(tmp_path, exhaustive=False).table.counts().negative.sum() == 0


def test_voc_with_classes(tmp_path: Path) -> None:
    voc_tree(tmp_path, "VOC2012", "train", TRAIN)
    turned = read(tmp_path, class_ids=voc.CLASSES[::-1]).table
    assert turned == read(tmp_path).table.reorder(voc.CLASSES[::-1])
    assert "'tvmonitor' is not a known class" in refused(tmp_path, class_ids=voc.CLASSES[:-1])
    assert "voc2012 has no class unicorn" in refused(tmp_path, class_ids=(*voc.CLASSES, "unicorn"))


def test_voc_in_part(tmp_path: Path) -> None:
    lists = voc_tree(tmp_path, "VOC2012", "train", TRAIN)
    assert noted(read(tmp_path), "there is no test part")
    (lists / "cat_train.txt").write_text("2008_2  1\n")
    assert noted(read(tmp_path), "fewer images than the others, perhaps cut off: cat_train.txt")
    (lists / "cat_train.txt").write_text("2008_2  1\n2007_1\n")
    assert "cat_train.txt, line 2: '2007_1' is not an image and 1, 0 or -1" in refused(tmp_path)
    for name in ("boat", "cat", "dog", "sheep"):
        (lists / f"{name}_train.txt").unlink()
    message = refused(tmp_path)
    assert "no boat_train.txt, cat_train.txt, dog_train.txt and 1 more" in message and "2 GB" in message


def test_voc2007_on_the_real_lists(data: Path, tmp_path: Path) -> None:
    with np.load(data / "label_matrices" / "voc2007_main.npz") as stored:
        arrays = dict(stored)
    for part in ("trainval", "test"):
        flags = [dict(zip(arrays["classes"].tolist(), row.tolist(), strict=True)) for row in arrays[part]]
        voc_tree(tmp_path, "VOC2007", part, dict(zip(arrays[f"{part}_ids"].tolist(), flags, strict=True)))
    loaded = read(tmp_path)
    assert loaded.format == "voc2007" and loaded.table.class_ids == tuple(arrays["classes"])
    for split, part in (("train", "trainval"), ("test", "test")):
        kept = (arrays[part] == 1).any(axis=1)
        assert list(loaded.table.part(split).ids) == [f"{name}.jpg" for name in arrays[f"{part}_ids"][kept]]
        assert np.array_equal(loaded.table.part(split).dense() == 1, arrays[part][kept] == 1)


def coco_file(root: Path, part: str, pairs: list[tuple[int, int]], **more: object) -> Path:
    content = {
        "images": [{"id": image, "file_name": "x.jpg"} for image, _ in pairs],
        "categories": [{"id": 7, "name": "dog"}, {"id": 2, "name": "cat"}],
        "annotations": [{"image_id": image, "category_id": category} for image, category in pairs],
        **more,
    }
    path = root / "annotations" / f"instances_{part}2014.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def test_coco(tmp_path: Path) -> None:
    coco_file(tmp_path, "train", [(9, 7), (10, 2), (9, 2), (9, 7), (100, 7)])
    assert noted(read(tmp_path), "there is no test part")
    coco_file(tmp_path, "val", [(3, 2)])
    loaded = read(tmp_path)
    assert loaded.format == "coco2014" and loaded.table.class_ids == ("dog", "cat")
    assert list(loaded.table.ids) == [
        "train2014/COCO_train2014_000000000010.jpg",
        "train2014/COCO_train2014_000000000100.jpg",
        "train2014/COCO_train2014_000000000009.jpg",
        "val2014/COCO_val2014_000000000003.jpg",
    ]
    assert loaded.table.dense().tolist() == [[-1, 1], [1, -1], [1, 1], [-1, 1]]


def test_coco_that_is_broken(tmp_path: Path) -> None:
    coco_file(tmp_path, "train", [(9, 7)])
    coco_file(tmp_path, "val", [(3, 2)], categories=[{"id": 2, "name": "cat"}, {"id": 7, "name": "dog"}])
    assert "has other categories" in refused(tmp_path)
    coco_file(tmp_path, "val", [(3, 5)])
    assert "annotations[0] has image_id 3 and category_id 5" in refused(tmp_path)
    for wrong in ({"image_id": "3", "category_id": 2}, {"image_id": 3, "category_id": [2]}, {}):
        coco_file(tmp_path, "val", [(3, 2)], annotations=[wrong])
        assert "annotations[0] has image_id" in refused(tmp_path)
    coco_file(tmp_path, "val", [(3, 2)], categories=[{"id": 7}, {"id": 2, "name": "cat"}])
    assert "instances_val2014.json: has other categories" in refused(tmp_path)


def cub_tree(root: Path) -> Path:
    """Three birds and two attributes, lines out of order, one with a field too many."""
    base = root / "CUB_200_2011"
    (base / "attributes").mkdir(parents=True)
    (root / "attributes.txt").write_text("1 has_bill::long\n2 has_eye::red (bright)\n")
    (base / "images.txt").write_text("1 a/x.jpg\n2 a/y.jpg\n3 b/z.jpg\n")
    (base / "train_test_split.txt").write_text("1 1\n2 0\n3 1\n")
    lines = "3 1 1 4 2.5\n1 1 0 1 0 9.9\n1 2 1 1 2.0\n2 1 1 3 1.0\n2 2 0 1 0.1\n3 2 0 2 1.0\n"
    (base / "attributes" / "image_attribute_labels.txt").write_text(lines)
    return base


def test_cub(tmp_path: Path) -> None:
    base = cub_tree(tmp_path)
    loaded = read(tmp_path)
    assert loaded.format == "cub" and loaded.table.class_ids == ("has_bill::long", "has_eye::red (bright)")
    assert list(loaded.table.ids) == ["a/x.jpg", "b/z.jpg", "a/y.jpg"]
    assert loaded.table.dense().tolist() == [[-1, 1], [1, -1], [1, -1]]
    assert read(base).table == loaded.table
    labels = base / "attributes" / "image_attribute_labels.txt"
    labels.write_text(labels.read_text().replace("2 2 0 1 0.1\n", ""))
    assert "1 of 6 pairs of image and attribute are missing" in refused(tmp_path)
    labels.write_text("1 1 7 1 0.1\n")
    assert "line 1: '1 1 7 1 0.1' is not a known image" in refused(tmp_path)
    labels.unlink()
    assert "no attributes/image_attribute_labels.txt" in (message := refused(tmp_path, format="cub"))
    assert "1.1 GB" in message


def pairs(root: Path, part: str, rows: int, seed: int = 0, columns: int = 81) -> np.ndarray[Any, Any]:
    labels = (np.random.default_rng(seed).random((rows, columns)) < 0.1).astype(np.float64)
    np.save(root / f"formatted_{part}_labels.npy", labels)
    np.save(root / f"formatted_{part}_images.npy", np.array([f"dog/{part}_{row}.jpg" for row in range(rows)]))
    return labels


@pytest.mark.parametrize("name", ["nus-cole", "nus-official"])
def test_nus_pairs(tmp_path: Path, name: str) -> None:
    train, val = pairs(tmp_path, "train", 6, 1), pairs(tmp_path, "val", 4, 2)
    loaded = read(tmp_path, format=name)
    assert loaded.format == name and loaded.table.class_ids == nus.CLASSES and len(nus.CLASSES) == 81
    assert np.array_equal(loaded.table.part("train").dense(), 2 * train - 1)
    assert np.array_equal(loaded.table.part("test").dense(), 2 * val - 1)
    assert loaded.table.part("test").ids[0] == "dog/val_0.jpg"
    pairs(tmp_path, "train", 6, columns=80)
    assert "has 80 columns for 81 classes" in refused(tmp_path, format=name)


def test_nus_lists_are_never_mixed(tmp_path: Path) -> None:
    pairs(tmp_path, "val", 60_260)
    message = refused(tmp_path, format="nus-cole")
    assert "60,260 test images are those of the list nus-official" in message
    assert len(read(tmp_path, format="nus-official").table) == 60_260


def test_a_folder_of_nus_asks_which_list(tmp_path: Path) -> None:
    pairs(tmp_path, "val", 3)
    assert "--format nus-cole or --format nus-official" in refused(tmp_path)
    assert read(tmp_path, class_ids=nus.CLASSES).format == "npy"
    pairs(tmp_path, "val", 3, columns=80)
    message = refused(tmp_path)
    assert "holds no class names" in message and "NUS" not in message
    for name in ("Groundtruth", "ImageList"):
        (tmp_path / "original" / name).mkdir(parents=True)
    message = refused(tmp_path / "original")
    assert all(f"--format {name}" in message for name in ("nus-cole", "nus-official", "nus-splc"))
    assert "there are no images" in refused(tmp_path / "original", format="folders")


def test_files_that_are_cut_off_are_to_be_unpacked_again(tmp_path: Path) -> None:
    file = coco_file(tmp_path, "val", [(42, 2)])
    file.write_bytes(file.read_bytes()[:-20])
    message = refused(tmp_path)
    assert message.startswith(f"{file}, line 1: not valid JSON at character")
    assert message.endswith("files of coco2014 are incomplete or changed: unpack the archive again")
    assert refused(file).endswith("the file ends too early")
    pairs(tmp_path, "val", 3)
    array = tmp_path / "formatted_val_labels.npy"
    array.write_bytes(array.read_bytes()[:500])
    assert "files of nus-cole are incomplete or changed" in refused(tmp_path, format="nus-cole")


def test_other_mistakes_are_no_reason_to_unpack_again(tmp_path: Path) -> None:
    coco_file(tmp_path, "val", [(42, 2)])
    classes = tmp_path / "classes.txt"
    classes.write_text("dog\ndog\n")
    for options in ({"classes_file": classes}, {"class_ids": ("dog", "owl")}, {"delimiter": "|"}):
        assert "unpack" not in refused(tmp_path, **options)


def test_nus_text_lists(tmp_path: Path) -> None:
    (tmp_path / "alone").mkdir()
    (tmp_path / "alone" / "nus_train.txt").write_text("5_6_m.jpg,55\n")
    assert noted(read(tmp_path / "alone"), "there is no test part")
    (tmp_path / "nus_val.txt").write_text("1_2_m.jpg,42 60 80\n3_4_m.jpg,0\n")
    assert noted(read(tmp_path), "there is no train part")
    (tmp_path / "nus_train_single.txt").write_text("5_6_m.jpg,55\n7,8_m.jpg,1\n")
    loaded = read(tmp_path)
    train, test = loaded.table.part("train"), loaded.table.part("test")
    assert loaded.format == "nus-splc"
    assert list(train.ids) == ["5_6_m.jpg", "7,8_m.jpg"]
    assert train.counts().positive[[55, 1]].tolist() == [1, 1] and not train.counts().negative.any()
    assert test.rows([0])[0, [42, 60, 80, 0]].tolist() == [1, 1, 1, -1] and not test.counts().unknown.any()
    (tmp_path / "nus_val.txt").write_text("1_2_m.jpg,42\n3_4_m.jpg,81\n")
    assert "nus_val.txt, line 2: '3_4_m.jpg,81' is not an image" in refused(tmp_path)


HEADER = "ImageID,Source,LabelName,Confidence\n"


def open_images(root: Path) -> Path:
    base = root / "2017_11"
    for part, rows in {
        "train": "a1,verification,/m/z,0\na1,verification,/m/b,1\na2,crowdsource-verification,/m/b,0\n"
        "a2,verification,/m/b,1\na2,verification,/m/q,1\n",
        "test": "c1,verification,/m/z,1.0\n",
    }.items():
        (base / part).mkdir(parents=True)
        (base / part / "annotations-human.csv").write_text(HEADER + rows)
    (base / "class-descriptions.csv").write_text('/m/b,Bat\n/m/z,"Zebra, grown"\n/m/q,Bat\n')
    return base


def test_open_images(tmp_path: Path) -> None:
    base = open_images(tmp_path)
    loaded = read(tmp_path)
    table = loaded.table
    assert loaded.format == "openimages-v3" and table.class_ids == ("/m/b", "/m/q", "/m/z")
    assert [info.name for info in table.classes] == ["Bat", "Bat", "Zebra, grown"]
    assert list(table.ids) == ["train/a1.jpg", "train/a2.jpg", "test/c1.jpg"]
    assert table.dense().tolist() == [[1, 0, -1], [0, 1, 0], [0, 0, 1]]
    assert noted(loaded, "1 names stand for more than one class: Bat")
    assert noted(loaded, "1 train labels are judged present and absent")
    assert noted(loaded, "there is no validation part")
    (base / "classes-trainable.txt").write_text("/m/z\n/m/b\n")
    chosen = read(tmp_path)
    assert chosen.table.class_ids == ("/m/z", "/m/b") and noted(chosen, "1 labels of classes")
    assert read(base, class_ids=("/m/q",)).table.dense().tolist() == [[0], [1], [0]]
    (base / "test" / "annotations-human.csv").write_text(HEADER + "c1,machine,/m/z,0.7\n")
    assert "line 2, column 'Confidence': '0.7' is neither 0 nor 1" in refused(tmp_path)


def test_two_data_sets_in_one_folder(tmp_path: Path) -> None:
    voc_tree(tmp_path, "VOC2012", "train", TRAIN)
    voc_tree(tmp_path, "VOC2007", "trainval", {"000001": {"cat": 1}})
    assert "holds voc2012 and voc2007: choose one with --format" in refused(tmp_path)
    assert len(read(tmp_path, format="voc2007").table) == 1
    assert len(read(tmp_path, format="voc2012").table) == 2
