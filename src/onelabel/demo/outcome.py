"""What the embedded example found, in words and as a table."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from onelabel.demo.plan import CONTENDERS, LOWER, UPPER
from onelabel.demo.run import Given, Result

_NAMES = {"full": "full", "an": "AN", "em": "EM", "vlpl": "VLPL", "aevlp": "AEVLP"}
_WHY = (
    "  a tile is a magnified part, and the tiny model learned from whole scenes alone; and the loss of AEVLP",
    "  gains less from pseudo-labels here than VLPL's does (try --method gpr --source vlpl)",
)
_EXPECTED = ("an", "em", "vlpl", "full")


def gap_closed(results: Mapping[str, Result]) -> dict[str, float]:
    """Return for each method the share of the way from AN to full labels, on the mean test mAP.

    ``(mAP - mAP of AN) / (mAP of full - mAP of AN)``: 0 for AN, 1 for full labels; NaN where these are equal.
    """
    means = {key: float(result.maps.mean()) for key, result in results.items()}
    gap = means[UPPER] - means[LOWER]
    return {key: (mean - means[LOWER]) / gap if gap else float("nan") for key, mean in means.items()}


def render(results: Mapping[str, Result], zero_shot: float, given: Mapping[str, Given]) -> str:
    """Return the table of results.

    Args:
        results: by the key of the method.
        zero_shot: test mAP of the tiny model alone.
        given: the pseudo-labels of the methods that use some, against the hidden labels.
    """
    seeds = len(next(iter(results.values())).maps)
    shares = gap_closed(results)
    lines = [f"{'':<32} {'test mAP':>12}  {'of the gap':>10}   chosen on validation scenes"]
    for contender in CONTENDERS:
        result = results[contender.key]
        maps = 100 * result.maps
        lines.append(
            f"{contender.title:<32} {maps.mean():5.1f} ± {maps.std(ddof=1):4.2f}  "
            f"{100 * shares[contender.key]:8.0f} %   {result.setting}"
        )
    lines += [
        "",
        f"mean ± standard deviation of {seeds} runs; of the gap: share of the way from AN to all labels",
        f"the tiny model alone, which learned from 24,000 captions, no training here: {100 * zero_shot:.1f}",
        "",
        *order(results),
        "",
        *tiles(results, given),
    ]
    return "\n".join(lines)


def order(results: Mapping[str, Result]) -> list[str]:
    """Say in which order the methods came out, and how sure each step of it is.

    Runs of one seed share labels, start and order of the scenes, so they are compared in pairs.

    Example:
        >>> import numpy as np
        >>> from onelabel.demo.plan import Setting
        >>> def result(*maps: float) -> Result:
        ...     return Result(Setting(0.1, {}), np.array(maps))
        >>> found = {"full": result(0.9, 0.9), "an": result(0.7, 0.7), "em": result(0.8, 0.6)}
        >>> for line in order(found | {"vlpl": result(0.8, 0.8)}):
        ...     print(line)
        order: AN < EM < VLPL < full, as expected
          EM above AN by 0.0 on the mean, in 1 of 2 runs
          VLPL above EM by 10.0 on the mean, in 1 of 2 runs
          full above VLPL by 10.0 on the mean, in 2 of 2 runs
    """
    keys = sorted(results, key=lambda key: results[key].maps.mean())
    usual = tuple(key for key in keys if key in _EXPECTED) == _EXPECTED
    verdict = "as expected" if usual else "not as expected (AN < EM < VLPL < full)"
    lines = [f"order: {' < '.join(_NAMES[key] for key in keys)}, {verdict}"]
    for low, high in pairwise(keys):
        steps = results[high].maps - results[low].maps
        lines.append(
            f"  {_NAMES[high]} above {_NAMES[low]} by {100 * steps.mean():.1f} on the mean, "
            f"in {int((steps > 0).sum())} of {len(steps)} runs"
        )
    return lines


def tiles(results: Mapping[str, Result], given: Mapping[str, Given]) -> list[str]:
    """Say what looking at tiles is worth, and how good the pseudo-labels are that it rests on."""
    steps = results["aevlp"].maps - results["vlpl"].maps
    above = steps.mean() > 0
    verdict = "beats VLPL" if above else "does not beat VLPL"
    return [
        f"AEVLP {verdict}: {100 * steps.mean():+.1f} on the mean, above it in {int((steps > 0).sum())} of "
        f"{len(steps)} runs",
        *(() if above else _WHY),
        "pseudo-labels of the training scenes, against the labels that were hidden:",
        *(
            f"  {_NAMES[key]:<6} {100 * found.precision:3.0f} % of what it calls present is there, "
            f"and it finds {100 * found.recall:.0f} % of what is there"
            for key, found in given.items()
        ),
    ]
