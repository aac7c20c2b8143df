"""The labels of a run, read again from the file that its settings name, if that is still as it was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onelabel.io.errors import OneLabelError
from onelabel.labels.readers import ReadOptions, load_labels, load_second
from onelabel.labels.table import LabelTable
from onelabel.training.parts import Parts, divide

_SAME_NAME = (
    "format", "exhaustive", "values", "delimiter", "image_column", "label_column", "value_column",
    "weight_column", "split_column", "group_column", "images", "encoding",
)  # fmt: skip


def parts_again(config: Mapping[str, Any], facts: Mapping[str, Any], class_ids: tuple[str, ...]) -> Parts:
    """Read and divide the labels of a run as the run did.

    Args:
        config: settings of the run.
        facts: what the bundle recorded of its training; the labels must give the same counts.
        class_ids: classes of the model.

    Raises:
        OneLabelError: the file is not there, or holds other labels than those trained on.
    """
    options = {key: config[key] for key in _SAME_NAME if config.get(key) is not None}
    if ":" in str(options.get("format", "")):
        raise OneLabelError(f"the labels were read by {options['format']}, and a report runs no such code")
    options["ignore_columns"] = tuple(filter(None, str(config.get("ignore_columns") or "").split(",")))
    table = load_labels(config["labels"], ReadOptions(**options, classes_file=config.get("classes"))).table
    val = None
    if config.get("val") is not None:
        if config.get("val_exhaustive") is not None:
            options["exhaustive"] = config["val_exhaustive"]
        val = load_second(config["val"], ReadOptions(**options, class_ids=table.class_ids)).table
    parts = divide(table, val, config.get("val_fraction", 0.0), config.get("split_seed", 0))
    for name, part in (("train", parts.train), ("val", parts.val)):
        _require_same(config["labels"], facts.get(name), part, class_ids)
    return parts


def _require_same(file: str, recorded: Any, part: LabelTable | None, class_ids: tuple[str, ...]) -> None:
    if part is None and recorded is None:
        return
    if part is not None and isinstance(recorded, Mapping) and part.class_ids == class_ids:
        counts = part.counts()
        found = {"images": len(part), "positive": int(counts.positive.sum())}
        found |= {"negative": int(counts.negative.sum()), "unknown": int(counts.unknown.sum())}
        if all(recorded.get(key) == value for key, value in found.items()):
            return
    raise OneLabelError(f"{file} does not hold the labels of this run any more")
