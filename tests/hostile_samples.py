"""Small files that every reader reads as they stand: where mutations begin."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
from pyarrow import parquet

from onelabel.labels.datasets import nus, voc
from onelabel.labels.readers import READERS

Files = dict[str, bytes]


@dataclass(frozen=True)
class Sample:
    """Something that a reader reads.

    Args:
        reader: its name.
        files: by path.
        entry: what is given to the reader; ``.`` is the folder of all files.
        options: fields of ``ReadOptions`` that it needs.
    """

    reader: str
    files: Files
    entry: str = "."
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """``folder``, ``json``, ``npy`` or ``csv``."""
        if self.entry == ".":
            return "folder"
        ending = self.entry.rpartition(".")[2]
        return {"parquet": "csv"}.get(ending, ending)


def npy(array: Any) -> bytes:
    """Return an array as a ``.npy`` file."""
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=array.dtype.hasobject)
    return stream.getvalue()


def parquet_of(columns: dict[str, Any]) -> bytes:
    """Return columns as a parquet file."""
    stream = io.BytesIO()
    parquet.write_table(pa.table(columns), stream)
    return stream.getvalue()


def _voc(year: str, parts: tuple[str, str]) -> Files:
    return {
        f"VOCdevkit/{year}/ImageSets/Main/{name}_{part}.txt": "".join(
            f"200{image}_{part} {1 if (image + number) % 3 == 0 else -1:2d}\n" for image in range(3)
        ).encode()
        for part in parts
        for number, name in enumerate(voc.CLASSES)
    }


def _coco(names: bool = True) -> bytes:
    images = [
        {"id": n, "file_name": f"{n}.jpg", **({"neg_category_ids": [9], "width": 8} if names else {})}
        for n in (1, 2)
    ]
    boxes = [
        {"image_id": 1, "category_id": 7, "bbox": [0, 0, 2, 2.5], "area": 5.0, "iscrowd": 0},
        {"image_id": 2, "category_id": 8, "segmentation": [[1, 2, 3, 4]]},
    ]
    classes = [{"id": 7, "name": "cat"}, {"id": 8, "name": "dog"}, {"id": 9, "name": "größe"}]
    return json.dumps({"images": images, "annotations": boxes, "categories": classes}).encode()


def _pair(part: str, classes: int, observed: bool = False) -> Files:
    generator = np.random.default_rng(classes)
    labels = generator.integers(-1 if observed else 0, 2, (4, classes)).astype(np.float64)
    names = np.array([f"{part}/{n}.jpg" for n in range(4)])
    ending = "_labels_obs" if observed else "_labels"
    return {f"formatted_{part}_images.npy": npy(names), f"formatted_{part}{ending}.npy": npy(labels)}


_WIDE = b'image,cat,dog,split\na.jpg,1,-1,train\nb/c.png,,1,val\n"d,e.jpg",-1,,train\n'
_LONG = b"image,label,value,weight\na.jpg,cat,1,0.5\na.jpg,dog,-1,1\nb.jpg,cat,,\n"
_LIST = "image,labels\na.jpg,cat|dog\nb.jpg,\nc.jpg,größe\n".encode()
_CUB = {
    "CUB_200_2011/images.txt": b"1 001.Bird/a.jpg\n2 001.Bird/b.jpg\n",
    "CUB_200_2011/train_test_split.txt": b"1 1\n2 0\n",
    "attributes.txt": b"1 has_bill::curved\n2 has_wing::blue\n",
    "CUB_200_2011/attributes/image_attribute_labels.txt": (
        b"1 1 1 3 10.2\n1 2 0 3 4.0\n2 1 0 3 4 5\n2 2 1 1 1\n"
    ),
}
_OPEN_IMAGES = {
    "2017_11/train/annotations-human.csv": (
        b"ImageID,Source,LabelName,Confidence\nabc,verification,/m/1,1\nabc,verification,/m/2,0\n"
    ),
    "2017_11/validation/annotations-human.csv": b"ImageID,Source,LabelName,Confidence\nd,v,/m/1,1\n",
    "2017_11/classes-trainable.txt": b"/m/1\n/m/2\n",
    "2017_11/class-descriptions.csv": b'/m/1,Cat\n/m/2,"Dog, big"\n',
}
_CLASSES = tuple(f"c{n}" for n in range(3))

SAMPLES = (
    Sample("wide-csv", {"labels.csv": _WIDE}, "labels.csv"),
    Sample(
        "wide-csv", {"labels.csv": b"\xef\xbb\xbfimage;cat;dog\r\na.jpg;1;0\r\nb.jpg;;1\r\n"}, "labels.csv"
    ),
    Sample("wide-csv", {"l.parquet": parquet_of({"image": ["a", "b"], "cat": [1, None]})}, "l.parquet"),
    Sample("long-csv", {"labels.csv": _LONG}, "labels.csv"),
    Sample("long-csv", {"labels.csv": _LONG.decode().encode("utf-16")}, "labels.csv"),
    Sample("list-csv", {"labels.csv": _LIST}, "labels.csv"),
    Sample(
        "list-csv", {"l.parquet": parquet_of({"image": ["a", "b"], "labels": [["x", "y"], []]})}, "l.parquet"
    ),
    Sample("coco", {"labels.json": _coco()}, "labels.json"),
    Sample("npy", _pair("train", 3), "formatted_train_labels.npy", {"class_ids": _CLASSES}),
    Sample("npy", _pair("train", 3, True), "formatted_train_labels_obs.npy", {"class_ids": _CLASSES}),
    Sample("npy", _pair("train", 3) | _pair("val", 3), options={"class_ids": _CLASSES}),
    Sample("txt", {"a.txt": b"cat\ndog, bird\n", "s/b.txt": b"", "a.jpg": b"x"}),
    Sample("txt", {"a.txt": b"0 0.5 0.5 0.2 0.2\n1 0.5 .5 1 1\n", "classes.txt": b"cat\ndog\n"}),
    Sample("folders", {"cat/a.jpg": b"x", "dog/a.jpg": b"x", "dog/b.png": b"y", "c.jpg": b"z"}),
    Sample("voc2012", _voc("VOC2012", ("train", "val"))),
    Sample("voc2007", _voc("VOC2007", ("trainval", "test"))),
    Sample("coco2014", {f"annotations/instances_{p}2014.json": _coco(False) for p in ("train", "val")}),
    Sample("cub", _CUB),
    Sample("nus-cole", _pair("train", len(nus.CLASSES)) | _pair("val", len(nus.CLASSES))),
    Sample("nus-official", _pair("train", len(nus.CLASSES))),
    Sample(
        "nus-splc", {"nus_train.txt": b"1_a_m.jpg,0 80 7\n2_b_m.jpg,3\n", "nus_val.txt": b"3_c_m.jpg,1\n"}
    ),
    Sample("openimages-v3", _OPEN_IMAGES),
)


def samples_for(name: str, kinds: str) -> list[Sample]:
    """Return the samples of a reader, three times as likely, and those of others that it is offered."""
    own = [sample for sample in SAMPLES if sample.reader == name]
    return own * 3 + [sample for sample in SAMPLES if sample.kind in kinds.split(" or ")]


NAMES = [reader.name for reader in READERS]
