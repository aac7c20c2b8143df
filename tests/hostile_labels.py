"""Label readers on hostile files: one line that says what to change, or a table without contradictions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hostile_child import WARM_UP, random_of
from hostile_mutations import lay_out, spoilt
from hostile_samples import SAMPLES, Sample, samples_for
from onelabel.io.errors import OneLabelError
from onelabel.labels.describe import describe
from onelabel.labels.entries import CONTROL
from onelabel.labels.readers import ReadOptions, find_reader, load_labels
from onelabel.labels.readers.base import Loaded

_MOST_CELLS = 1_000_000


def read(name: str, seed: int, folder: Path) -> None:
    """Read a changed sample with a reader; seed ``WARM_UP`` reads all its own samples unchanged."""
    reader, random = find_reader(name), random_of(name, seed)
    if seed == WARM_UP:
        for sample in (sample for sample in SAMPLES if sample.reader == name):
            load(sample, _laid_out(sample, folder), format=name)
        return
    sample = random.choice(samples_for(name, reader.kind))
    place = _laid_out(sample, folder)
    options: dict[str, Any] = {"exhaustive": random.choice([None, None, True, False])}
    options["format"] = random.choice([name, name, "auto"])
    with spoilt(place, sample.files, random):
        load(sample, place, **options)


def _laid_out(sample: Sample, folder: Path) -> Path:
    place = folder / str(SAMPLES.index(sample))
    if not place.is_dir():
        lay_out(place, sample.files)
    return place


def load(sample: Sample, place: Path, **options: Any) -> Loaded:
    """Read a sample and check what was read."""
    loaded = load_labels(place / sample.entry, ReadOptions(**{**sample.options, **options}))
    check(loaded)
    return loaded


def check(loaded: Loaded) -> None:
    """Check what holds for every table, and that what is printed cannot move the cursor."""
    table = loaded.table
    assert len(table) and table.num_classes
    assert len(set(table.class_ids)) == table.num_classes
    if len(table) * table.num_classes <= _MOST_CELLS:
        dense = table.dense()
        assert dense.shape == (len(table), table.num_classes) and np.isin(dense, (-1, 0, 1)).all()
    table.ids.require_distinct("image")
    for text in table.ids:
        parts = text.split("/")
        assert text and ".." not in parts and not text.startswith("/"), text
        assert min(text) >= " ", text
    printed = "\n".join((describe(table, loaded.format), *loaded.notes))
    assert not CONTROL.search(printed.replace("\n", "")), printed
    assert all("\n" not in note for note in loaded.notes), loaded.notes


def must_be_refused(path: Path, **options: Any) -> str:
    """Return the message of labels that cannot be read."""
    try:
        load_labels(path, ReadOptions(**options))
    except OneLabelError as error:
        return str(error)
    raise AssertionError(f"{path} was read")
