"""The whole example, small: what it writes is whole, honest and usable by the other commands."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from onelabel.cli import main
from onelabel.demo.outcome import gap_closed, order, render
from onelabel.demo.plan import CONTENDERS, FULL, QUICK, Plan, Setting, options, settings_of
from onelabel.demo.prepare import Scenes
from onelabel.demo.run import Given, Result, given
from onelabel.demo.show import next_steps, show
from onelabel.demo.tiny_clip import tiny_clip
from onelabel.io.errors import OneLabelError
from onelabel.io.ids import IdTable
from onelabel.labels import load_labels
from onelabel.vlm.encoder import load_encoder
from onelabel.vlm.prompts import text_features
from onelabel.vlm.store import EmbeddingStore

PLAN = Plan({"train": 60, "val": 30, "test": 40}, seeds=2, epochs=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    out = tmp_path_factory.mktemp("example") / "demo"
    show(str(out), PLAN)
    yield out


def test_every_training_scene_has_one_of_its_own_labels(folder: Path) -> None:
    full = load_labels(folder / "scenes/labels.csv").table
    draws = [load_labels(folder / f"single-{seed}.csv").table for seed in range(PLAN.seeds)]
    for drawn in draws:
        train = drawn.part("train").dense()
        assert (train.sum(axis=1) == 1).all() and (train >= 0).all()
        assert (full.part("train").dense()[train == 1] == 1).all()
        for part in ("val", "test"):
            np.testing.assert_array_equal(drawn.part(part).dense(), full.part(part).dense())
    assert (draws[0].dense() != draws[1].dense()).any(), "another seed draws other labels"


def test_the_figures_are_those_of_the_models_in_the_run_folders(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = json.loads((folder / "demo.json").read_text())
    assert found["finished"] and set(found["methods"]) == {contender.key for contender in CONTENDERS}
    for key, method in found["methods"].items():
        for seed, value in enumerate(method["test_map"]):
            score = tmp_path / f"{key}-{seed}.json"
            arguments = ["evaluate", str(folder / f"runs/{key}-{seed}"), str(folder / "scenes/labels.csv")]
            assert main([*arguments, "--features", str(folder / "store"), "--json", str(score)]) == 0
            assert json.loads(score.read_text())["map"] == pytest.approx(value, abs=1e-12)
    assert f"{100 * np.mean(found['methods']['em']['test_map']):.1f}" in (folder / "table.txt").read_text()
    capsys.readouterr()


@pytest.mark.parametrize("key", ["vlpl", "aevlp"])
def test_a_run_can_be_repeated_from_its_config(folder: Path, tmp_path: Path, key: str) -> None:
    run, again = folder / f"runs/{key}-1", tmp_path / "again"
    assert main(["train", "--config", str(run / "config.yaml"), "--out", str(again)]) == 0
    model = "bundle/model.safetensors"
    assert (again / model).read_bytes() == (run / model).read_bytes()


def test_the_report_is_on_the_test_scenes(folder: Path) -> None:
    page, found = (folder / "report.html").read_text(), json.loads((folder / "report.json").read_text())
    assert "the 40 test scenes" in page and "<script" not in page
    vlpl = json.loads((folder / "demo.json").read_text())["methods"]["vlpl"]["test_map"][0]
    assert found["quality"]["evaluation"]["map"] == pytest.approx(vlpl, abs=1e-9)


def test_the_model_names_what_is_on_photos(folder: Path, tmp_path: Path) -> None:
    tags = tmp_path / "tags.csv"
    run, photos = str(folder / "runs/full-0"), str(folder / "scenes/images/test")
    assert main(["predict", run, photos, "--out", str(tags)]) == 0
    assert len(tags.read_text().splitlines()) == 1 + 40 * 16


def test_the_commands_to_try_run_as_they_are_printed(folder: Path) -> None:
    for command in next_steps(Scenes(folder, load_labels(folder / "scenes/labels.csv").table)):
        assert main(shlex.split(command)[1:]) == 0, command
    assert (folder / "tags.csv").is_file() and (folder / "my-run/bundle").is_dir()


def test_there_is_a_picture_of_test_scenes(folder: Path) -> None:
    with Image.open(folder / "contact-sheet.png") as sheet:
        assert sheet.width > 1000 and sheet.height > 700


def test_the_tiny_model_ships_in_under_two_megabytes_and_knows_the_objects(folder: Path) -> None:
    size = sum(file.stat().st_size for file in Path(tiny_clip().partition(":")[2]).iterdir())
    assert size < 2_000_000
    load_encoder(tiny_clip())
    test = load_labels(folder / "scenes/labels.csv").table.part("test").dense()
    chance = (test == 1).mean()
    assert json.loads((folder / "demo.json").read_text())["zero_shot"] > 2 * chance


def test_only_a_folder_of_the_example_is_replaced(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "mine.jpg").write_bytes(b"x")
    with pytest.raises(OneLabelError, match="exists"):
        show(str(photos), PLAN)
    with pytest.raises(OneLabelError, match="holds no demo and will not be removed"):
        show(str(photos), PLAN, overwrite=True)
    assert (photos / "mine.jpg").read_bytes() == b"x"


def test_all_methods_choose_from_the_same_rates_and_differ_in_nothing_else() -> None:
    for contender in CONTENDERS:
        assert {setting.lr for setting in settings_of(contender)} == {0.01, 0.03, 0.1}
    configs = [options(contender, Setting(0.1, {}), FULL, seed=3) for contender in CONTENDERS]
    assert len({str({**config, "method": ""}) for config in configs}) == 1
    assert sum(QUICK.counts.values()) < sum(FULL.counts.values()) and QUICK.seeds < FULL.seeds


def result(*maps: float) -> Result:
    return Result(Setting(0.1, {}), np.array(maps))


def test_another_order_is_said_to_be_another() -> None:
    found = {"full": result(0.9, 0.9), "an": result(0.8, 0.8), "em": result(0.7, 0.8)}
    lines = order(found | {"vlpl": result(0.85, 0.95)})
    assert lines[0] == "order: EM < AN < VLPL < full, not as expected (AN < EM < VLPL < full)"
    shares = gap_closed(found | {"vlpl": result(0.85, 0.85)})
    assert shares["em"] == pytest.approx(-0.5) and shares["vlpl"] == pytest.approx(0.5)


def test_what_the_tiles_are_worth_is_said_as_it_is() -> None:
    found = {"full": result(0.9, 0.9), "an": result(0.7, 0.7), "em": result(0.65, 0.65)}
    labels = {"vlpl": Given(0.5, 0.25), "aevlp": Given(0.75, 0.1)}
    below = found | {"vlpl": result(0.85, 0.85), "aevlp": result(0.84, 0.85)}
    text = render(below, 0.5, labels)
    assert "AEVLP does not beat VLPL: -0.5 on the mean, above it in 0 of 2 runs" in text
    assert "AEVLP   75 % of what it calls present is there, and it finds 10 % of what is there" in text
    assert "-25 %" in text and "EM < AN < AEVLP < VLPL < full, not as expected" in text
    above = found | {"em": result(0.8, 0.8), "vlpl": result(0.85, 0.85), "aevlp": result(0.84, 0.88)}
    text = render(above, 0.5, labels)
    assert "AEVLP beats VLPL: +1.0 on the mean, above it in 1 of 2 runs" in text
    assert "AN < EM < VLPL < AEVLP < full, as expected" in text


def test_the_pseudo_labels_are_held_against_the_hidden_labels(folder: Path) -> None:
    """Slow: pair by pair, with the scores of the stores themselves."""
    full = load_labels(folder / "scenes/labels.csv").table.part("train")
    known = load_labels(folder / "single-0.csv").table.part("train")
    chosen = {contender.key: settings_of(contender)[-1] for contender in CONTENDERS}
    found = given(Scenes(folder, load_labels(folder / "scenes/labels.csv").table), PLAN, chosen)
    assert set(found) == {"vlpl", "aevlp"}
    store, encoder = EmbeddingStore.open(folder / "store"), load_encoder(tiny_clip())
    texts = text_features(encoder, full.classes).numpy()
    called = right = there = 0
    for row, name in enumerate(full.ids):
        image = store.rows(store.ids.rows_of(IdTable.from_strings([name])))[0, 0]
        cosines = texts @ image / np.linalg.norm(image) / 0.05
        scores = np.exp(cosines - cosines.max()) / np.exp(cosines - cosines.max()).sum()
        for column in range(full.num_classes):
            if known.rows([row])[0, column] == 0:
                truth = full.rows([row])[0, column] == 1
                called, there = called + (scores[column] > 0.1), there + truth
                right += (scores[column] > 0.1) & truth
    assert found["vlpl"].precision == pytest.approx(right / called)
    assert found["vlpl"].recall == pytest.approx(right / there)
