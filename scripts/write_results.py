"""Write docs/results.md from the folders of a demo and of comparisons: ``make results``.

    python scripts/write_results.py DEMO COMPARISONS > docs/results.md

DEMO is a folder of ``onelabel demo``; COMPARISONS holds folders that ``onelabel compare`` made, one for
each set, such as those of ``benchmarks/methods_on_features.py --out COMPARISONS``. Every measured number
comes from these folders, every published one from ``published.csv``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from onelabel.io.manifest import read_manifest
from onelabel.recipes.render import to_markdown
from onelabel.recipes.table import Table, lines_of, table_of

HEAD = """# Results

Written by `make results` from run folders; do not edit. What is *measured* was measured with this code on
two CPU cores; what is *published* is quoted from its source and was **not** reproduced here.

```
onelabel demo --out demo
ONELABEL_DATA=DIR python benchmarks/methods_on_features.py --out comparisons \\
    --selects observed --batch-size 64 --epochs 15
python scripts/write_results.py demo comparisons > docs/results.md
```
"""
TOY = """## Toy scenes (measured)

Scenes drawn by `onelabel demo`; one label of each training scene is kept. Features and pseudo-labels are
those of the tiny vision-language model in the package. Learning rates are chosen on validation scenes."""
REAL = """## Real sets (measured)

A linear head on features, one positive of each training image drawn anew for each seed, the rest hidden;
by `onelabel compare`, paired by seed. Epoch, learning rate and start of the head are chosen by `pu_auc`
on validation images, that is, from single positives alone; papers choose with complete labels
([compare](compare.md) says what that costs). Test mAP in percent, mean ± standard deviation; in brackets
the difference to AN where `compare` calls it better or worse.

* **ucm**: aerial photos (UC Merced, multi-label), features of MobileNetV2.
* **yeast**, **emotions**: the classical multi-label tables; no photos.

Methods that train on pseudo-labels get votes of the ten nearest training images: there is no vision-
language model for these features, so these rows say little about such methods with a source of their
papers. The votes themselves know training images alone, so they have no row."""
PUBLISHED = """## Published

The papers' protocol, a ResNet-50 fine-tuned at 448 pixels. `onelabel benchmark --list` names the recipes,
[benchmark.md](benchmark.md) says how to run them.
"""
MISSING = """## What was not run here

No photos of VOC, COCO, NUS-WIDE or CUB and no pretrained weights were at hand, and no GPU. With the
original archives:

```
onelabel benchmark voc2012/vlpl --data VOCdevkit --out runs/voc2012-vlpl
onelabel benchmark --table runs --out table.md
```
"""
VOTES = "methods_on_features:NeighbourVotes"


def document(demo: Path, comparisons: Path) -> str:
    """Return the whole document."""
    found = {path.parent.name: read(path) for path in sorted(comparisons.glob("*/compare.json"))}
    if not found:
        raise SystemExit(f"no finished comparison in {comparisons}: run benchmarks/methods_on_features.py")
    published = filled(table_of([line for line in lines_of([]) if line.published]))
    return "\n".join([HEAD, TOY, toy(demo), REAL, real(found), PUBLISHED, to_markdown(published), MISSING])


def filled(table: Table) -> Table:
    """Leave out columns without a number."""
    columns = [column for column in range(len(table.header)) if any(row[column] for row in table.rows)]
    rows = tuple(tuple(row[column] for column in columns) for row in table.rows)
    return replace(table, header=tuple(table.header[column] for column in columns), rows=rows)


def read(path: Path) -> dict[str, Any]:
    """Return a finished comparison."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def toy(demo: Path) -> str:
    """Return the table of a finished demo as it was printed."""
    if not read_manifest(demo / "demo.json", "onelabel-demo", 1)["finished"]:
        raise SystemExit(f"the demo in {demo} is not finished: run onelabel demo --out {demo} --overwrite")
    text = (demo / "table.txt").read_text(encoding="utf-8").rstrip()
    return f"\n```text\n{text}\n```\n"


def real(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Return methods × sets, ordered by the mean over the sets."""
    rows = {
        name: {row["method"]: row for row in result["rows"] if row["method"] != f"zero-shot: {VOTES}"}
        for name, result in found.items()
    }
    methods = list(dict.fromkeys(key for by in rows.values() for key in by))
    methods.sort(key=lambda method: -sum(by.get(method, {}).get("mean") or 0 for by in rows.values()))
    titles = [f"{name.rpartition('-')[0]} ({_budget(result)})" for name, result in found.items()]
    lines = [_row(["method", *titles]), "|---" * (1 + len(titles)) + "|"]
    lines += [_row([method, *(cell(by.get(method)) for by in rows.values())]) for method in methods]
    return "\n" + "\n".join(lines).replace(VOTES, "votes") + "\n"


def _budget(result: Mapping[str, Any]) -> str:
    settings = result["settings"]
    lrs = " or ".join(f"{lr:g}" for lr in settings["lrs"])
    return f"{settings['seeds']} seeds, {settings['epochs']} epochs, lr {lrs}"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def cell(row: Mapping[str, Any] | None) -> str:
    """Return mean ± deviation, and the difference to AN where it is better or worse."""
    if row is None or row["mean"] is None:
        return "failed" if row else ""
    text = f"{100 * row['mean']:.1f}" + ("" if row["sd"] is None else f" ± {100 * row['sd']:.1f}")
    clear = row["verdict"] in ("better", "worse")
    return f"{text} ({100 * row['difference_to_an']:+.1f})" if clear else text


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    print(document(Path(sys.argv[1]), Path(sys.argv[2])), end="")
