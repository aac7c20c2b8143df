"""Whole comparisons: who takes part, what is chosen and reported, and that interruptions change nothing."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairground import CLASSES, full_table, labels, small_plan, write_csv, write_features, write_tags
from onelabel.compare.contenders import FULL
from onelabel.compare.plan import Plan
from onelabel.compare.problem import Data, make_problem
from onelabel.compare.run import compare
from onelabel.compare.summary import Summary
from onelabel.evaluation.metrics import mean_average_precision
from onelabel.io.errors import OneLabelError
from onelabel.labels.simulate import simulate_single_positives
from onelabel.methods.registry import create
from onelabel.training.features import FeatureRows
from onelabel.training.heads import score, train_head
from onelabel.training.recipe import Recipe
from onelabel.training.settings import Settings
from onelabel.vlm.features import open_features

OUTPUTS = ("compare.json", "compare.csv", "compare.md", "compare.html")


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_features(tmp_path_factory.mktemp("fair") / "features.npz")


def outputs(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in OUTPUTS}


def trials(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "results.jsonl").read_text("utf-8").splitlines()]


def test_every_trial_is_what_training_by_hand_gives(features: str, tmp_path: Path) -> None:
    plan = small_plan(features, lrs=(0.01, 0.1), select="full")
    summary = compare(Data(full_table()), plan, str(tmp_path / "out"))
    store, found = open_features(features), trials(tmp_path / "out")
    for seed in range(2):
        problem = make_problem(Data(full_table()), plan, seed)
        assert problem.parts.val is not None
        for lr in (0.01, 0.1):
            for init in ("zero", "prior"):
                settings = Settings(epochs=3, lr=lr, head_init=init, select="full", seed=seed)
                recipe = Recipe(problem.parts, create("em"), settings)
                trained = train_head(
                    FeatureRows(store, problem.parts.train), FeatureRows(store, problem.parts.val), recipe
                )
                logits = score(trained.head, FeatureRows(store, problem.test))
                trial = next(
                    t for t in found
                    if t["method"] == "em" and t["seed"] == seed
                    and t["setting"] == {"lr": lr, "head_init": init}
                )  # fmt: skip
                assert trial["selection"] == pytest.approx(trained.score)
                expected = mean_average_precision(logits, problem.test.dense()).value
                assert trial["test"]["map"] == pytest.approx(expected, abs=1e-12)
    chosen = [t for t in found if t["method"] == "em" and t["chosen"]]
    for trial in chosen:
        rivals = [t["selection"] for t in found if t["method"] == "em" and t["seed"] == trial["seed"]]
        assert trial["selection"] == max(rivals) and len(rivals) == 4
    row, reference = summary.row("em"), summary.row("an")
    assert row is not None and reference is not None and row.difference is not None
    assert row.values == tuple(t["test"]["map"] for t in sorted(chosen, key=lambda t: int(t["seed"])))
    assert row.difference.mean == pytest.approx(np.mean(np.subtract(row.values, reference.values)))
    full = summary.row(FULL)
    assert full is not None and row.gap == pytest.approx(
        (row.mean - reference.mean) / (full.mean - reference.mean)
    )


def test_complete_labels_of_training_and_validation_are_never_seen(features: str, tmp_path: Path) -> None:
    """Without --select full, other truth behind the same drawn labels changes nothing but the judgement."""
    table = full_table()
    plan = small_plan(features, methods=("an",), expected_positives=1.5)
    parts = make_problem(Data(table), plan, 0).parts
    assert parts.val is not None
    hidden = np.isin(np.arange(90), table.ids.rows_of([*parts.train.ids, *parts.val.ids]))
    seen = {
        name: row
        for part in (parts.train, parts.val)
        for name, row in zip(part.ids, part.dense(), strict=True)
    }
    changed = table.dense()
    for row in np.flatnonzero(hidden):
        changed[row] = np.where(seen[table.ids.text(int(row))] == 1, 1, -1)
    other = type(table).from_dense(table.ids, table.class_ids, changed)
    for place, labelled in (("a", table), ("b", other)):
        compare(Data(labelled), small_plan(features, methods=("an",), seeds=1), str(tmp_path / place))
    ours, theirs = ([t for t in trials(tmp_path / place) if t["method"] == "an"] for place in "ab")
    assert [t["selection"] for t in ours] == [t["selection"] for t in theirs]
    assert [t["test"] for t in ours] == [t["test"] for t in theirs]


def test_methods_with_sources_and_sources_alone(features: str, tmp_path: Path) -> None:
    tags = write_tags(tmp_path / "tags.npz")
    other = write_tags(tmp_path / "other.npz")
    plan = small_plan(features, methods=("an", "gpr", "vlpl"), sources=(tags, other), seeds=1)
    summary = compare(Data(full_table()), plan, str(tmp_path / "out"))
    names = {row.key for row in summary.rows}
    assert names == {
        "an", f"gpr + {tags}", f"gpr + {other}", f"zero-shot: {tags}", f"zero-shot: {other}", FULL, "chance"
    }  # fmt: skip
    assert [out.key for out in summary.left_out] == ["vlpl"]
    alone = summary.row(f"zero-shot: {tags}")
    test = make_problem(Data(full_table()), plan, 0).test
    with np.load(tags) as arrays:
        told = arrays["score"][full_table().ids.rows_of(test.ids)]
    assert alone is not None and alone.values[0] == mean_average_precision(told, test.dense()).value


def test_a_method_that_fails_is_reported_and_the_rest_go_on(features: str, tmp_path: Path) -> None:
    plan = small_plan(
        features, methods=("an", "fairground:Stumbling", "fairground:Diverging"), lrs=(0.01, 0.1)
    )
    summary = compare(Data(full_table()), plan, str(tmp_path / "out"))
    failed = next(row for row in summary.rows if row.key == "fairground:Stumbling")
    assert failed.error == "1 of 2 seeds: ZeroDivisionError: stumbled | over\nan even seed"
    assert failed.rank is None and summary.rows[-1] is failed
    markdown = (tmp_path / "out" / "compare.md").read_text("utf-8")
    assert "stumbled \\| over\\\\nan even seed" in markdown
    other = summary.row("fairground:Diverging")
    assert other is not None and {t["setting"]["lr"] for t in other.chosen} == {0.01}, (
        "a setting that fails is not it"
    )


def test_a_method_that_ends_its_process_is_reported_and_the_rest_go_on(features: str, tmp_path: Path) -> None:
    plan = small_plan(features, methods=("an", "fairground:Leaving", "fairground:Dying", "em"), epochs=1)
    summary = compare(Data(full_table()), plan, str(tmp_path / "out"), jobs=2)
    failed = {row.key: row.error for row in summary.rows if row.error}
    assert failed == {
        "fairground:Leaving": "SystemExit: 3",
        "fairground:Dying": "1 of 2 seeds: its process ended abruptly, perhaps for lack of memory",
    }
    alone = compare(Data(full_table()), small_plan(features, epochs=1), str(tmp_path / "alone"))
    for key in ("an", "em"):
        there, here = summary.row(key), alone.row(key)
        assert there is not None and here is not None and there.values == here.values


def test_what_is_finished_is_not_done_again(features: str, tmp_path: Path) -> None:
    plan = small_plan(features)
    compare(Data(full_table()), plan, str(tmp_path / "one"))
    compare(Data(full_table()), plan, str(tmp_path / "two"))
    files = sorted((tmp_path / "two" / "runs").iterdir())
    for file in files[::2]:
        file.unlink()
    kept = {file: file.stat().st_mtime_ns for file in files[1::2]}
    compare(Data(full_table()), plan, str(tmp_path / "two"))
    assert outputs(tmp_path / "one") == outputs(tmp_path / "two")
    assert all(file.stat().st_mtime_ns == at for file, at in kept.items()), (
        "what is finished is not done again"
    )


def test_killed_and_resumed_gives_the_same_table(features: str, tmp_path: Path) -> None:
    """The real command in two processes, killed: its children end too; one process does the rest later."""
    given = [
        write_csv(tmp_path / "full.csv", full_table()), "--simulate", "--features", features,
        "--methods", "an,em", "--seeds", "3", "--epochs", "15", "--lrs", "0.01,0.03",
    ]  # fmt: skip
    command = [sys.executable, "-m", "onelabel", "compare", *given, "--jobs", "2", "--out"]
    with subprocess.Popen(
        [*command, str(tmp_path / "killed")], stdout=subprocess.PIPE, start_new_session=True
    ) as running:
        runs, deadline = tmp_path / "killed" / "runs", time.monotonic() + 120
        while not (runs.is_dir() and len(list(runs.glob("an-*.json"))) >= 2):
            assert time.monotonic() < deadline and running.poll() is None
            time.sleep(0.02)
        os.kill(running.pid, signal.SIGKILL)
        running.wait()
        while _group_lives(running.pid):
            assert time.monotonic() < deadline, "processes of the pool outlive the command"
            time.sleep(0.05)
    done = len(list(runs.glob("*.json")))
    assert not (tmp_path / "killed" / "compare.json").exists()
    assert 2 <= done < 3 * (3 * 4 + 1)
    from onelabel.cli import main

    for place in ("killed", "whole"):
        assert main(["compare", *given, "--jobs", "1", "--out", str(tmp_path / place)]) == 0
    assert outputs(tmp_path / "killed") == outputs(tmp_path / "whole")


def _group_lives(group: int) -> bool:
    """Say whether a process of a group runs; a dead one that nobody has waited for does not count."""
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, found = entry.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(found) == group and state != "Z":
            return True
    return False


def test_a_line_of_results_is_the_same_whenever_the_trial_was_done(features: str, tmp_path: Path) -> None:
    plan = small_plan(features, methods=("an",), seeds=1, epochs=1)
    compare(Data(full_table()), plan, str(tmp_path / "out"))
    before = (tmp_path / "out" / "results.jsonl").read_bytes()
    compare(Data(full_table()), plan, str(tmp_path / "out"))
    assert (tmp_path / "out" / "results.jsonl").read_bytes() == before


def test_other_settings_and_other_data_are_refused_by_name(features: str, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    plan = small_plan(features, methods=("an",), epochs=1)
    compare(Data(full_table()), plan, out)
    before = outputs(tmp_path / "out")
    for changed, said in (
        ({"epochs": 2}, "--epochs 1, not 2"),
        ({"seeds": 1}, "--seeds 2, not 1"),
        ({"lrs": (0.03, 0.1)}, "--lrs 0.03, not 0.03,0.1"),
        ({"select": "full"}, "--select observed, not full"),
    ):
        with pytest.raises(OneLabelError, match=said):
            compare(
                Data(full_table()), small_plan(features, **{"methods": ("an",), "epochs": 1} | changed), out
            )
    other = type(full_table()).from_dense(full_table().ids, CLASSES, labels(seed=5))
    with pytest.raises(OneLabelError, match="other labels"):
        compare(Data(other), plan, out)
    moved = write_features(tmp_path / "features.npz")
    np.savez(moved, X=np.ones((90, 2)), ids=list(full_table().ids))
    with pytest.raises(OneLabelError, match="other features"):
        compare(Data(full_table()), small_plan(moved, methods=("an",), epochs=1), out)
    assert outputs(tmp_path / "out") == before


def test_more_seeds_and_methods_keep_what_is_there(features: str, tmp_path: Path) -> None:
    compare(Data(full_table()), small_plan(features, methods=("an",)), str(tmp_path / "grown"))
    files = {file: file.stat().st_mtime_ns for file in (tmp_path / "grown" / "runs").iterdir()}
    more = small_plan(features, seeds=3)
    compare(Data(full_table()), more, str(tmp_path / "grown"))
    compare(Data(full_table()), more, str(tmp_path / "fresh"))
    assert outputs(tmp_path / "grown") == outputs(tmp_path / "fresh")
    assert all(file.stat().st_mtime_ns == at for file, at in files.items())


def test_a_folder_of_something_else_is_left_alone(features: str, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    with pytest.raises(OneLabelError, match="holds no comparison"):
        compare(Data(full_table()), small_plan(features), str(tmp_path / "mine"), overwrite=True)
    assert (tmp_path / "mine" / "thesis.txt").exists()


def test_tuning_is_equal_repeats_itself_and_goes_on(features: str, tmp_path: Path) -> None:
    plan = small_plan(features, methods=("an",), seeds=1, lrs=(1e-3, 1e-1), tune=8, epochs=1)
    compare(Data(full_table()), plan, str(tmp_path / "one"))
    compare(Data(full_table()), plan, str(tmp_path / "two"))
    for file in sorted((tmp_path / "two" / "runs").glob("an-*"))[3:]:
        file.unlink()
    for journal in (tmp_path / "two" / "tune").glob("*.log"):  # as a killed search leaves it
        journal.with_name(f"{journal.name}.lock").symlink_to("tune/elsewhere")
    compare(Data(full_table()), plan, str(tmp_path / "two"))
    assert outputs(tmp_path / "one") == outputs(tmp_path / "two")
    tried = [t["setting"] for t in trials(tmp_path / "one") if t["method"] == "an"]
    assert [setting["head_init"] for setting in tried[:2]] == ["zero", "prior"]
    assert tried[0]["lr"] == tried[1]["lr"] == pytest.approx(1e-2)
    assert len({setting["lr"] for setting in tried}) == 7 and len(tried) == 8
    assert all(1e-3 <= setting["lr"] <= 1e-1 for setting in tried)


def _observed(features: str, out: Path, **settings: Any) -> Summary:
    table = full_table()
    seen = simulate_single_positives(table, seed=9)
    checked = table.take(np.arange(0, 90, 2)) if settings.pop("with_checked") else None
    plan = small_plan(features, simulate=False, methods=("an", "em", "epr"), **settings)
    return compare(Data(seen, checked), plan, str(out))


def test_without_complete_labels_pu_auc_decides(features: str, tmp_path: Path) -> None:
    summary = _observed(features, tmp_path / "out", with_checked=False)
    assert (summary.figure.where, summary.figure.name) == ("test", "pu_auc")
    assert {row.key for row in summary.rows} == {"an", "em", "epr", "chance"}, (
        "no complete labels, no upper end"
    )
    failed = next(row for row in summary.rows if row.key == "epr")
    assert "--expected-positives" in failed.error
    chance = summary.row("chance")
    assert chance is not None and chance.values == (0.5, 0.5)
    text = (tmp_path / "out" / "compare.md").read_text("utf-8")
    assert "cannot show precision" in text and "mAP on" not in text and "recall@1" in text


def test_checked_images_give_map_with_intervals(features: str, tmp_path: Path) -> None:
    summary = _observed(features, tmp_path / "out", with_checked=True)
    assert (summary.figure.where, summary.figure.name) == ("checked", "map")
    best = summary.ranked[0]
    assert best.images is not None
    assert best.images.map.value == pytest.approx(best.mean)
    assert best.images.map.low < best.mean < best.images.map.high
    row, reference = summary.row("em"), summary.row("an")
    assert row is not None and reference is not None and row.difference is not None
    plain = np.subtract(row.values, reference.values)
    half = 12.706 * np.std(plain, ddof=1) / np.sqrt(2)
    assert row.difference.high - row.difference.mean > half, "the choice of images widens the interval"
    assert summary.row("epr") is not None, "the number of labels comes from the checked images"
    text = (tmp_path / "out" / "compare.md").read_text("utf-8")
    assert "with twice the images about" in text and "with four times" in text
    written = json.loads((tmp_path / "out" / "compare.json").read_text("utf-8"))["rows"][0]["checked"]["map"]
    assert written["half_width_with_4x"] == pytest.approx(written["half_width"] / 2)


HOSTILE = ("<script>alert(1)</script>", 'a|b,"c"', "=1+1\u202egnp", "$\\frac{1}{2}$ *b* `c` [d](e)")


def test_hostile_names_do_no_harm(tmp_path: Path) -> None:
    source = tmp_path / "<img src=x onerror=alert(1)>|\x1b[31m.npz"
    tags = write_tags(source, names=HOSTILE)
    plan = Plan(
        ("an", "gpr"), (tags,), seeds=2, simulate=True, epochs=1, features=write_features(tmp_path / "f.npz")
    )
    summary = compare(Data(full_table(names=HOSTILE)), plan, str(tmp_path / "out"))
    assert summary.row(f"gpr + {tags}") is not None
    page = (tmp_path / "out" / "compare.html").read_text("utf-8")
    markdown = (tmp_path / "out" / "compare.md").read_text("utf-8")
    for text in (page, markdown):
        assert "<script" not in text and "<img" not in text and "\x1b" not in text and "\u202e" not in text
        assert "&lt;script&gt;alert" in text
    widths = {
        line.replace("\\|", "").count("|") for line in markdown.splitlines() if line.startswith("| &lt;")
    }
    assert len(widths) == 1, "no name makes a cell of its own"
    with (tmp_path / "out" / "compare.csv").open(newline="", encoding="utf-8") as stream:
        assert f"gpr + {tags}" in [row["method"] for row in csv.DictReader(stream)]
    written = json.loads((tmp_path / "out" / "compare.json").read_text("utf-8"))
    assert {row["class"] for row in written["classes"]} == set(HOSTILE)
