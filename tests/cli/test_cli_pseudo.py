"""``onelabel pseudo``: named sets from every source, graded, listed, compared, deleted, and trained on."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from desk import Desk, words
from onelabel.cli import main
from onelabel.evaluation.quality import pseudo_quality
from onelabel.labels.readers import ReadOptions, load_labels
from onelabel.labels.table import LabelTable
from workshop import COLOURS

NAMES = list(COLOURS)
TRAIN = 28
MAKE = "pseudo labels.csv --source tags.csv --rule threshold --rule.positive 0.5 --name first"
FIT = "train labels.csv --features features --method gpr --select last --epochs 2 --expected-positives 1.5"


def run(command: str, *more: str) -> None:
    assert main([*words(command), *more]) == 0


def truth() -> LabelTable:
    return load_labels("full.csv", ReadOptions(exhaustive=True)).table.part("train")


def observed() -> LabelTable:
    return load_labels("labels.csv").table.part("train")


def write_scores(name: str, score: np.ndarray, ids: Any = None, classes: list[str] = NAMES) -> None:
    """A wide CSV file of scores for the training images, NaN as blank."""
    with Path(name).open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["image", *classes])
        for image, row in zip(truth().ids if ids is None else ids, score, strict=True):
            writer.writerow([image, *("" if np.isnan(value) else value for value in row.tolist())])


@pytest.fixture
def tags(desk: Desk) -> Desk:
    """A desk with ``tags.csv``: scores of the training images, right in three of four cells."""
    rng = np.random.default_rng(0)
    right = rng.random((TRAIN, 4)) < 0.75
    present = (truth().dense() == 1) == right
    write_scores("tags.csv", np.where(present, 0.9, 0.1) + rng.uniform(-0.1, 0.1, (TRAIN, 4)))
    return desk


def facts(name: str, folder: str = "pseudo") -> Any:
    return json.loads((Path(folder) / name / "set.json").read_text(encoding="utf-8"))


def rows(name: str) -> list[tuple[str, ...]]:
    with (Path("pseudo") / name / "table.csv").open(encoding="utf-8", newline="") as stream:
        return [tuple(row) for row in csv.reader(stream)]


def decisions(name: str) -> np.ndarray:
    with np.load(Path("pseudo") / name / "opinions.npz") as found:
        assert found["ids"].tolist() == list(truth().ids) and found["classes"].tolist() == NAMES
        decided: np.ndarray = found["pseudo"]
        return decided


def model(run: str) -> bytes:
    return (Path(run) / "bundle" / "model.safetensors").read_bytes()


# -- making ---


@pytest.mark.usefixtures("tags")
def test_a_set_is_the_scores_of_a_file_cut_by_a_rule() -> None:
    run(MAKE)
    with Path("tags.csv").open(encoding="utf-8", newline="") as stream:
        score = np.array([[float(cell) for cell in row[1:]] for row in [*csv.reader(stream)][1:]])
    assert np.array_equal(decisions("first"), score >= 0.5)
    table = rows("first")
    assert table[0] == ("image", "class", "score", "decision")
    wanted = [(i, c) for i in range(TRAIN) for c in range(4) if score[i, c] >= 0.5]
    ids = list(truth().ids)
    assert [row[:2] for row in table[1:] if row[1]] == [(ids[i], NAMES[c]) for i, c in wanted]
    assert [row[0] for row in table[1:] if not row[1]] == [
        ids[i] for i in range(TRAIN) if not (score[i] >= 0.5).any()
    ]
    np.testing.assert_allclose(
        [float(row[2]) for row in table if row[3] == "1"], [score[w] for w in wanted], atol=1e-6
    )
    found = facts("first")
    assert (found["images"], found["present"], found["absent"]) == (TRAIN, len(wanted), 0)
    assert found["source"] == {"name": "file", "path": "tags.csv"}
    assert found["rule"] == {"name": "threshold", "positive": 0.5, "negative": None}
    assert found["provenance"]["file"] == "tags.csv" and len(found["provenance"]["sha256"]) == 64


def test_it_is_graded_against_observed_positives_and_checked_labels(tags: Desk) -> None:
    run(MAKE, "--checked", "full.csv", "--checked-exhaustive")
    known, real, said = observed().dense(), truth().dense(), decisions("first")
    grade = facts("first")["grade"]
    assert grade["observed_positives"] == TRAIN
    assert grade["recall"] == pytest.approx(np.mean(said[known == 1] == 1), abs=1e-6)
    assert grade["predicted"] == pytest.approx(np.mean(said == 1), abs=1e-6)
    for c, row in enumerate(grade["per_class"]):
        recall = np.mean(said[known[:, c] == 1, c] == 1)
        assert (row["class"], row["recall"]) == (NAMES[c], pytest.approx(recall, abs=1e-6))
        assert row["lift"] == pytest.approx(recall / np.mean(said[:, c] == 1), abs=1e-6)
        quality = pseudo_quality(said[:, [c]], known[:, [c]], real[:, [c]])
        assert row["precision"] == pytest.approx(quality.precision, abs=1e-6)
        assert row["checked_recall"] == pytest.approx(quality.recall, abs=1e-6)
        assert row["f1"] == pytest.approx(quality.f1, abs=1e-6)
    quality = pseudo_quality(said, known, real)
    assert grade["OP"] == pytest.approx(quality.precision, abs=1e-6)
    assert grade["OF1"] == pytest.approx(quality.f1, abs=1e-6)
    out = tags.capsys.readouterr().out
    assert f"OF1 {100 * quality.f1:.1f}" in out and "20 images of other splits get no pseudo-labels" in out
    assert "to train on it: --source first" in out


def test_classes_no_better_than_chance_are_named_and_dropped(desk: Desk) -> None:
    score = np.where(truth().dense() == 1, 0.9, 0.1)
    score[:, 0] = 1.0  # red on every image: lift 1
    score[:, 2] = 1.0 - score[:, 2]  # blue where there is none: lift 0
    write_scores("tags.csv", score)
    run(MAKE)
    out = desk.capsys.readouterr().out
    assert "warning: lift of 1 or less, no better than chance, in 2 classes: red, blue thing;" in out
    assert facts("first")["dropped"] == [] and (decisions("first")[:, 0] == 1).all()
    run(MAKE.replace("first", "second"), "--disable-below", "1")
    out = desk.capsys.readouterr().out
    assert "warning: lift" not in out and "dropped 2 classes: red, blue thing" in out
    assert facts("second")["dropped"] == ["red", "blue thing"]
    assert not decisions("second")[:, [0, 2]].any() and decisions("second")[:, [1, 3]].any()
    assert {row[1] for row in rows("second")[1:]} == {"green", "gelb ü", ""}
    assert facts("second")["grade"] == facts("first")["grade"], "the grade says why they were dropped"


@pytest.mark.usefixtures("desk")
def test_a_store_with_a_rule_is_the_source_of_that_name() -> None:
    options = "threshold 0.2 --X.negatives 0.5 --name"
    run(f"pseudo labels.csv --source clip-store --rule vlpl --rule.{options.replace('X', 'rule')} a")
    run(f"pseudo labels.csv --source vlpl --vlm-store clip-store --source.{options.replace('X', 'source')} b")
    assert np.array_equal(decisions("a"), decisions("b")) and {-1, 1} <= set(decisions("a").ravel())
    assert facts("a")["provenance"] == facts("b")["provenance"]
    assert facts("a")["provenance"]["fingerprint"]["weights"] and facts("a")["template"] == "a photo of a {}."


@pytest.mark.usefixtures("tags")
def test_rules_differ_by_class() -> None:
    Path("rules.yaml").write_text(
        "red: {name: threshold, positive: 0.95, negative: 0.05}\n"
        "gelb ü: none\n"
        "blue thing: {name: vlpl, threshold: 0.2}\n",
        encoding="utf-8",
    )
    run("pseudo labels.csv --source clip-store --rule vlpl --rule.threshold 0.2 --name clip")
    run(MAKE, "--rules", "rules.yaml", "--vlm-store", "clip-store")
    run(MAKE.replace("first", "plain"))
    run(MAKE.replace("first", "sharp").replace("0.5", "0.95"), "--rule.negative", "0.05")
    mixed = decisions("first")
    for column, name in enumerate(("sharp", "plain", "clip")):
        assert np.array_equal(mixed[:, column], decisions(name)[:, column]), name
    assert not mixed[:, 3].any()
    assert facts("first")["rules"]["gelb ü"] == {"name": "none"}
    live = "--source tags.csv --rule threshold --rule.positive 0.5 --rules rules.yaml --vlm-store clip-store"
    run(f"{FIT} {live} --no-mirror --out live")
    run(f"{FIT} --source first --no-mirror --out static")
    assert model("live") == model("static")


@pytest.mark.usefixtures("tags")
def test_every_kind_of_source_makes_a_set_that_trains_as_the_source_does() -> None:
    """Static sets are of unmirrored photos: without mirroring, both ways give the same model to the bit."""
    Path("review.csv").write_text(Path("full.csv").read_text(encoding="utf-8"), encoding="utf-8")
    sources = {
        "vlpl": "--source vlpl --vlm-store clip-store --source.threshold 0.2",
        "file": "--source tags.csv --rule top --rule.most 2 --rule.least 0.5",
        "review": "--source review --source.path review.csv --source.exhaustive=true",
        "bundle": "--source run --source.features features",
        "photos": "--source run/bundle --source.images photos",
        "several": "--source vlpl,run2 --vlm-store clip-store --source.combine majority",
        "again": "--source kept-file --rule threshold --rule.positive 0.8",
    }
    run("pseudo labels.csv --source run --source.features features --name run2")
    for name, options in sources.items():
        run(f"pseudo labels.csv {options} --name kept-{name}")
        run(f"{FIT} {options} --no-mirror --out live-{name}")
        run(f"{FIT} --source kept-{name} --no-mirror --out kept-{name}-run")
        assert model(f"live-{name}") == model(f"kept-{name}-run"), name
        assert decisions(f"kept-{name}").any(), name
    assert np.array_equal(decisions("kept-review"), truth().dense())
    config = yaml.safe_load(Path("live-several/config.yaml").read_text(encoding="utf-8"))
    run("train --config live-several/config.yaml --out again")
    assert model("again") == model("live-several")
    assert config["source"]["of"][1] == {"name": "set", "path": "pseudo/run2"}
    assert config["source"]["of"][0]["temperature"] == 0.01, "the defaults are recorded too"


@pytest.mark.usefixtures("tags")
def test_several_sources_guide_one_method() -> None:
    options = "--source vlpl,tags.csv --vlm-store clip-store --rule threshold --rule.positive 0.4"
    run(f"{FIT} {options} --out both")
    run(f"{FIT} --source vlpl --vlm-store clip-store --out one")
    assert model("both") != model("one")
    bundle = json.loads(Path("both/bundle/bundle.json").read_text(encoding="utf-8"))
    assert [part["name"] for part in bundle["method"]["source"]["of"]] == ["vlpl", "file"]
    assert bundle["method"]["rule"]["positive"] == 0.4
    provenance = bundle["method"]["provenance"]
    assert provenance["2.file"] == "tags.csv" and provenance["fingerprint"]["weights"]


def test_a_set_from_a_config_file(tags: Desk) -> None:
    content = {
        "labels": "labels.csv", "source": {"name": "file", "path": "tags.csv"},
        "rule": {"name": "threshold", "positive": 0.5}, "name": "first",
    }  # fmt: skip
    tags.write("set.yaml", yaml.safe_dump(content))
    run("pseudo --config set.yaml")
    run(MAKE.replace("first", "second"))
    assert np.array_equal(decisions("first"), decisions("second"))


def test_a_set_elsewhere_is_named_by_its_path(tags: Desk) -> None:
    run(f"{MAKE} --folder sets/here")
    assert "--source sets/here/first" in tags.capsys.readouterr().out
    run(f"{FIT} --source sets/here/first --out one")
    run("pseudo --list --folder sets/here")
    assert "first" in tags.capsys.readouterr().out


# -- list, compare, delete ---


def test_sets_are_listed_compared_and_deleted(tags: Desk) -> None:
    run("pseudo --list")
    assert tags.capsys.readouterr().out == "no sets in the folder pseudo\n"
    run(MAKE)
    run(MAKE.replace("first", "second").replace("0.5", "0.95"))
    tags.capsys.readouterr()
    run("pseudo --list")
    lines = tags.capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["name", "first", "second"]
    assert "tags.csv by threshold" in lines[1] and str(facts("second")["present"]) in lines[2].split()
    run("pseudo --compare second,first")
    out = tags.capsys.readouterr().out
    one, other = decisions("first") == 1, decisions("second") == 1
    assert (
        f"second and first, 28 images: {(one & other).sum()} of {(one | other).sum()} present in both" in out
    )
    assert all(name in out for name in NAMES)
    run("pseudo --compare first --show 1")
    out = tags.capsys.readouterr().out
    assert "recall of 28 observed positives" in out and "... and 3 classes more" in out
    run("pseudo --delete first")
    assert tags.capsys.readouterr().out == "deleted pseudo/first\n"
    assert [path.name for path in Path("pseudo").iterdir()] == ["second"]
    assert "there is no set" not in tags.complaint(*words(f"{FIT} --source first --out x")), (
        "no hint of deletion"
    )


def test_a_set_is_replaced_only_when_asked(tags: Desk) -> None:
    run(MAKE)
    said = tags.complaint(*words(MAKE))
    assert "pseudo/first exists already; give another --name or add --overwrite" in said
    run(MAKE.replace("0.5", "0.95"), "--overwrite")
    assert facts("first")["rule"]["positive"] == 0.95
    tags.write("pseudo/first/notes.txt", "precious")
    said = tags.complaint(*words(MAKE), "--overwrite")
    assert "also holds notes.txt" in said
    assert "also holds notes.txt" in tags.complaint("pseudo", "--delete", "first")
    tags.write("pseudo/photos/a.jpg", "precious")
    said = tags.complaint(*words(MAKE.replace("first", "photos")), "--overwrite")
    assert "pseudo/photos is no set of pseudo-labels and will not be removed" in said


def test_a_set_that_was_edited_is_refused_and_its_copy_is_a_file(tags: Desk) -> None:
    run(MAKE)
    table = Path("pseudo/first/table.csv")
    text = table.read_text(encoding="utf-8")
    tags.write("pseudo/first/table.csv", text.replace(",1\n", ",-1\n", 1))
    said = tags.complaint(*words(f"{FIT} --source first --out x"))
    assert "table.csv is missing or was changed since the set was made" in said and "COPY.csv" in said
    tags.write("copy.csv", table.read_text(encoding="utf-8"))
    run("pseudo labels.csv --source copy.csv --name corrected")
    assert (decisions("corrected") == -1).sum() == 1
    assert (decisions("corrected") == 1).sum() == text.count(",1\n") - 1


# -- mistakes ---

WRONG: list[tuple[str, str]] = [
    ("pseudo", "give LABELS, --source and --name to make a set, or one of --list, --compare"),
    ("pseudo labels.csv --source tags.csv", "give LABELS, --source and --name"),
    ("pseudo --list --delete first", "give LABELS, --source and --name"),
    ("pseudo --source tags.csv --name first", "LABELS must be given"),
    ("pseudo labels.csv --list", "LABELS is for making a set, and --list makes none: leave it out"),
    ("pseudo --list --disable-below 1", "--disable-below is for making a set"),
    ("pseudo --list --exhaustive", "--exhaustive is for making a set"),
    ("pseudo labels.csv --name first", "give --source NAME"),
    ("pseudo labels.csv --source tags.csv --name a/b", "--name 'a/b': letters, digits"),
    ("pseudo labels.csv --source tags.csv --name vlpl", "--name 'vlpl' is the name of a source"),
    ("pseudo labels.csv --source tags.csv --name first", "'tags.csv' has scores and no decisions: say which"),
    ("pseudo labels.csv --source tgas.csv --name first", "there is no file tgas.csv of pseudo-labels"),
    ("pseudo labels.csv --source vlp --name first", "unknown source 'vlp' (did you mean 'vlpl'?)"),
    (f"{MAKE} --rule threshhold", "unknown rule 'threshhold' (did you mean 'threshold'?)"),
    ("pseudo labels.csv --source tags.csv --rule threshold --name x", "--rule.positive must be given"),
    (MAKE.replace("0.5", "1.5"), "rule threshold: positive must be above 0 and at most 1, not 1.5"),
    (MAKE.replace("0.5", "high"), "--rule.positive 'high': a number is expected"),
    (f"{MAKE} --rule.negativ 0", "--rule.negativ (did you mean '--rule.negative'?)"),
    ("pseudo labels.csv --rule threshold --rule.positive 0.5 --name x", "decides on scores: give --source"),
    ("pseudo labels.csv --rule vlpl --name x", "decides on image-text cosines: give --source STORE"),
    ("pseudo labels.csv --source tags.csv --rule vlpl --name x", "on image-text cosines: give --source"),
    ("pseudo labels.csv --source tags.csv --rule vlpl --vlm-store clip-store --name x", "has none of"),
    ("pseudo labels.csv --source clip-store --name x", "or, for a store, --rule vlpl as well"),
    ("pseudo labels.csv --source clip-store --vlm-store clip-store --rule vlpl --name x", "a store already"),
    ("pseudo labels.csv --source features --rule vlpl --name x", "features was made by a backbone"),
    ("pseudo labels.csv --source clip-store --rule damp --name x", "DAMP compares the whole image"),
    (f"{MAKE} --vlm-store clip-store", "source 'file' reads no embeddings: leave --vlm-store out"),
    ("pseudo labels.csv --source tags.csv,tags.csv --vlm-store clip-store --name x", "none of the sources"),
    ("pseudo labels.csv --source tags.csv,none --name x", "unknown source 'none'"),
    ("pseudo labels.csv --source tags.csv, --name x", "each of several sources is a name, a file, or"),
    ("pseudo labels.csv --source vlpl,tags.csv --source.combine sum --name x", "--source.combine 'sum'"),
    ("pseudo labels.csv --source run --name x", "give either --source.features STORE or --source.images DIR"),
    ("pseudo labels.csv --source run --source.features clip-store --name x", "numbers, clip-store has"),
    ("pseudo labels.csv --source review --name x", "give --source.path FILE"),
    (f"{MAKE} --rules none.yaml", "--rules none.yaml cannot be read: No such file"),
    (f"{MAKE} --rules tags.csv", "--rules tags.csv must hold a rule for each class"),
    (f"{MAKE} --rules rde.yaml", "--rules rde.yaml: 'rde' is no class of the labels (did you mean 'red'?)"),
    (f"{MAKE} --rules odd.yaml", "unknown rule 'treshold' (did you mean 'threshold'?)"),
    (f"{MAKE} --rules short.yaml", "rule 'threshold': "),
    (f"{MAKE} --checked-exhaustive", "--checked-exhaustive says how --checked FILE is read"),
    (f"{MAKE} --checked others.csv", "none of the 1 checked images is among the 28 training images"),
    (f"{MAKE} --checked rde.csv", "line 1, column 'rde': class 'rde' is not"),
    (f"{MAKE} --split-column images", "no column 'images' for --split-column"),
    (f"{MAKE} --disable-below nan", "--disable-below 'nan': a number is expected"),
    (f"{MAKE} --disable-below -1", "--disable-below must be 0 or more, not -1"),
    (f"{MAKE} --show -1", "--show must be 0 or more, not -1"),
    (f"{MAKE} --folder labels.csv", "labels.csv"),
    ("pseudo --delete first", "there is no set 'first', and none at all in the folder pseudo"),
    ("pseudo --compare first,", "there is no set 'first'"),
    ("pseudo --compare first,first", "must name different sets, separated by commas"),
    ("pseudo --delete photos", "there is no set 'photos'"),
    ("pseudo --delete .", "there is no set '.'"),
    (f"{FIT} --source first --out x", "unknown source 'first'"),
    (f"{FIT} --source tags.csv --out x", "has scores and no decisions: say which"),
    ("train labels.csv --features features --method an --rule top --rule.most 1 --out x", "leave --rule out"),
    (f"{FIT} --source tags.csv --rule threshold --rule.positive 0.5 --out tags.csv --overwrite", "tags.csv"),
]  # fmt: skip


@pytest.mark.parametrize(("command", "message"), WRONG)
def test_mistakes_are_one_line_and_leave_nothing(command: str, message: str, tags: Desk) -> None:
    tags.write("rde.yaml", "rde: none\n")
    tags.write("odd.yaml", "red: treshold\n")
    tags.write("short.yaml", "red: threshold\n")
    tags.write("others.csv", "image,red\nz.png,1\n")
    tags.write("rde.csv", "image,rde\nz.png,1\n")
    assert message in tags.complaint(*words(command))


FAULTS: dict[str, tuple[str, str]] = {
    "unknown class": ("rde", "tags.csv, line 1, column 'rde': 'rde' is no class of the labels"),
    "score": ("1.5", "tags.csv, line 3, column 'red': score '1.5' must be a number from 0 to 1"),
    "NaN": ("nan", "tags.csv, line 3, column 'red': score 'nan' must be a number from 0 to 1"),
    "twice": ("twice", "tags.csv, line 30: image 'neu/größer/photo 0.png' stands at line 2 already"),
    "missing": ("missing", "tags.csv has nothing for 1 of 28 images of the training labels, such as 'old"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_malformed_source_is_refused_with_line_and_reason(fault: str, tags: Desk) -> None:
    what, message = FAULTS[fault]
    lines = Path("tags.csv").read_text(encoding="utf-8").splitlines()
    if fault == "unknown class":
        lines[0] = lines[0].replace("red", what)
    elif fault == "twice":
        lines.append(lines[1])
    elif fault == "missing":
        del lines[2]
    else:
        image, _, *rest = lines[2].split(",")
        lines[2] = ",".join([image, what, *rest])
    tags.write("tags.csv", "\n".join(lines) + "\n")
    assert message in tags.complaint(*words(MAKE))
    assert message in tags.complaint(*words(f"{FIT} --source tags.csv --rule top --rule.most 1 --out x"))


def test_a_set_never_replaces_what_it_is_made_from(tags: Desk) -> None:
    run(MAKE.replace("first", "second"))
    for source, name in (("pseudo/second/table.csv", "second"), ("second", "second")):
        said = tags.complaint("pseudo", "labels.csv", "--source", source, "--name", name, "--overwrite")
        assert "would replace" in said
    said = tags.complaint(*words("pseudo photos --images photos --source tags.csv --name x --folder photos"))
    assert "lies in photos, where every folder is a class" in said
