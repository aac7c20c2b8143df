"""``onelabel pseudo``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from onelabel.cli.choices import RULE, SOURCE, complete
from onelabel.cli.guards import check_beside, check_limits, check_result
from onelabel.cli.reading import read_labels, read_second
from onelabel.io.errors import OneLabelError
from onelabel.sources.registry import catalogue, inputs_of
from onelabel.sources.set_layout import FOLDER

CHOICES = (SOURCE, RULE)
OPTIONAL = ("labels",)
EXAMPLES = """
onelabel pseudo labels.csv --source clip --rule vlpl --name first
onelabel pseudo labels.csv --source tags.csv --rule threshold --rule.positive 0.9 --name tagger
onelabel pseudo labels.csv --source old-run --source.features features --checked checked.csv --name self
onelabel pseudo labels.csv --source first,tagger --disable-below 1 --name both
onelabel pseudo --list
onelabel pseudo --compare first,tagger
onelabel pseudo --delete first
onelabel train labels.csv --features features --method gpr --source both --out run
"""


def pseudo(
    labels: str | None = None,
    *,
    source: Mapping[str, Any] | None = None,
    rule: Mapping[str, Any] | None = None,
    rules: str | None = None,
    vlm_store: str | None = None,
    template: str = "a photo of a {}.",
    name: str | None = None,
    checked: str | None = None,
    checked_exhaustive: bool | None = None,
    disable_below: float | None = None,
    show: int = 20,
    list: bool = False,
    compare: str | None = None,
    delete: str | None = None,
    folder: str = FOLDER,
    overwrite: bool = False,
    **reading: Any,
) -> None:
    """Make a named set of pseudo-labels and grade it; or list, compare and delete sets.

    A set is a folder with a table (image, class, score, decision) that onelabel train --source NAME trains
    on. Where there are splits, it holds the training images. Photos are taken as they are, unmirrored.

    Args:
        labels: CSV, parquet, JSON or .npy file, folder, or published data set (see --format).
        source: where scores come from: vlpl, damp, a CSV or .npz file, a run, a store (with --rule), a set;
            several with commas.
        rule: what decides on the scores: vlpl or damp for a store; threshold, top or none for any other.
        rules: YAML file with rules for single classes, such as "dog: {name: threshold, positive: 0.8}".
        vlm_store: store made by onelabel embed --vlm, for sources that look at one.
        template: prompt of a class, with {} for its name; several with | between them, or a file with one on
            each line, are averaged.
        name: name of the set to make.
        checked: labels that people checked, to measure precision, recall and F1.
        checked_exhaustive: in --checked, what is not marked is absent; by default as --exhaustive says.
        disable_below: drop the pseudo-labels of classes with a lift of this or less, such as 1.
        show: how many classes to list, lowest lift first.
        list: list the sets.
        compare: names of sets to compare, separated by commas; one alone is shown.
        delete: name of a set to delete.
        folder: folder of the sets.
        overwrite: replace the set if it exists.
    """
    check_limits(show=show, disable_below=disable_below)
    config = {key: value for key, value in locals().items() if key not in ("reading", "overwrite", "show")}
    action = _action(config, reading)
    if action != "name":
        from onelabel.cli import pseudo_steps

        pseudo_steps.manage(action, str(config[action]), folder, show)
        return
    _check_made(config, reading, overwrite)
    from onelabel.cli.pseudo_steps import make

    config["source"] = source and complete(SOURCE, source)
    config["rule"] = rule and complete(RULE, rule)
    table = read_labels(str(labels), **reading)
    make(config, table, _read_checked(config, table.class_ids, reading), show, overwrite=overwrite)


def _action(config: Mapping[str, Any], reading: Mapping[str, Any]) -> str:
    """Return which one of "name" (make), "list", "compare" and "delete" is asked for."""
    asked = [key for key in ("name", "list", "compare", "delete") if config[key]]
    if len(asked) != 1:
        raise OneLabelError(
            "give LABELS, --source and --name to make a set, or one of --list, --compare NAME,NAME and "
            "--delete NAME"
        )
    for_making = (
        "labels",
        "source",
        "rule",
        "rules",
        "vlm_store",
        "checked",
        "checked_exhaustive",
        "disable_below",
    )
    given = [key for key in for_making if config[key] is not None]
    given += [key for key, value in reading.items() if value not in (None, "auto")]
    if asked[0] != "name" and given:
        flag = "LABELS" if given[0] == "labels" else f"--{given[0].replace('_', '-')}"
        raise OneLabelError(f"{flag} is for making a set, and --{asked[0]} makes none: leave it out")
    if asked[0] == "name" and config["labels"] is None:
        raise OneLabelError("LABELS must be given: whose images are to get pseudo-labels?")
    return asked[0]


def _check_made(config: Mapping[str, Any], reading: Mapping[str, Any], overwrite: bool) -> None:
    """Check name and place of the set to make."""
    from onelabel.sources.named import check_name, require_free

    if config["checked"] is None and config["checked_exhaustive"] is not None:
        raise OneLabelError("--checked-exhaustive says how --checked FILE is read: give one, or leave it out")
    check_name(config["name"], tuple(entry.name for entry in catalogue()))
    out = Path(config["folder"]) / config["name"]
    inputs = (
        config["labels"],
        reading.get("images"),
        reading.get("classes"),
        config["checked"],
        config["rules"],
    )
    check_beside(out, config["labels"])
    require_free(out, overwrite=overwrite)
    check_result(out, *inputs, config["vlm_store"], *inputs_of(config["source"]), overwrite=overwrite)


def _read_checked(config: Mapping[str, Any], class_ids: tuple[str, ...], reading: Mapping[str, Any]) -> Any:
    if config["checked"] is None:
        return None
    print("\nchecked labels:")
    return read_second(config["checked"], class_ids, reading, config["checked_exhaustive"])
