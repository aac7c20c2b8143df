"""Options that cannot be: one clear line with the nearest valid name, exit code 2, nothing written."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise

import pytest

from desk import BASICS, Desk, words
from onelabel.cli import main

NOT_A_COMMAND = [
    (["trian"], "unknown command 'trian' (did you mean 'train'?)"),
    (["--hlep"], "unknown command '--hlep' (did you mean '--help'?)"),
    (["train"], "LABELS and --out must be given"),
    (["predict"], "must be given"),
    (["methods", "now"], "unknown method 'now'"),
]

ANY = [
    ("--bogus 1", "unknown option --bogus"),
    ("--overwrit", "unknown option --overwrit (did you mean '--overwrite'?)"),
    ("--overwrite=perhaps", "--overwrite 'perhaps': true or false is expected"),
    ("--config none.yaml", "none.yaml"),
    ("--config bad.yaml", "unknown key 'overwrit' (did you mean 'overwrite'?)"),
    ("--config broken.yaml", "--config broken.yaml, line 2 is not YAML: expected the node content"),
    ("--config laugh.yaml", "--config laugh.yaml, line 2: *a is an alias"),
    ("--config long.yaml", "--config long.yaml is too large for settings"),
    ("--config /dev/zero", "--config /dev/zero is not a regular file"),
    ("--config list.yaml", "list.yaml"),
]
"""With every command but ``methods`` and ``demo``."""

BILLION_LAUGHS = "a: &a [x, x, x]\nb: &b [*a, *a, *a]\n" + "".join(
    f"{key}: &{key} [{', '.join(9 * [f'*{below}'])}]\n" for below, key in pairwise("bcdefghijklmn")
)
"""A few lines that stand for 9 to the power of 12 values and more."""

OPTIONS = [
    ("check", "--workers many", "--workers 'many': a whole number is expected"),
    ("check", "--workers -1", "--workers must be 0 or more, not -1"),
    ("check", "--max-pixels 0", "--max-pixels must be 1 or more, not 0"),
    ("check", "--format wied", "unknown label format 'wied' (did you mean 'wide-csv'?)"),
    ("check", "--images none", "there is no image folder none"),
    ("check", "--images labels.csv", "labels.csv"),
    ("check", "--group-column scen", "no column 'scen' for --group-column"),
    ("check", "--values 1=yes", "cannot read '1=yes' in --values"),
    ("simulate", "--positives -2", "positives"),
    ("simulate", "--negatives 1.5", "--negatives '1.5': a whole number is expected"),
    ("simulate", "--seed -1", "--seed must be 0 or more, not -1"),
    ("simulate", "--val-fraction 1", "--val-fraction must be below 1, not 1"),
    ("simulate", "--out out.txt", "the name of out.txt must end in .csv"),
    ("embed", "--backbone resnt50", "unknown backbone 'resnt50'; nearest: resnet50"),
    ("embed", "--backbone local-dir:none", "none is not a folder"),
    ("embed", "--backbone local-dir:photos", "photos"),
    ("embed", "--vlm local-dir:clip", "give either --vlm SPEC or --backbone NAME"),
    ("embed", "--device gpu", "--device 'gpu' cannot be used"),
    ("embed", "--batch-size 0", "--batch-size must be 1 or more, not 0"),
    ("embed --vlm", "--vlm ViT-B-15/openai", "ViT-B-1"),
    ("embed --vlm", "--vlm local-dir:net", "net"),
    ("embed --vlm", "--device cuda:99", "--device 'cuda:99' cannot be used"),
    ("train", "--method me", "unknown method 'me' (did you mean 'em'?)"),
    ("train", "--method em --method.alhpa 1", "--method.alhpa (did you mean '--method.alpha'?)"),
    ("train", "--method em --method.alpha x", "--method.alpha 'x': a number is expected"),
    ("train", "--method no_such_module:Loss", "method 'no_such_module:Loss' cannot be imported"),
    ("train", "--method os:getcwd", "method 'os:getcwd' is not a class"),
    ("train", "--method vlpl", "--vlm-store STORE"),
    ("train", "--method vlpl --vlm-store features", "was made by a backbone, which knows no words"),
    ("train", "--method vlpl --vlm-store none", "none"),
    (
        "train",
        "--method vlpl --source vpl --vlm-store clip-store",
        "unknown source 'vpl' (did you mean 'vlpl'",
    ),
    ("train", "--vlm-store clip-store", "method 'an' uses no pseudo-labels"),
    ("train", "--method role", "expected"),
    ("train", "--method epr", "--expected-positives"),
    ("train", "--expected-positives -1", "--expected-positives must be 0 or more, not -1"),
    ("train", "--select ful", "--select 'ful': observed or full or last is expected (did you mean 'full'?)"),
    ("train", "--select observed", "They are complete: use --select full"),
    ("train", "--head-init one", "--head-init 'one': zero or prior is expected"),
    ("train", "--lr inf", "--lr"),
    ("train", "--lr 0", "--lr must be above 0 and at most 1e+10, not 0"),
    ("train", "--lr nan", "--lr 'nan': a number is expected"),
    ("train", "--epochs 0", "--epochs must be 1 or more, not 0"),
    ("train", "--epochs 1.5", "--epochs '1.5': a whole number is expected"),
    ("train", "--weight-decay -1", "--weight-decay must be 0 or more, not -1"),
    ("train", "--precision bf16", "--precision is for fine-tuning"),
    ("train", "--backbone local-dir:net", "give either --features STORE"),
    ("train", "--features none", "none"),
    ("train", "--features photos", "photos"),
    ("train", "--features x.npz", "x.npz is not an .npz archive"),
    ("train", "--val val.csv", "both name validation images"),
    ("train", "--val-exhaustive", "--val-exhaustive says how --val FILE is read"),
    ("train", "--method vlpl --vlm-store clip-store --template photo", "{}"),
    ("train --val", "--select observed", "They are complete: use --select full"),
    ("train --backbone", "--backbone resnt50", "unknown backbone 'resnt50'; nearest: resnet50"),
    ("train --backbone", "--images none", "there is no image folder none"),
    ("train --backbone", "--devices 0", "--devices must be 1 or more"),
    ("train", "--devices 2", "a head on --features trains in seconds, in one process"),
    (
        "train --backbone",
        "--head-lr-multiplier 0",
        "--head-lr-multiplier must be above 0 and at most 1e+10, not 0",
    ),
    ("train --backbone", "--precision 8", "--precision '8': 32 or bf16 or 16 is expected"),
    ("evaluate", "--split tset", "unknown split 'tset' (did you mean 'test'?)"),
    ("evaluate", "--images photos", "give either --images DIR or --features STORE"),
    ("evaluate", "--features clip-store", "the model reads"),
    ("evaluate", "--device gpu", "--device 'gpu' cannot be used"),
    ("evaluate", "--bootstrap 1", "--bootstrap must be 2 or more, or 0 for no interval, not 1"),
    ("evaluate", "--show -1", "--show must be 0 or more, not -1"),
    ("evaluate", "--json out.txt", "the name of out.txt must end in .json"),
    ("evaluate", "--classes labels.csv", "the model knows its classes: leave --classes out"),
    ("predict", "--device gpu", "--device 'gpu' cannot be used"),
    ("predict", "--out out.xlsx", "its name must end in .csv or .jsonl"),
    ("predict", "--on-bad-image skp", "stop or skip is expected (did you mean 'skip'?)"),
    ("predict", "--max-pixels 100", "the limit is 100"),
]


@pytest.mark.parametrize(("arguments", "message"), NOT_A_COMMAND)
def test_commands_that_are_none(arguments: list[str], message: str, desk: Desk) -> None:
    assert message in desk.complaint(*arguments)


@pytest.mark.parametrize("command", BASICS)
@pytest.mark.parametrize(("more", "message"), ANY)
def test_flags_and_keys_that_are_none(command: str, more: str, message: str, desk: Desk) -> None:
    desk.write("bad.yaml", "overwrit: true\n")
    desk.write("broken.yaml", "overwrite: [\n")
    desk.write("laugh.yaml", BILLION_LAUGHS)
    desk.write("long.yaml", 20_000_000 * "#")
    desk.write("list.yaml", "- overwrite\n")
    said = desk.complaint(*words(BASICS[command]), *more.split())
    assert message in said


@pytest.mark.parametrize(("command", "more", "message"), OPTIONS)
def test_options_that_cannot_be(command: str, more: str, message: str, desk: Desk) -> None:
    desk.write("x.npz", "no archive")
    assert message in desk.complaint(*words(BASICS[command]), *more.split())


METHODS = [
    ("method: em\n", "method must be written as method: {name: NAME, parameter: value}"),
    ("method: {alpha: 0.2}\n", "method must be written as method: {name: NAME, parameter: value}"),
    ("method: {name: me}\n", "unknown method 'me' (did you mean 'em'?)"),
    ("method: {name: em, alhpa: 1}\n", "(did you mean 'method.alpha'?)"),
    ("method: {name: em}\nepoch: 3\n", "unknown key 'epoch' (did you mean 'epochs'?)"),
    ("method: {name: em}\nepochs: many\n", "--epochs 'many': a whole number is expected"),
]


@pytest.mark.parametrize(("text", "message"), METHODS)
def test_yaml_files_of_a_training(text: str, message: str, desk: Desk) -> None:
    desk.write("c.yaml", text)
    basics = words(BASICS["train"].replace("--method an ", "").replace("--epochs 1 ", ""))
    assert message in desk.complaint(*basics, "--config", "c.yaml")


def test_a_training_without_a_method_or_features(desk: Desk) -> None:
    basics = words(BASICS["train"])
    assert "give --method NAME" in desk.complaint(*basics[:4], *basics[6:])
    assert "give either --features STORE" in desk.complaint(*basics[:2], *basics[4:])
    fine = words(BASICS["train --backbone"])
    assert "give their folder with --images DIR" in desk.complaint(*fine[:2], *fine[4:])
    assert "give --source NAME" in desk.complaint(*basics, "--source.threshold", "1")


@pytest.mark.parametrize("command", ["evaluate", "evaluate --images", "predict"])
def test_models_that_are_none_or_damaged(command: str, desk: Desk) -> None:
    arguments = words(BASICS[command])
    for run in ("none", "photos", "labels.csv"):
        assert f"{run} holds no trained model" in desk.complaint(arguments[0], run, *arguments[2:])
    weights = (desk.path / "run/bundle/model.safetensors").read_bytes()
    desk.write("run/bundle/model.safetensors", weights[:-1])
    assert "model.safetensors" in desk.complaint(*arguments)
    desk.write("run/bundle/model.safetensors", weights)
    content = json.loads((desk.path / "run/bundle/bundle.json").read_text())
    desk.write("run/bundle/bundle.json", json.dumps(content | {"format_version": 99}))
    assert "update onelabel" in desk.complaint(*arguments)
    desk.write("run/bundle/bundle.json", "{")
    assert "bundle.json" in desk.complaint(*arguments)


@pytest.mark.parametrize("photos", ["none.png", "*.jpg", "empty"])
def test_photos_that_are_none(photos: str, desk: Desk) -> None:
    (desk.path / "empty").mkdir()
    assert photos in desk.complaint("predict", "run", photos, "--out", "out.csv")


def test_a_photo_that_cannot_be_read_is_named_or_skipped(desk: Desk) -> None:
    desk.write("more/cut.png", (desk.path / "photos/old album/photo 1.png").read_bytes()[:500])
    arguments = ["predict", "run", "photos", "more", "--out", "out.csv"]
    assert "cut.png" in desk.complaint(*arguments)
    assert main([*arguments, "--on-bad-image", "skip"]) == 0
    assert "skipped: more/cut.png" in desk.capsys.readouterr().out


def test_an_unreadable_photo_stops_a_training_before_it_starts(desk: Desk) -> None:
    desk.write("photos/old album/photo 1.png", b"")
    assert "photo 1.png: the file is empty" in desk.complaint(*words(BASICS["train --backbone"]))


def test_an_embedding_goes_on_once_the_photo_is_mended(desk: Desk) -> None:
    good = (desk.path / "photos/old album/photo 41.png").read_bytes()
    desk.write("photos/old album/photo 41.png", b"")
    arguments = words(BASICS["embed"])
    assert main(arguments) == 2
    assert "photo 41.png: the file is empty" in desk.capsys.readouterr().err
    assert not (desk.path / "out").exists()
    desk.write("photos/old album/photo 41.png", good)
    assert main(arguments) == 0
    assert {path.name for path in desk.path.glob("out*")} == {"out"}


def run_module(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "onelabel", *arguments], capture_output=True, text=True, check=False
    )


def test_the_process_ends_with_the_code_and_one_line(desk: Desk) -> None:
    before = desk.listing()
    done = run_module(*words(BASICS["train"]), "--method", "me")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("onelabel: error: unknown method 'me'") and done.stderr.count("\n") == 1
    done = run_module("check", "none.csv")
    assert (done.returncode, done.stderr) == (
        2, "onelabel: error: there is no label file or folder none.csv\n"
    )  # fmt: skip
    assert desk.listing() == before
