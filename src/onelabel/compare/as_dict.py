"""A row as JSON."""

from __future__ import annotations

import math
from typing import Any

from onelabel.compare.checked import CheckedResult
from onelabel.compare.summary import Row


def to_dict(row: Row) -> dict[str, Any]:
    """Return everything in a row, JSON-like."""
    difference = row.difference
    return {
        "method": row.key,
        "rank": row.rank,
        "mean": _plain(row.mean),
        "sd": _plain(row.sd),
        "values": list(row.values),
        "difference_to_an": None if difference is None else _plain(difference.mean),
        "interval": None if difference is None else [_plain(difference.low), _plain(difference.high)],
        "p": None if difference is None else _plain(difference.p),
        "p_adjusted": _plain(row.adjusted),
        "verdict": row.verdict,
        "gap_closed": row.gap,
        "error": row.error or None,
        "chosen": [trial["setting"] for trial in row.chosen],
        "by_head_init": dict(row.by_init),
        "mean_by_score": _plain(row.by_score),
        "figures": {
            f"{where}_{name}": row.mean_of(where, name)
            for where in ("test", "checked")
            for name in ("map", "f1", "pu_auc", "recall_at_1", "recall_at_3")
        },
        "checked": None if row.images is None else _checked(row.images),
    }


def _checked(images: CheckedResult) -> dict[str, Any]:
    return {
        name: {
            "value": _plain(figure.value),
            "interval": [_plain(figure.low), _plain(figure.high)],
            "half_width": _plain(figure.half_width),
            "half_width_with_2x": _plain(figure.with_more(2)),
            "half_width_with_4x": _plain(figure.with_more(4)),
        }
        for name, figure in (("map", images.map), ("f1", images.f1))
    }


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None
