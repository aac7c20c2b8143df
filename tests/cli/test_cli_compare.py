"""``onelabel compare`` at the command line: against other commands, with a store, on photos, and misused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from desk import Desk, words
from onelabel.cli import main

BASE = (
    "compare full.csv --exhaustive --simulate --features features --methods an --seeds 1 --epochs 2 --jobs 1"
)


def rows(folder: str) -> dict[str, dict[str, object]]:
    found = json.loads((Path(folder) / "compare.json").read_text("utf-8"))
    return {row["method"]: row for row in found["rows"]}


@pytest.mark.usefixtures("desk")
def test_a_trial_is_what_simulate_train_and_evaluate_give() -> None:
    assert main([*words(BASE), "--select", "full", "--out", "c"]) == 0
    assert main(words("simulate full.csv --exhaustive --seed 0 --out s.csv")) == 0
    trials = [json.loads(line) for line in Path("c/results.jsonl").read_text("utf-8").splitlines()]
    for trial in (t for t in trials if t["method"] == "an"):
        init = trial["setting"]["head_init"]
        train = f"train s.csv --features features --method an --select full --epochs 2 --head-init {init}"
        assert main([*words(train), "--out", init]) == 0
        evaluate = f"evaluate {init} full.csv --exhaustive --features features --json {init}.json"
        assert main(words(evaluate)) == 0
        found = json.loads(Path(f"{init}.json").read_text("utf-8"))
        assert trial["test"]["map"] == pytest.approx(found["map"])
        assert trial["selection"] == pytest.approx(
            json.loads(Path(init, "metrics.json").read_text("utf-8"))["selection"]
        )


def test_sources_on_a_store_and_what_is_printed(desk: Desk) -> None:
    given = BASE.replace("--methods an --seeds 1", "--methods gpr,vlpl --seeds 2")
    given += " --vlm-store clip-store --sources vlpl --out c"
    assert main(words(given)) == 0
    said = desk.capsys.readouterr().out
    assert set(rows("c")) == {"an", "gpr + vlpl", "vlpl", "zero-shot: vlpl", "bce, complete labels", "chance"}
    assert "zero-shot: vlpl, without any training, reaches" in said and "written to c:" in said
    assert main(words(given)) == 0
    assert desk.capsys.readouterr().out == said, "all is done already"


@pytest.mark.usefixtures("desk")
def test_fine_tuning() -> None:
    given = "compare full.csv --exhaustive --simulate --images photos --backbone local-dir:net --methods an "
    assert main(words(given + "--seeds 1 --epochs 1 --out c")) == 0
    row = rows("c")["an"]
    assert row["error"] is None and 0 < row["mean"] < 1  # type: ignore[operator]
    assert "one seed" in Path("c/compare.md").read_text("utf-8")


WRONG = [
    ("--methods me", "unknown method 'me' (did you mean 'em'?)"),
    ("--methods an,an", "--methods 'an,an' must be all, or different names"),
    ("--sources vlpll", "unknown source 'vlpll' (did you mean 'vlpl'?)"),
    ("--sources none.npz", "there is no file none.npz"),
    ("--sources vlpl", "--vlm-store STORE"),
    ("--seeds 0", "--seeds must be 1 or more, not 0"),
    ("--lrs 1e-3;1e-2", "--lrs '1e-3;1e-2' must be numbers"),
    ("--lrs 0", "--lrs must be numbers above 0"),
    ("--tune 1", "--tune must be 2 or more"),
    ("--tune 4 --lrs 0.1", "--lrs is the range"),
    ("--jobs 0", "--jobs must be from 1"),
    ("--select last", "--select 'last'"),
    ("--test-fraction 1", "--test-fraction must be above 0 and below 1"),
    ("--no-simulate", "add --simulate"),
    ("--no-exhaustive", "add --exhaustive"),
    ("--checked full.csv", "leave --checked out"),
    ("--checked-exhaustive", "--checked FILE"),
    ("--backbone local-dir:net", "give either --features STORE"),
    ("--features none", "none"),
    ("--out labels.csv", "labels.csv exists and holds no comparison"),
    ("--out run", "run exists and holds no comparison"),
    ("--out .", "which is read here"),
    ("--out file/c", "file is a file, not a folder"),
]


@pytest.mark.parametrize(("option", "said"), WRONG)
def test_a_mistake_is_one_line_and_nothing_is_written(option: str, said: str, desk: Desk) -> None:
    desk.write("file", "")
    out = [] if "--out" in option else ["--out", "c"]
    assert said in desk.complaint(*words(BASE), *words(option), *out)


def test_images_without_features_are_named(desk: Desk) -> None:
    text = Path("full.csv").read_text("utf-8")
    desk.write("full.csv", text.replace("old album", "new album"))
    assert "'new album/photo" in desk.complaint(*words(BASE), "--out", "c")
