"""The embedded example as it is shown: every step with its time, the table, the picture, what to try next."""

from __future__ import annotations

import shlex
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onelabel.demo.outcome import gap_closed, render
from onelabel.demo.plan import Plan
from onelabel.demo.prepare import STORE, Scenes, draw, embed, zero_shot
from onelabel.demo.run import RUNS, Result, choose, given, train
from onelabel.demo.sheet import contact_sheet
from onelabel.images.decode import MAX_PIXELS, decode
from onelabel.io.atomic import atomic_write, check_output
from onelabel.io.errors import OneLabelError
from onelabel.io.manifest import read_manifest, write_manifest
from onelabel.models.bundle_read import load_bundle
from onelabel.report.extra import pages_possible
from onelabel.report.gather import gather
from onelabel.report.run_report import write_report
from onelabel.training.judge import score_features
from onelabel.training.run_folder import RunFolder
from onelabel.training.threads import threads_for

MANIFEST, KIND, VERSION = "demo.json", "onelabel-demo", 1
TABLE, SHEET, PAGE = "table.txt", "contact-sheet.png", "report.html"
_SHOWN = 24
_PICTURED = "vlpl"
_DRAWS = 200


def show(out: str, plan: Plan, *, overwrite: bool = False) -> dict[str, Result]:
    """Run the example and print what happens.

    Args:
        out: folder to make.
        plan: its size.
        overwrite: replace the folder if an earlier example made it.

    Returns:
        What each method reached.

    Raises:
        OneLabelError: the folder exists, or cannot be written.
    """
    folder = _fresh(out, overwrite)
    counts = plan.counts
    with _step(
        f"1/5  drawing {sum(counts.values()):,} scenes, and hiding all labels but one of each for training"
    ):
        scenes = draw(folder, plan)
    with _step("2/5  embedding them, and tiles of them, with the tiny model"), threads_for(0):  # it is tiny
        store = embed(scenes)
    with _step("3/5  choosing each method's settings on the validation scenes"):
        chosen = choose(scenes, plan)
    with _step(f"4/5  training {plan.seeds} runs of each method"):
        results = train(scenes, plan, chosen)
    alone = zero_shot(store, scenes.full.part("test"))
    with _step("5/5  drawing the contact sheet, and writing the report on a run"):
        _picture(scenes)
        if pages_possible():
            _report(scenes)
    table = render(results, alone, given(scenes, plan, chosen))
    _write(folder, table, results, alone)
    print(f"\n{table}\n\n{_farewell(scenes)}")
    return results


@contextmanager
def _step(what: str) -> Iterator[None]:
    began = time.perf_counter()
    print(f"{what} ...", flush=True)
    yield
    print(f"     {time.perf_counter() - began:.0f} s", flush=True)


def _fresh(out: str, overwrite: bool) -> Path:
    """Make the folder, marked as ours before anything else is in it."""
    folder = check_output(out, overwrite=overwrite)
    if folder.exists():
        try:
            read_manifest(folder / MANIFEST, KIND, VERSION)
        except OneLabelError:
            raise OneLabelError(
                f"{folder} holds no demo and will not be removed; give another --out"
            ) from None
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    write_manifest(folder / MANIFEST, KIND, VERSION, {"finished": False})
    return folder


def _picture(scenes: Scenes) -> None:
    """Draw the first test scenes, whatever they are, with the decisions of one model."""
    test = scenes.full.part("test").take(np.arange(_SHOWN))
    bundle = load_bundle(scenes.folder / RUNS / f"{_PICTURED}-0")
    paths = [Path(scenes.images) / name for name in test.ids]
    decided = np.array([bundle.decide(probs) for _, probs in bundle.predict(paths)])
    contact_sheet(
        [decode(path) for path in paths],
        _present(test.class_ids, test.dense()),
        _present(bundle.class_ids, decided),
        scenes.folder / SHEET,
        title="Test scenes, and what VLPL made of one label per training scene",
    )


def _report(scenes: Scenes) -> None:
    """Write the page of the pictured model, judged by the test scenes."""
    run, test = RunFolder.open(scenes.folder / RUNS / f"{_PICTURED}-0"), scenes.full.part("test")
    bundle = load_bundle(run.path)
    given = (f"the {len(test):,} test scenes", test, score_features(bundle, test, scenes.store))
    material = gather(run, bundle, given=given, photos=scenes.images, draws=_DRAWS)
    write_report(scenes.folder / PAGE, material, max_pixels=MAX_PIXELS)


def _present(names: Sequence[str], labels: NDArray[np.int8]) -> list[list[str]]:
    return [[name for name, value in zip(names, row, strict=True) if value == 1] for row in labels]


def _write(folder: Path, table: str, results: Mapping[str, Result], alone: float) -> None:
    with atomic_write(folder / TABLE) as stream:
        stream.write(f"{table}\n")
    shares = gap_closed(results)
    found = {
        key: {"setting": str(result.setting), "test_map": result.maps.tolist(), "gap_closed": shares[key]}
        for key, result in results.items()
    }
    write_manifest(folder / MANIFEST, KIND, VERSION, {"finished": True, "zero_shot": alone, "methods": found})


def next_steps(scenes: Scenes) -> list[str]:
    """Return commands to go on with, each of which runs as it stands."""
    folder, program = shlex.quote(scenes.folder.as_posix()), _program()
    train = f"--features {folder}/{STORE} --method an-ls --select full --lr 0.03 --out {folder}/my-run"
    return [
        f"{program} predict {folder}/{RUNS}/vlpl-0 {folder}/scenes/images/test --out {folder}/tags.csv",
        f"{program} check {folder}/single-0.csv --images {folder}/scenes/images",
        f"{program} train {folder}/single-0.csv {train}",
        f"{program} evaluate {folder}/my-run {folder}/scenes/labels.csv --features {folder}/{STORE}",
    ]


def _program() -> str:
    """Return what to type for ``onelabel``: its path, where the shell would not find it."""
    if shutil.which("onelabel"):
        return "onelabel"
    program = Path(sys.executable).parent / "onelabel"
    below = program.is_relative_to(Path.cwd())
    return shlex.quote(str(program.relative_to(Path.cwd()) if below else program))


def _farewell(scenes: Scenes) -> str:
    folder = scenes.folder.as_posix()
    page = [f"{folder}/{PAGE}"] if (scenes.folder / PAGE).is_file() else []
    looks = [f"{folder}/{SHEET}", *page, f"{folder}/{TABLE}, {folder}/{RUNS}/"]
    rows = [("look at", looks), ("try", next_steps(scenes))]
    lines = [f"{head if not n else '':<10}{line}" for head, group in rows for n, line in enumerate(group)]
    return "\n".join([*lines, "your own  README.md goes on from here, with your photos"])
