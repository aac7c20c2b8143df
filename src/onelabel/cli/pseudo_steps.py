"""The steps of ``onelabel pseudo`` once its options are checked; they import torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from onelabel.io.errors import OneLabelError
from onelabel.labels.table import LabelTable
from onelabel.sources.grade import Grade
from onelabel.sources.grade_text import compare_lines, describe, grade_lines, list_lines
from onelabel.sources.named import NamedSet, delete_set, find_set, list_sets, write_set
from onelabel.training.opening import Wanted
from onelabel.training.pseudo import Made, make_set, training_rows

Config = Mapping[str, Any]


def make(
    config: Config, table: LabelTable, checked: LabelTable | None, show: int, *, overwrite: bool
) -> None:
    """Make a set, and print how good it is.

    Raises:
        OneLabelError: something does not fit together (then nothing has been written).
    """
    train, notes = training_rows(table)
    wanted = Wanted(
        config["source"], config["rule"], config["rules"], config["vlm_store"], (config["template"],)
    )
    made = make_set(train, wanted, checked=checked, disable_below=config["disable_below"])
    found = write_set(Path(config["folder"]) / config["name"], made.opinions, made.facts, overwrite=overwrite)
    for note in (*notes, *made.notes):
        print(f"note: {note}")
    print("\n".join(["", *_head(found), *grade_lines(found.facts["grade"], show), *_warnings(made)]))
    print(f"\nwritten to {found.path}; to train on it: --source {_spelling(found.path, config)}")


def _spelling(path: Path, config: Config) -> str:
    from onelabel.sources.set_layout import FOLDER

    return str(config["name"] if config["folder"] == FOLDER else path)


def _head(found: NamedSet) -> list[str]:
    facts = found.facts
    dropped = f", dropped: {', '.join(facts['dropped'])}" if facts["dropped"] else ""
    return [
        f"{found.name}: {describe(facts)}, made {facts['made']}",
        f"{facts['images']} images × {len(facts['classes'])} classes: {facts['present']} present, "
        f"{facts['absent']} absent{dropped}",
    ]


def _warnings(made: Made) -> list[str]:
    graded: Grade = made.grade
    lines = []
    weak = [name for name in graded.no_better_than(1.0) if name not in made.dropped]
    if weak:
        lines.append(
            f"warning: lift of 1 or less, no better than chance, in {len(weak)} classes: {', '.join(weak)}; "
            "--disable-below 1 drops them"
        )
    blind = [
        name
        for name, positives, rate in zip(graded.class_ids, graded.observed, graded.predicted, strict=True)
        if rate > 0 and not positives
    ]
    if blind:
        lines.append(f"warning: no observed positive tells how good these are: {', '.join(blind)}")
    if made.dropped:
        lines.append(f"dropped {len(made.dropped)} classes: {', '.join(made.dropped)}")
    return ["", *lines] if lines else []


def manage(action: str, value: str, folder: str, show: int) -> None:
    """List, compare or delete sets.

    Args:
        action: "list", "compare" or "delete".
        value: name of a set, or names separated by commas.
        folder: of the sets.
        show: how many classes to list.

    Raises:
        OneLabelError: there is no such set.
    """
    if action == "list":
        sets = list_sets(folder)
        print("\n".join(list_lines(sets)) if sets else f"no sets in the folder {folder}")
    elif action == "delete":
        path = find_set(value, folder)
        delete_set(path)
        print(f"deleted {path}")
    else:
        names = [name.strip() for name in value.split(",") if name.strip()]
        if len(set(names)) < len(names) or not names:
            raise OneLabelError(f"--compare {value!r} must name different sets, separated by commas")
        _compare([NamedSet.open(find_set(name, folder)) for name in names], show)


def _compare(sets: list[NamedSet], show: int) -> None:
    if len(sets) == 1:
        print("\n".join([*_head(sets[0]), *grade_lines(sets[0].facts["grade"], show)]))
    else:
        print("\n".join(compare_lines(sets, show)))
