"""``onelabel embed`` and ``predict`` by several processes: the bytes of one, whoever dies on the way."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from desk import Desk, words
from onelabel.cli import main
from onelabel.vlm.store import EmbeddingStore

PREDICT = "predict run photos --batch-size 1 --on-bad-image skip --out"
EMBED = "embed many.csv --images many --backbone local-dir:net --workers 0 --out"
VARIABLES = ("RANK", "WORLD_SIZE", "SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", "SLURM_PROCID")
PIECES = 13
"""48 photos and a broken one, four in a piece."""


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def broken(desk: Desk) -> Desk:
    """A desk with a broken photo, in the fourth piece."""
    desk.write("photos/neu/größer/photo 10a.png", b"no image")
    return desk


def many(desk: Desk) -> None:
    """260 small photos: three shards."""
    (desk.path / "many").mkdir()
    for number in range(260):
        colour = (number % 256, 7 * number % 256, 90)
        Image.new("RGB", (9, 9), colour).save(desk.path / f"many/{number:03d}.png")
    rows = [f"{number:03d}.png,{number % 2 * 2 - 1}" for number in range(260)]
    desk.write("many.csv", "\n".join(["image,red", *rows]) + "\n")


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def left(desk: Desk, name: str) -> list[str]:
    """What has a name like that, hidden files included."""
    return sorted(entry.name for entry in desk.path.iterdir() if name in entry.name)


def ok(*arguments: str) -> None:
    assert main(arguments) == 0


def forked(*arguments: str) -> int:
    """Run a command in a process of its own; return its number."""
    child = os.fork()
    if child == 0:
        torch.set_num_threads(1)  # waiting for the parent's threads, which a fork has not, is for ever
        os._exit(main(arguments))
    return child


def exit_code(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed(when: Path, *arguments: str) -> None:
    """Run a command in a process of its own, and kill that once there is a file."""
    child, end = forked(*arguments), time.monotonic() + 60
    while not when.exists() and time.monotonic() < end:
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    assert exit_code(child) == -signal.SIGKILL


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_predictions_of_parts_are_those_of_one_process(broken: Desk, suffix: str) -> None:
    ok(*words(PREDICT), f"whole.{suffix}")
    said = broken.capsys.readouterr().out.splitlines()
    for part in (3, 1, 2):
        ok(*words(PREDICT), f"tags.{suffix}", "--part", f"{part}/3")
        text = broken.capsys.readouterr().out
        assert f"part {part} of 3, by --part" in text
        if part != 2:
            assert f"part {part} of 3 is finished; " in text and "left to others" in text
            assert not Path(f"tags.{suffix}").exists()
    assert text.replace("tags.", "whole.").splitlines()[1:] == said  # the skipped photo and all counts
    assert "photo 10a.png" in text
    assert Path(f"tags.{suffix}").read_bytes() == Path(f"whole.{suffix}").read_bytes()
    assert left(broken, "tags") == [f"tags.{suffix}"]


def test_predict_is_killed_and_begun_again(broken: Desk) -> None:
    ok(*words(PREDICT), "whole.csv")
    second = [*words(PREDICT), "tags.csv", "--part", "2/3"]
    folder = Path("tags.csv.partial")
    killed(folder / "piece-00005.json", *second)
    kept = {file.name: file.stat().st_mtime_ns for file in folder.glob("piece-*.json")}
    assert kept
    for part in ("1/3", "3/3"):
        ok(*words(PREDICT), "tags.csv", "--part", part)
    assert not Path("tags.csv").exists()
    now = {file.name: file.stat().st_mtime_ns for file in folder.glob("piece-*.json")}
    assert kept.items() <= now.items()
    ok(*words(PREDICT), "tags.csv")  # one process, as when one task of an array is started again
    assert Path("tags.csv").read_bytes() == Path("whole.csv").read_bytes()
    assert left(broken, "tags") == ["tags.csv"]


def test_predict_all_at_once_and_a_part_twice(broken: Desk) -> None:
    ok(*words(PREDICT), "whole.csv")
    parts = ["1/3", "2/3", "3/3", "2/3"]
    codes = [*map(exit_code, [forked(*words(PREDICT), "tags.csv", "--part", part) for part in parts])]
    # A part that is begun again when all are finished finds the file there.
    assert codes.count(0) >= 3, codes
    assert Path("tags.csv").read_bytes() == Path("whole.csv").read_bytes()
    assert left(broken, "tags") == ["tags.csv"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--batch-size", "2"], "begun with other batch_size: delete that folder, or add --overwrite"),
        (["--on-bad-image", "stop"], "other on_bad_image"),
        (["--max-pixels", "9999"], "other max_pixels"),
        (["--part", "9/3"], "--part must be I/N"),
    ],
)
def test_parts_of_different_predictions_refuse_each_other(
    broken: Desk, change: list[str], message: str
) -> None:
    begun = [*words(PREDICT), "tags.csv", "--part", "1/3"]
    ok(*begun)
    assert message in broken.complaint(*begun, *change)
    if "part" not in message:
        ok(*begun, *change, "--part", "2/3", "--overwrite") if "stop" not in change else None


def test_other_photos_other_models_and_changed_pieces_are_refused(broken: Desk) -> None:
    begun = [*words(PREDICT), "tags.csv", "--part", "1/3"]
    ok(*begun)
    shutil.copy("photos/neu/größer/photo 0.png", "photos/one more.png")
    assert "begun with other photos" in broken.complaint(*begun)
    Path("photos/one more.png").unlink()
    piece = Path("tags.csv.partial/piece-00001.rows")
    piece.write_bytes(piece.read_bytes()[:-9])
    assert "piece-00001.rows has changed since it was written" in broken.complaint(*begun)
    broken.write("run/bundle/README.md", "another model")
    assert "begun with other model" in broken.complaint(*begun)


def test_embed_under_torchrun(desk: Desk) -> None:
    many(desk)
    threads = {**os.environ, "OMP_NUM_THREADS": "1"}
    call = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "0"]
    done = subprocess.run(
        [*call, "-m", "onelabel", *words(EMBED), "both"], env=threads, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "part 1 of 2, by RANK and WORLD_SIZE" in done.stdout
    assert done.stdout.count("260 photos × ") >= 1, done.stdout
    # One process, killed once on the way.
    killed(desk.path / "alone.partial/shard-00000.json", *words(EMBED), "alone")
    ok(*words(EMBED), "alone")
    assert contents(Path("both")) == contents(Path("alone"))
    assert left(desk, "both") == ["both"]


def test_embed_as_an_array_with_a_task_begun_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    many(desk)
    ok(*words(EMBED), "alone", "--no-mirrored")
    desk.capsys.readouterr()
    monkeypatch.setenv("SLURM_ARRAY_TASK_COUNT", "3")
    monkeypatch.setenv("SLURM_ARRAY_TASK_MIN", "1")
    for task in (2, 1, 2, 3, 3):
        monkeypatch.setenv("SLURM_ARRAY_TASK_ID", str(task))
        ok(*words(EMBED), "array", "--no-mirrored")
        said = desk.capsys.readouterr().out
        assert f"part {task} of 3, by SLURM_ARRAY_TASK_ID" in said
        assert ("260 photos × " in said) == (task == 3)
    assert contents(Path("array")) == contents(Path("alone"))
    desk.complaint(*words(EMBED), "array", "--no-mirrored", "--part", "1/1")


def test_embed_from_tar_files(desk: Desk) -> None:
    names = sorted(path.relative_to("photos").as_posix() for path in Path("photos").rglob("*.png"))
    for number in range(3):
        with tarfile.open(f"data-{number}.tar", "w") as archive:
            for name in names[number * 16 : number * 16 + 16]:
                archive.add(Path("photos") / name, name)
    ok(*words("embed labels.csv --images data-{0..2}.tar --backbone local-dir:net --workers 1 --out tars"))
    ok(*words("embed labels.csv --images photos --backbone local-dir:net --workers 1 --out folder"))
    tars, folder = (EmbeddingStore.open(name) for name in ("tars", "folder"))
    assert list(tars.ids) == names and set(names) == set(folder.ids)
    np.testing.assert_array_equal(tars.rows(np.arange(48)), folder.rows(folder.ids.rows_of(names)))
    wrong = words("embed labels.csv --images data-{0..1}.tar --backbone local-dir:net --out out")
    assert "16 of 48 images are not in data-{0..1}.tar" in desk.complaint(*wrong)
    missing = words("embed labels.csv --images data-{2..3}.tar --backbone local-dir:net --out out")
    assert "there is no shard data-3.tar" in desk.complaint(*missing)
