"""The ablations of the VLPL paper: what is varied, over which values. Loads no torch.

Source: Xing et al. (2023), https://arxiv.org/abs/2310.15985, Tables 3 and 4 and Figure 3.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from onelabel.io.errors import OneLabelError


@dataclass(frozen=True)
class Axis:
    """A parameter and the values that it takes.

    Args:
        part: "method" or "source".
        parameter: of the method or source.
        symbol: how papers write it.
        values: as published.
        option: of the command, for other values.
    """

    part: str
    parameter: str
    symbol: str
    values: tuple[float, ...]
    option: str


@dataclass(frozen=True)
class Study:
    """One ablation.

    Args:
        summary: what it shows.
        axes: one, or two for a grid, of which the second divides the figure into panels.
    """

    summary: str
    axes: tuple[Axis, ...]


STUDIES = {
    "negatives": Study(
        "the share δ of the classes of an image that become negative pseudo-labels (Table 3)",
        (Axis("source", "negatives", "δ", (0.0, 0.1, 0.2, 0.3, 0.4), "negatives"),),
    ),
    "smoothing": Study(
        "label smoothing of pseudo-labels: target 1 without, ρ with it (Table 4)",
        (Axis("method", "rho", "ρ", (1.0, 0.9), "rho"),),
    ),
    "grid": Study(
        "temperature τ and threshold θ of the pseudo-labels (Figure 3)",
        (
            Axis("source", "temperature", "τ", (0.01, 0.03, 0.05, 0.07, 0.09), "temperatures"),
            Axis("source", "threshold", "θ", (0.1, 0.2, 0.3), "thresholds"),
        ),
    ),
}


@dataclass(frozen=True)
class Cell:
    """One training of a study.

    Args:
        values: of the axes, in their order.
        seed: of the run.

    Example:
        >>> Cell((0.03, 0.3), 0).name(STUDIES["grid"].axes)
        'temperature=0.03_threshold=0.3_seed=0'
    """

    values: tuple[float, ...]
    seed: int

    def name(self, axes: Sequence[Axis]) -> str:
        """Return what its file is called."""
        pairs = zip(axes, self.values, strict=True)
        return "_".join([*(f"{axis.parameter}={value:g}" for axis, value in pairs), f"seed={self.seed}"])


def axes_of(study: str, given: Mapping[str, str | None]) -> tuple[Axis, ...]:
    """Return the axes of a study with the values of the user, where there are any.

    Args:
        study: its name.
        given: for each option, numbers separated by commas, or None.

    Raises:
        OneLabelError: no such numbers, or values for something that the study does not vary.

    Example:
        >>> [axis.values for axis in axes_of("grid", {"thresholds": "0.01,0.05", "temperatures": "0.03"})]
        [(0.03,), (0.01, 0.05)]
    """
    axes = STUDIES[study].axes
    own = {axis.option for axis in axes}
    for option, text in given.items():
        if text is not None and option not in own:
            raise OneLabelError(f"--study {study} does not vary --{option}: leave it out")
    found = []
    for axis in axes:
        text = given.get(axis.option)
        values = axis.values if text is None else tuple(numbers(axis.option, text))
        found.append(Axis(axis.part, axis.parameter, axis.symbol, values, axis.option))
    return tuple(found)


def numbers(option: str, text: str) -> list[float]:
    """Read numbers separated by commas.

    Raises:
        OneLabelError: something else, or a number that stands twice.

    Example:
        >>> numbers("seeds", "0,1")
        [0.0, 1.0]
    """
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        raise OneLabelError(
            f"--{option} {text!r} must be numbers separated by commas, such as 0.1,0.2"
        ) from None
    # What is written to six digits must be apart there: it is what files are called by.
    if len({f"{value:g}" for value in values}) < len(values):
        raise OneLabelError(f"--{option} {text!r}: a number stands twice")
    return values


def cells_of(axes: Sequence[Axis], seeds: Sequence[int]) -> list[Cell]:
    """Return the trainings of a study, the first seed of all cells first.

    Example:
        >>> len(cells_of(STUDIES["grid"].axes, [0, 1]))
        30
    """
    combinations = list(itertools.product(*(axis.values for axis in axes)))
    return [Cell(values, seed) for seed in seeds for values in combinations]


def seeds_of(text: str) -> list[int]:
    """Read seeds separated by commas.

    Raises:
        OneLabelError: not whole numbers from 0 to 2³² - 1, or one that stands twice.

    Example:
        >>> seeds_of("0,1,2")
        [0, 1, 2]
    """
    if not all(part.strip().isdecimal() and int(part) < 2**32 for part in text.split(",")):
        raise OneLabelError(f"--seeds {text!r} must be whole numbers separated by commas, such as 0,1,2")
    values = [int(part) for part in text.split(",")]
    if len(set(values)) < len(values):
        raise OneLabelError(f"--seeds {text!r}: a number stands twice")
    return values
