"""The steps of ``onelabel compare`` once its options are checked; they import torch."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from onelabel.cli.choices import RULE, complete
from onelabel.cli.reading import read_second
from onelabel.compare.contenders import names_of
from onelabel.compare.plan import Plan
from onelabel.compare.problem import Data
from onelabel.compare.run import PAGE, compare, missing_report_extra
from onelabel.compare.tables import text
from onelabel.io.errors import OneLabelError
from onelabel.labels.table import LabelTable

Config = Mapping[str, Any]
_USUAL: dict[str, dict[str, Any]] = {
    "features": {"epochs": 25, "lrs": "1e-3", "range": "1e-4,1e-1"},
    "backbone": {"epochs": 10, "lrs": "1e-5", "range": "1e-6,1e-3"},
}


def make_plan(config: Config) -> Plan:
    """Return the settings of a comparison, with what depends on others filled in.

    Raises:
        OneLabelError: a setting out of range, or an unknown method or source.
    """
    usual = _USUAL["features" if config["backbone"] is None else "backbone"]
    lrs = config["lrs"] or usual["range" if config["tune"] else "lrs"]
    sources = tuple(dict.fromkeys(_parts(config["sources"])))
    found = {field.name: config[field.name] for field in fields(Plan)}
    return Plan(
        **found
        | {
            "methods": names_of(config["methods"]),
            "sources": sources,
            "lrs": _numbers(lrs),
            "epochs": usual["epochs"] if config["epochs"] is None else config["epochs"],
            "rule": config["rule"] and complete(RULE, config["rule"]),
        }
    )


def _parts(given: str) -> list[str]:
    return [part.strip() for part in given.split(",") if part.strip()]


def _numbers(given: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in _parts(given))
    except ValueError:
        raise OneLabelError(
            f"--lrs {given!r} must be numbers separated by commas, such as 1e-3,1e-2"
        ) from None


def read_data(config: Config, table: LabelTable, reading: Config) -> Data:
    """Read ``--checked`` as the labels were read, but for ``--checked-exhaustive``.

    Raises:
        OneLabelError: the file cannot be read.
    """
    if config["checked"] is None:
        return Data(table)
    print("\nchecked labels:")
    options = {**reading, "images": config["images"]}
    read = read_second(config["checked"], table.class_ids, options, config["checked_exhaustive"])
    return Data(table, read)


def start(plan: Plan, data: Data, out: str, jobs: int | None, *, overwrite: bool) -> None:
    """Compare, and print the table and the recommendation.

    Raises:
        OneLabelError: something does not fit together (then nothing has been written).
    """
    if jobs is None:
        jobs = 1 if plan.features is None else _cores()
    print(_announced(plan))
    summary = compare(data, plan, out, jobs=jobs, overwrite=overwrite)
    missing = missing_report_extra()
    made = "compare.md, compare.csv, compare.json, results.jsonl" + ("" if missing else f" and {PAGE}")
    print(f"\n{text(summary)}\n\nwritten to {out}: {made}")
    if missing:
        print(f"note: no {PAGE}: {missing}")


def _cores() -> int:
    """Return how many cores this process may use, where the system says so."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _announced(plan: Plan) -> str:
    """Say in a line what is about to happen, before it takes minutes."""
    labels = "one drawn label per training image" if plan.simulate else "labels as they are"
    size = f"{len(plan.methods)} methods, {plan.seeds} seeds, {plan.trials} settings each"
    return f"\ncomparing {size}, on {labels}"
