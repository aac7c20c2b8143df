"""Every method on real features with single positives, by ``onelabel compare``, and what the choice costs.

    ONELABEL_DATA=DIR python benchmarks/methods_on_features.py --out OUT > tables.md
    ONELABEL_DATA=DIR python benchmarks/methods_on_features.py --out OUT --quick       (1 seed, few epochs)
    ONELABEL_DATA=DIR python benchmarks/methods_on_features.py --out OUT --methods an,em,wan --sets yeast
    ONELABEL_DATA=DIR python benchmarks/methods_on_features.py --out OUT --selects observed    (half the time)

Prints test mAP by method and set, with epoch and settings chosen by labels that methods may see (observed)
and by complete validation labels (full), as the papers do; then how much the first loses against the second.
Interrupted, the same command goes on.

Each seed fixes the split, the one observed label of each training image, the first weights of the head, the
order of the images and the random numbers of the methods, so the methods of a column are paired. A linear
head is trained with Adam. Every method has its default parameters; learning rate and start of the head are
chosen from the same few. Features of yeast and emotions have units of their own and are brought to mean 0 and
deviation 1 first.

Losses that train on pseudo-labels need a source of them. There is no vision-language model for these
features, so a stand-in takes its place: the ten nearest training images vote with their observed label, and a
class with more than 0.3 of the votes is called present. It knows single positives only, like all else, and
says little about how these losses do with a source of the papers.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from onelabel.compare.contenders import CHANCE, REFERENCE, names_of
from onelabel.compare.plan import Plan
from onelabel.compare.problem import Data
from onelabel.compare.run import compare
from onelabel.compare.statistics import paired
from onelabel.compare.summary import Row, Summary, differences
from onelabel.labels.table import LabelTable
from onelabel.training.features import FeatureRows
from onelabel.vlm.features import open_features

Matrix = NDArray[Any]
NEIGHBOURS, VOTES = 10, 0.3
SOURCE, FEATURES = "methods_on_features:NeighbourVotes", "ONELABEL_BENCHMARK_FEATURES"
SELECTS: tuple[Literal["observed", "full"], ...] = ("observed", "full")
FILES: dict[str, tuple[str, bool]] = {
    "ucm": ("features/ucm_mobilenetv2.npz", False),
    "yeast": ("tabular/yeast.npz", True),
    "emotions": ("tabular/emotions.npz", True),
}


class NeighbourVotes:
    """A stand-in for a source of pseudo-labels; the features are those of the file in ``FEATURES``."""

    def start(self, table: LabelTable) -> None:
        """Ask the neighbours of every training image."""
        rows = FeatureRows(open_features(os.environ[FEATURES]), table)
        votes = neighbours_vote(rows.batch(np.arange(len(table))).numpy(), table.dense())
        self.votes = torch.from_numpy(votes.astype(np.float32))

    def pseudo(
        self,
        index: Tensor,
        labels: Tensor,
        mirrored: Tensor,  # noqa: ARG002 (part of the interface)
        epoch: int,  # noqa: ARG002 (likewise)
    ) -> tuple[Tensor, Tensor]:
        """Return what more than 0.3 of the neighbours show, and the share that do."""
        found = (self.votes[index] > VOTES).to(torch.int8)
        return torch.where(labels == 0, found, torch.zeros_like(found)), self.votes[index]


def neighbours_vote(features: Matrix, observed: Matrix) -> Matrix:
    """Return for each row and class the share of the ten nearest other rows that are marked present."""
    x = torch.from_numpy(features.astype(np.float32))
    distance = torch.cdist(x, x).fill_diagonal_(float("inf"))
    nearest = distance.topk(min(NEIGHBOURS, len(x) - 1), largest=False).indices.numpy()
    votes: Matrix = (observed == 1)[nearest].mean(axis=1)
    return votes


def prepare(name: str, folder: Path, out: Path) -> tuple[LabelTable, str]:
    """Return the complete labels of a set, and the path of its features as ``compare`` reads them."""
    file, scaled = FILES[name]
    with np.load(folder / file, allow_pickle=False) as arrays:
        x, y = arrays["X"], arrays["Y"]
        split = arrays["split"].tolist() if "split" in arrays else None
    if scaled:
        x = (x - x.mean(axis=0)) / np.where(x.std(axis=0) > 0, x.std(axis=0), 1.0)
    ids = [f"row{row}" for row in range(len(y))]
    out.mkdir(parents=True, exist_ok=True)
    np.savez(out / f"{name}.npz", X=x.astype(np.float32), ids=ids)
    classes = [f"class {column}" for column in range(y.shape[1])]
    table = LabelTable.from_dense(ids, classes, np.where(y == 1, 1, -1))
    return (with_split(table, split) if split else table), str(out / f"{name}.npz")


def with_split(table: LabelTable, split: Sequence[str]) -> LabelTable:
    """Return the table with a part for each row."""
    names = sorted(set(split))
    codes = np.array([names.index(part) for part in split], np.int8)
    return replace(table, splits=codes, split_names=tuple(names))


def run(given: argparse.Namespace) -> dict[str, dict[str, Summary]]:
    """Compare on each set, choosing by either; return the results by set, then by choice."""
    found: dict[str, dict[str, Summary]] = {}
    for name in given.sets:
        table, features = prepare(name, Path(given.data), Path(given.out))
        os.environ[FEATURES] = features
        for select in given.selects:
            plan = Plan(
                names_of(given.methods), (SOURCE,), given.seeds, simulate=True, epochs=given.epochs,
                lrs=tuple(given.lrs), select=select, features=features, batch_size=given.batch_size,
            )  # fmt: skip
            folder = str(Path(given.out) / f"{name}-{select}")
            found.setdefault(name, {})[select] = compare(Data(table), plan, folder, jobs=given.jobs)
    return found


def methods_table(results: Mapping[str, Mapping[str, Summary]]) -> str:
    """Lay out test mAP in per cent, mean ± deviation over the seeds."""
    columns = [(name, select) for name in results for select in results[name]]
    rows = [row for by in results.values() for row in _last(by).rows if row.values]
    keys = dict.fromkeys(row.key for row in rows if not row.key.startswith("zero-shot"))
    lines = ["| method | " + " | ".join(f"{name}, {select}" for name, select in columns) + " |"]
    lines.append("|---" * (len(columns) + 1) + "|")
    for key in keys:
        cells = [_spread(results[name][select].row(key)) for name, select in columns]
        lines.append(f"| {key.replace(SOURCE, 'votes')} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _last(by: Mapping[str, Summary]) -> Summary:
    """The comparison by complete labels, where there is one."""
    return by.get("full") or by["observed"]


def _spread(row: Row | None) -> str:
    if row is None:
        return ""
    return f"{100 * row.mean:.1f}" + ("" if np.isnan(row.sd) else f" ± {100 * row.sd:.1f}")


def selection_table(results: Mapping[str, Mapping[str, Summary]]) -> str:
    """Say how much test mAP is lost where observed labels choose, over all methods, paired by seed.

    Without AN: of the reference, ``compare`` takes the better start of the head, whatever the score chose.
    """
    heads = ("set", "methods", "observed − full [95 %]", "worst method", "first by observed", "first by full")
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name, by in results.items():
        rows = [row for row in by["observed"].ranked if row.key != REFERENCE]
        pairs = [(row, by["full"].row(row.key)) for row in rows]
        lost = {row.key: np.array(differences(row, other)) for row, other in pairs if other is not None}
        mean = paired(np.mean(list(lost.values()), axis=0).tolist())
        worst = min(lost, key=lambda key: float(lost[key].mean()))
        firsts = [f"{found.ranked[0].key} {100 * found.ranked[0].mean:.1f}" for found in by.values()]
        interval = f"{100 * mean.mean:+.2f} [{100 * mean.low:+.2f}, {100 * mean.high:+.2f}]"
        cells = [name, str(len(lost)), interval, f"{worst} {100 * lost[worst].mean():+.1f}", *firsts]
        lines.append(f"| {' | '.join(cells)} |".replace(SOURCE, "votes"))
    return "\n".join(lines)


def at_chance(results: Mapping[str, Mapping[str, Summary]]) -> list[str]:
    """Name the methods that do not beat chance, with their data set."""
    found = []
    for name, by in results.items():
        chance = _last(by).row(CHANCE)
        found += [
            f"{row.key} on {name}"
            for row in _last(by).ranked
            if chance is not None and row.mean <= chance.mean
        ]
    return found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default=os.environ.get("ONELABEL_DATA"), help="folder; ONELABEL_DATA")
    parser.add_argument("--out", required=True, help="folder for the comparisons")
    parser.add_argument("--sets", nargs="+", default=list(FILES), choices=list(FILES))
    parser.add_argument("--selects", nargs="+", default=list(SELECTS), choices=list(SELECTS))
    parser.add_argument("--methods", default="all")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--lrs", type=float, nargs="+", default=[1e-3, 1e-2])
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="1 seed, 5 epochs")
    given = parser.parse_args()
    if given.data is None:
        parser.error("give --data or set ONELABEL_DATA")
    if given.quick:
        given.seeds, given.epochs = 1, 5
    results = run(given)
    print(f"Test mAP in per cent, {given.seeds} seeds, {given.epochs} epochs, linear head.\n")
    print(methods_table(results))
    if len(given.selects) > 1:
        print("\nChosen by observed labels against chosen by complete labels, points of test mAP.\n")
        print(selection_table(results))
    losers = at_chance(results)
    print(f"\nNot above chance: {', '.join(losers) or 'none'}.")
    return 1 if losers else 0


if __name__ == "__main__":
    sys.exit(main())
