"""``onelabel simulate``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from onelabel.cli.guards import check_file, check_limits
from onelabel.cli.reading import read_labels
from onelabel.io.errors import OneLabelError

if TYPE_CHECKING:
    from onelabel.labels.bias import Preference
    from onelabel.labels.table import LabelTable

EXAMPLES = """
onelabel simulate labels.csv --exhaustive --out single.csv
onelabel simulate labels.csv --exhaustive --val-fraction 0.2 --out single.csv
onelabel simulate instances.json --exhaustive --bias size --out large.csv
onelabel simulate labels.csv --exhaustive --positives 2 --negatives 3 --seed 7 --out some.csv
"""


def simulate(
    labels: str,
    *,
    out: str,
    positives: int = 1,
    negatives: int = 0,
    seed: int = 1200,
    val_fraction: float = 0.0,
    split_seed: int = 1200,
    bias: str = "uniform",
    overwrite: bool = False,
    **reading: Any,
) -> None:
    """Hide labels: keep one known positive per image, drawn at random, from complete labels.

    The published protocol (Cole et al. 2021): labels are drawn for all training images, in file order; then a
    part of them becomes the validation set, which keeps its complete labels. Images in a split called val or
    test keep theirs too.

    Args:
        labels: complete labels: CSV, parquet, JSON or .npy file, folder, or published data set (see
            --format).
        out: CSV file to write: 1, -1 or blank, read back by every command.
        positives: known positives per image; -1 for all.
        negatives: known negatives per image; -1 for all.
        seed: of the draw; 1200 as published.
        val_fraction: share of the training images that become validation images; 0.2 as published.
        split_seed: of that split; 1200 as published.
        bias: which positives are kept: uniform, as published; size, the larger objects; location, those near
            the centre (both need COCO boxes); prior, the classes that more images have.
        overwrite: replace the file if it exists.
    """
    from onelabel.labels.bias import check_bias
    from onelabel.labels.describe import describe
    from onelabel.labels.readers import save_labels
    from onelabel.labels.simulate import simulate_single_positives

    check_limits(seed=seed, val_fraction=val_fraction, split_seed=split_seed)
    check_file(out, labels, reading.get("classes"), overwrite=overwrite)
    if not out.endswith(".csv"):
        raise OneLabelError(f"a CSV file is written: the name of {out} must end in .csv")
    check_bias(bias)
    table = read_labels(labels, **reading)
    hidden = simulate_single_positives(
        table,
        positives=positives,
        negatives=negatives,
        seed=seed,
        val_fraction=val_fraction,
        split_seed=split_seed,
        preference=_preference(bias, labels, table, reading),
    )
    save_labels(hidden, out, overwrite=overwrite)
    print(f"\nwritten to {out}:")
    print(describe(hidden, "wide-csv"))


def _preference(bias: str, labels: str, table: LabelTable, reading: dict[str, Any]) -> Preference | None:
    """Return which positives are named first; None for a uniform draw."""
    from onelabel.labels.bias import NEED_BOXES, Preference
    from onelabel.labels.boxes import box_preference
    from onelabel.labels.readers import ReadOptions

    if bias in NEED_BOXES:
        named = {
            key: reading[key] for key in ("format", "images", "encoding") if reading.get(key) is not None
        }
        return box_preference(labels, ReadOptions(**named), table, bias)
    return Preference.by_prior(table) if bias == "prior" else None
