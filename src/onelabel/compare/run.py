"""A comparison from labels to table."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from onelabel.compare import page
from onelabel.compare.checked import CheckedResult, judge_checked
from onelabel.compare.contenders import CHANCE, REFERENCE, Contender, line_up
from onelabel.compare.folder import Folder, open_folder
from onelabel.compare.plan import Plan
from onelabel.compare.problem import Data, check_data
from onelabel.compare.search import require_tuner
from onelabel.compare.summary import Row, Summary, Trials, figure_of, make_rows, relate
from onelabel.compare.tables import as_csv, as_json, markdown
from onelabel.compare.train import open_for
from onelabel.compare.work import Trial, Unit, Worker, trials_of, work
from onelabel.io.atomic import atomic_write
from onelabel.io.errors import OneLabelError
from onelabel.io.progress import progress
from onelabel.report.extra import require_report_extra
from onelabel.training.features import FeatureRows
from onelabel.training.keeper import Keeper
from onelabel.vlm.features import open_features

PAGE = "compare.html"


def compare(data: Data, plan: Plan, out: str, *, jobs: int = 1, overwrite: bool = False) -> Summary:
    """Train every method with every seed under one budget, and say which is best and how sure that is.

    What was finished earlier in ``out`` is not done again. With more than one job, a script of your own needs
    ``if __name__ == "__main__":`` around the call.

    Args:
        data: labels.
        plan: settings.
        out: folder for the results: each trial, ``results.jsonl``, ``compare.json``, ``.csv`` and ``.md``,
            and ``compare.html`` where the extra ``report`` is installed.
        jobs: processes, with one thread each.
        overwrite: begin again.

    Returns:
        The rows, best first.

    Raises:
        OneLabelError: labels, features or settings do not go together, or ``out`` holds something else.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from onelabel.labels.table import LabelTable
        >>> folder, rng = Path(tempfile.mkdtemp()), np.random.default_rng(0)
        >>> x, ids = rng.normal(size=(60, 4)), [f"{n}.jpg" for n in range(60)]
        >>> table = LabelTable.from_dense(ids, list("abcd"), np.where(x > 0, 1, -1))
        >>> np.savez(folder / "features.npz", X=x, ids=ids)
        >>> plan = Plan(("an", "em"), seeds=2, simulate=True, epochs=2, features=str(folder / "features.npz"))
        >>> found = compare(Data(table), plan, str(folder / "out"))
        >>> sorted(row.key for row in found.rows)
        ['an', 'bce, complete labels', 'chance', 'em']
    """
    noted = check_data(data, plan)
    contenders, left_out = line_up(
        plan.methods, plan.sources, vlm_store=plan.vlm_store is not None, complete=plan.simulate
    )
    _check(data, plan, contenders)
    folder, _ = open_folder(out, plan, data, overwrite=overwrite)
    trials = _train(data, plan, contenders, folder, jobs)
    figure = figure_of(trials[CHANCE][0][0])
    rows = make_rows(contenders, trials, figure)
    summary = Summary(
        figure, relate(rows, _images(rows, data, folder)), left_out, plan, data.table.class_ids,
        (*noted, *_notes(data, plan)),
    )  # fmt: skip
    summary = replace(summary, notes=(*summary.notes, *_note_on_reference(summary)))
    _write(folder, summary, trials)
    return summary


def _check(data: Data, plan: Plan, contenders: Sequence[Contender]) -> None:
    """Refuse, before anything is written, what would fail for every method."""
    require_tuner(plan)
    worker = Worker(plan, data, Folder(Path()))
    problem = worker.problem(0)
    Keeper(plan.select, problem.parts.val)
    if plan.features is not None:
        store = open_features(plan.features)
        for table in (data.table, data.checked):
            if table is not None:
                FeatureRows(store, table)
    for source in plan.sources:
        open_for(plan, source, data.table.classes, 0)
    assert contenders[0].key == REFERENCE


def _train(
    data: Data, plan: Plan, contenders: Sequence[Contender], folder: Folder, jobs: int
) -> dict[str, list[list[Trial]]]:
    """Do all units, seed by seed, and return their trials."""
    units = [Unit(contender, seed) for seed in range(plan.seeds) for contender in contenders]
    found: dict[str, list[list[Trial]]] = {
        contender.key: [[] for _ in range(plan.seeds)] for contender in contenders
    }
    total = sum(trials_of(unit.contender, plan) for unit in units)
    stored = {
        unit: folder.trials(unit.contender, unit.seed, trials_of(unit.contender, plan)) for unit in units
    }
    left = [unit for unit, trials in stored.items() if trials is None]
    with progress("compare", total, "runs") as advance:
        for unit, trials in chain(stored.items(), work(left, Worker(plan, data, folder), jobs)):
            if trials is not None:
                found[unit.contender.key][unit.seed] = trials
                advance(len(trials))
    return found


def _images(rows: Sequence[Row], data: Data, folder: Folder) -> dict[str, CheckedResult]:
    """Return the intervals on checked images of all rows that were not failed and have scores."""
    if data.checked is None:
        return {}
    labels = data.checked.dense()
    return {
        row.key: judge_checked(
            [folder.checked_scores(row.contender, t["seed"], t["number"]) for t in row.chosen], labels
        )
        for row in rows
        if row.chosen and row.key != CHANCE
    }


def _notes(data: Data, plan: Plan) -> list[str]:
    found = []
    if plan.simulate and plan.expected_positives is None:
        found.append(
            "methods that need the expected number of labels per image are told the mean of the complete "
            "training labels, as in the papers; --expected-positives gives another"
        )
    if data.checked is not None:
        found.append(f"{len(data.checked)} checked images were kept out of training and selection")
    return found


def _note_on_reference(summary: Summary) -> list[str]:
    """Say where AN was given a better start than the score chose."""
    row = summary.row(REFERENCE)
    if row is None or math.isnan(row.by_score):
        return []
    init = row.chosen[0]["setting"]["head_init"]
    return [
        f"AN, the reference, is taken with the {init} start in every run, which is its best on the judged "
        f"images ({100 * row.mean:.1f}); the starts that the score chose would reach {100 * row.by_score:.1f}"
    ]


def missing_report_extra() -> str:
    """Return what is missing for the page, in words; "" where nothing is."""
    try:
        require_report_extra()
    except OneLabelError as error:
        return str(error)
    return ""


def _write(folder: Folder, summary: Summary, trials: Trials) -> None:
    """Write all outputs; ``compare.json`` comes last."""
    chosen = {id(trial) for row in summary.rows for trial in row.chosen}
    lines = [
        json.dumps({**trial, "chosen": id(trial) in chosen}, ensure_ascii=False)
        for by_seed in trials.values()
        for unit in by_seed
        for trial in unit
    ]
    outputs = {
        "results.jsonl": "".join(f"{line}\n" for line in lines),
        "compare.csv": as_csv(summary),
        "compare.md": markdown(summary),
        "compare.json": as_json(summary),
    }
    if not missing_report_extra():
        page.write(folder.path / PAGE, summary)
    for name, content in outputs.items():
        with atomic_write(folder.path / name) as stream:
            stream.write(content)
