"""``onelabel benchmark``: what a run leaves behind, what runs share, and wrong ways to ask for one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from bench import Bench, build_bench
from onelabel.cli import main
from onelabel.labels.readers import ReadOptions, load_labels
from onelabel.labels.simulate import observe
from onelabel.labels.split import random_split
from onelabel.models.bundle_read import load_bundle
from onelabel.recipes.results import read_result
from onelabel.training.judge import score_photos
from onelabel.training.run_folder import RunFolder
from onelabel.vlm.store import EmbeddingStore

Said = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, tiny_clip: Path) -> Bench:
    """VOC alone, and the two networks."""
    return build_bench(tmp_path_factory.mktemp("bench"), tiny_clip, ["voc2012"])


@pytest.fixture(scope="module")
def run(bench: Bench) -> Path:
    """A finished run of VLPL."""
    out = bench.root / "runs" / "run"
    assert main(bench.command("voc2012/vlpl", out, "--vlm", bench.clip, "--seed", "4")) == 0
    return out


def complaint(arguments: list[str], capsys: Said) -> str:
    capsys.readouterr()
    assert main(arguments) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("onelabel: error: ")
    return lines[0]


def test_trains_on_the_published_draw_and_part(bench: Bench, run: Path) -> None:
    """The oracle: labels drawn in file order over the official training list, then the split; seeds 1200."""
    official = load_labels(bench.data("voc2012"), ReadOptions(images=bench.data("voc2012"))).table.part(
        "train"
    )
    used = load_labels(RunFolder.open(run).config["labels"]).table
    train_rows, val_rows = random_split(len(official), 0.2, 1200)
    drawn = observe(official.dense(), 1, 0, 1200)[train_rows]
    train, val = used.part("train"), used.part("val")
    assert list(train.ids) == [official.ids[row] for row in train_rows.tolist()]
    assert np.array_equal(train.dense(), drawn) and (drawn == 1).sum(axis=1).tolist() == [1] * len(drawn)
    assert np.array_equal(val.dense(), official.dense()[val_rows])
    assert len(used) == len(train) + len(val)  # no test image


def test_records_what_was_run_and_scores_the_test_images(bench: Bench, run: Path) -> None:
    content = json.loads((run / "benchmark.json").read_text(encoding="utf-8"))
    assert content["recipe"] == "voc2012/vlpl" and content["seed"] == 4
    assert content["changed"] == {
        "backbone": bench.net, "vlm": bench.clip, "photo_size": 32, "epochs": 1,
    }  # fmt: skip
    assert content["test"]["images"] == 3
    data = bench.data("voc2012")
    test = load_labels(data, ReadOptions(images=data)).table.part("test")
    logits = score_photos(load_bundle(run), test, str(data), 1, 0, 10**8)
    published = 0.0
    for column, marks in zip(logits.T, test.dense().T, strict=True):
        order = np.argsort(-column)
        hits = marks[order] == 1
        at = np.flatnonzero(hits)
        published += 0 if not len(at) else float(np.mean((np.arange(len(at)) + 1) / (at + 1)))
    assert read_result(run).map == pytest.approx(100 * published / 20, abs=1e-4)
    assert any("published list has 5,717" in text for text in read_result(run).remarks)


def test_embeds_the_training_images_alone_and_once(
    bench: Bench, run: Path, tmp_path: Path, capsys: Said
) -> None:
    config = RunFolder.open(run).config
    store = EmbeddingStore.open(config["vlm_store"])
    assert list(store.ids) == list(load_labels(config["labels"]).table.part("train").ids)
    assert store.mirrored
    again = tmp_path / "again"
    assert main(bench.command("voc2012/vlpl", again, "--vlm", bench.clip, "--seed", "4")) == 0
    said = capsys.readouterr().out
    assert "embeddings of an earlier run are used" in said
    result = read_result(again)
    verdict, remarks = said.splitlines()[-2:]
    assert verdict == f"voc2012/vlpl: test mAP {result.map:.2f}*; published: 89.10 (VLPL Table 1)"
    assert remarks == f"* {'; '.join(result.remarks)}" and "photo-size 32, epochs 1" in remarks
    weights = [folder / "bundle" / "model.safetensors" for folder in (run, again)]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_the_run_can_be_trained_again_from_its_own_configuration(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "again"
    assert main(["train", "--config", str(run / "config.yaml"), "--out", str(out)]) == 0
    weights = [folder / "bundle" / "model.safetensors" for folder in (run, out)]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_recipes_are_listed(capsys: Said) -> None:
    assert main(["benchmark", "--list", "voc2012/gr", "coco2014/gr"]) == 0
    said = capsys.readouterr().out
    assert "published: 89.83 AEVLP table" in said and "setting not confirmed: w, b" in said
    assert said.index("coco2014/gr") < said.index("not confirmed")
    assert main(["benchmark", "--list", "cub"]) == 0
    said = capsys.readouterr().out
    assert "cub/vlpl" in said and "voc2012/vlpl" not in said


@pytest.mark.parametrize("ending", ["csv", "md", "tex", "html"])
def test_tables_are_printed_and_written(ending: str, run: Path, tmp_path: Path, capsys: Said) -> None:
    capsys.readouterr()
    assert main(["benchmark", "--table", str(run)]) == 0
    measured = f"{read_result(run).map:.2f}"
    said = capsys.readouterr().out
    assert f"{measured}* [1]" in said and f"{run}, seed 4" in said
    out = tmp_path / f"table.{ending}"
    assert main(["benchmark", "--table", str(run), "--out", str(out)]) == 0
    assert measured in out.read_text(encoding="utf-8") and "89.10" in out.read_text(encoding="utf-8")
    assert "exists" in complaint(["benchmark", "--table", str(run), "--out", str(out)], capsys)


def test_a_folder_of_runs_is_a_table(run: Path, tmp_path: Path, capsys: Said) -> None:
    shutil.copytree(run, tmp_path / "runs" / "a")
    shutil.copytree(run, tmp_path / "runs" / "b", ignore=shutil.ignore_patterns("benchmark.json"))
    (tmp_path / "runs" / "prepared").mkdir()
    out = tmp_path / "runs" / "table.md"
    capsys.readouterr()
    assert main(["benchmark", "--table", str(tmp_path / "runs"), "--out", str(out)]) == 0
    note = f"note: {tmp_path / 'runs' / 'b'} is left out: it holds no finished benchmark"
    assert capsys.readouterr().out.splitlines() == [note, f"written to {out}"]
    assert f"{read_result(run).map:.2f}\\* [1]" in out.read_text(encoding="utf-8")
    assert main(["benchmark", "--table", str(tmp_path / "runs")]) == 0
    assert f"{tmp_path / 'runs' / 'a'}, seed 4; * changed: backbone" in capsys.readouterr().out


def test_missing_data_says_what_to_download(bench: Bench, tmp_path: Path, capsys: Said) -> None:
    command = ["benchmark", "voc2012/an", "--out", str(tmp_path / "run"), "--data"]
    for folder in (tmp_path / "none", tmp_path):
        said = complaint([*command, str(folder)], capsys)
        assert "VOCtrainval_11-May-2012.tar (2 GB)" in said and "VOCdevkit/VOC2012" in said
    data = tmp_path / "voc"
    shutil.copytree(bench.data("voc2012"), data)
    photos = data / "VOCdevkit" / "VOC2012" / "JPEGImages"
    (photos / "2008_val001.jpg").unlink()
    said = complaint([*command, str(data)], capsys)
    assert "1 of 13 photos are missing" in said and "2008_val001.jpg" in said and "2 GB" in said
    for file in (photos.parent / "ImageSets" / "Main").glob("*_val.txt"):
        file.unlink()
    said = complaint([*command, str(data)], capsys)
    assert "there is no test part" in said and "VOCtrainval_11-May-2012.tar" in said
    assert not (tmp_path / "run").exists() and not (tmp_path / "prepared").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "give one recipe, such as voc2012/vlpl"),
        ("voc2012/an voc2012/em --data {data} --out {out}", "give one recipe"),
        ("voc2012/vpl --data {data} --out {out}", "did you mean 'vlpl'?"),
        ("voc2012/an --out {out}", "give --data, the folder of voc2012, and --out"),
        ("voc2012/an --data {data}", "give --data, the folder of voc2012, and --out"),
        ("voc2012/an --data {data} --out {out} --vlm x", "uses no vision-language model"),
        ("voc2012/an --data {data} --out {out} --batch-size 0", "--batch-size must be 1 or more"),
        ("voc2012/an --data {data} --out {out} --precision 8", "--precision"),
        ("voc2012/an --data {data} --out {out} --device gpu", "--device 'gpu' cannot be used"),
        ("voc2012/an --data {data} --out {out} --backbone resnt50", "unknown backbone 'resnt50'"),
        ("voc2012/an --data {data} --out {out} --epochs 0", "--epochs must be 1 or more"),
        ("voc2012/an --data {data} --out {data}", "exists"),
        ("voc2012/an --data {data} --out {data} --overwrite", "would replace"),
        ("cub/an --data {data} --out {out}", "there is no CUB_200_2011/images.txt"),
        ("nus-cole/an --data {data} --out {out}", "formatted_train_images.npy"),
        ("--table {data}", "is not the folder of a finished benchmark"),
        ("--table {data}/none", "is not the folder of a finished benchmark"),
        ("--table --out {out}.txt", "must end in one of these"),
        ("--table --list", "each stand alone"),
        ("--list --epochs 3", "each stand alone"),
        ("--list voc2013", "did you mean 'voc2012'?"),
        ("--lst", "did you mean '--list'?"),
    ],
)
def test_wrong_ways_to_ask(arguments: str, message: str, bench: Bench, tmp_path: Path, capsys: Said) -> None:
    places = {"data": bench.data("voc2012"), "out": tmp_path / "run"}
    words = [word.format(**places) for word in arguments.split()]
    assert message in complaint(["benchmark", *words], capsys)
    assert not (tmp_path / "run").exists()


def test_labels_that_are_not_complete_are_refused(tmp_path: Path, capsys: Said) -> None:
    bench = build_bench(tmp_path, tmp_path / "none", ["nus-splc"])
    (tmp_path / "nus-splc" / "nus_train.txt").rename(tmp_path / "nus-splc" / "nus_train_single.txt")
    said = complaint(bench.command("nus-splc/an", tmp_path / "run"), capsys)
    assert "needs complete ones" in said
