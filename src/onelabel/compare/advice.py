"""The recommendation in words: what to train with, how sure that is, and when a difference is noise."""

from __future__ import annotations

import math
from collections.abc import Iterator

from onelabel.compare.contenders import CHANCE, FULL, REFERENCE
from onelabel.compare.statistics import paired, seeds_to_tell
from onelabel.compare.summary import ALPHA, BETTER, UNCLEAR, WORSE, Row, Summary, differences

_NAMED = 6


def advice(summary: Summary) -> list[str]:
    """Return the recommendation, a sentence or two each."""
    reference = summary.row(REFERENCE)
    if reference is None:
        return ["AN, which all methods are held against, failed: there is nothing to recommend."]
    best = summary.ranked[0]
    lines = [_head(best, reference, summary)]
    lines += _ties(best, summary)
    lines += _worse(summary)
    lines += _gap(best, summary)
    lines += _zero_shot(best, summary)
    lines += _below_chance(summary)
    lines += _edge(summary)
    return lines


def points(value: float, digits: int = 1) -> str:
    """Return a share in [0, 1] times 100.

    Example:
        >>> points(0.1234), points(-0.001), points(math.nan)
        ('12.3', '-0.1', '')
    """
    return "" if math.isnan(value) else f"{100 * value:.{digits}f}"


def listed(names: list[str]) -> str:
    """Return names with commas, the first few of many.

    Example:
        >>> listed(["a", "b"]), listed(list("abcdefgh"))
        ('a, b', 'a, b, c, d, e, f and 2 more')
    """
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _head(best: Row, reference: Row, summary: Summary) -> str:
    seeds, title = summary.plan.seeds, summary.figure.title
    if seeds < 2:
        return (
            f"{best.key} is first with {points(best.mean)} {title}, from one seed: what is noise cannot be "
            "told. Give --seeds 5."
        )
    if best.difference is None:
        return (
            f"Train with an: no method is above it ({points(reference.mean)} {title}, mean of {seeds} seeds)."
            + _runner_up(summary)
        )
    away = best.difference
    interval = (
        f"{points(away.mean)} points above AN (95 % interval {points(away.low)} to {points(away.high)}, "
        f"{seeds} paired seeds"
    )
    if best.verdict == BETTER:
        return (
            f"Train with {best.key}: {points(best.mean)} {title}, {interval}; p {best.adjusted:.2g} after "
            "allowing for the number of methods). As the first of many it is likely a little luckier than it "
            "is good."
        )
    others = len(summary.ranked) - 1
    more = _how_many(best, reference, others)
    if best.verdict == UNCLEAR:
        return (
            f"Perhaps {best.key}, with {points(best.mean)} {title}, {interval}); not shown yet, as the first "
            f"of {others} methods can be as far above AN by chance (p {best.adjusted:.2g}). {more}"
        )
    return (
        f"The differences are noise: {best.key} is first with {points(best.mean)} {title}, {interval}; p "
        f"{best.adjusted:.2g} after allowing for the number of methods). Nothing here speaks against AN. "
        f"{more}"
    )


def _runner_up(summary: Summary) -> str:
    """Say whether what is next to AN can be told from it."""
    row = summary.challenger
    if row is None:
        return ""
    below = "" if row.difference is None else f"{points(-row.difference.mean)} points below: "
    return f" Next is {row.key}, {below}{'more than noise' if row.verdict == WORSE else 'noise'}."


def _how_many(best: Row, reference: Row, methods: int) -> str:
    needed = seeds_to_tell(differences(best, reference), methods)
    if needed is None:
        return "More seeds are unlikely to tell them apart."
    return f"To tell a difference of this size and spread takes about {needed} seeds."


def _ties(best: Row, summary: Summary) -> Iterator[str]:
    """Name the methods that are better than AN too and cannot be told from the best."""
    if summary.plan.seeds < 2 or best.verdict != BETTER:
        return
    tied = [
        row.key
        for row in summary.ranked[1:]
        if row.verdict == BETTER and not paired(differences(best, row)).p < ALPHA
    ]
    if tied:
        yield f"Above AN too, and not told apart from {best.key} by these seeds: {listed(tied)}."


def _worse(summary: Summary) -> Iterator[str]:
    worse = [row.key for row in summary.ranked if row.verdict == WORSE]
    if worse:
        yield f"Below AN by more than noise: {listed(worse)}."


def _gap(best: Row, summary: Summary) -> Iterator[str]:
    full = summary.row(FULL)
    if full is None:
        return
    if best.gap is None:
        yield f"Complete labels would give {points(full.mean)}."
    else:
        yield (
            f"Complete labels would give {points(full.mean)}: {best.key} closes {100 * best.gap:.0f} % of "
            "the way from AN to there."
        )


def _zero_shot(best: Row, summary: Summary) -> Iterator[str]:
    """Say whether training was worth it."""
    for row in summary.rows:
        if row.contender.method or not row.contender.source or not row.values:
            continue
        told = paired(differences(best, row))
        worth = told.mean > 0 and (told.n < 2 or told.p < ALPHA)
        verdict = (
            "training is worth it" if worth else "training adds nothing that these seeds can tell from noise"
        )
        if told.mean < 0 and told.p < ALPHA:
            verdict = "training made it worse"
        yield f"{row.key}, without any training, reaches {points(row.mean)}: {verdict}."


def _below_chance(summary: Summary) -> Iterator[str]:
    """Name what learned nothing that can be told from a random order."""
    chance = summary.row(CHANCE)
    if chance is None:
        return
    low = [row.key for row in summary.rows if row.contender.method and _as_chance(row, chance)]
    if low:
        every = ": the features may say nothing about these labels" if FULL in low else ""
        yield f"Not above chance ({points(chance.mean)}): {listed(low)}{every}."


def _as_chance(row: Row, chance: Row) -> bool:
    if not row.values:
        return False
    away = paired(differences(row, chance))
    return away.mean <= 0 or away.p >= ALPHA


def _edge(summary: Summary) -> Iterator[str]:
    """Say where the best learning rate may lie outside those tried."""
    lrs = summary.plan.lrs
    chosen = [trial["setting"]["lr"] for row in summary.ranked for trial in row.chosen]
    if len(lrs) < 2 or summary.plan.tune or not chosen:
        return
    for end, what in ((max(lrs), "largest"), (min(lrs), "smallest")):
        if sum(lr == end for lr in chosen) > 0.8 * len(chosen):
            yield (
                f"Most runs chose the {what} learning rate of those tried, {end:g}: the best one may lie "
                "beyond."
            )


def reading(summary: Summary) -> list[str]:
    """Return how to read the table: what was held equal, what the figures can show and what they cannot."""
    plan, figure = summary.plan, summary.figure
    tried = (
        f"{plan.tune} trials of Optuna, learning rates {plan.lrs[0]:g} to {plan.lrs[1]:g}"
        if plan.tune
        else f"every learning rate of {', '.join(f'{lr:g}' for lr in plan.lrs)}"
    )
    lines = [
        f"Equal for all: {plan.epochs} epochs, batches of {plan.batch_size}, {tried} and both starts of the "
        f"head's bias for each run, {plan.seeds} seeds. Methods of a seed share splits, labels, start and "
        "order.",
        _selected(plan.select),
        _figure(figure.name),
        "± is the standard deviation over the seeds. The difference to AN is paired by seed, with a 95 % t "
        "interval"
        + (
            " that also counts the choice of the checked images"
            if figure.where == "checked"
            else ", for other draws of labels and splits; where the file names the test images, other images "
            "are not in it"
        )
        + ". The verdict adjusts for the number of methods (Holm).",
    ]
    if figure.where == "checked":
        lines += _checked(summary)
    return lines


def _selected(select: str) -> str:
    if select == "full":
        return (
            "Epoch and settings were chosen by mAP on completely labelled validation images, which labels of "
            "one class per image do not allow: the figures are better than such labels alone would give."
        )
    return (
        "Epoch and settings were chosen by pu_auc on validation images with the labels that methods may see; "
        "no complete label was used, except for the row of complete labels itself."
    )


def _figure(name: str) -> str:
    if name == "map":
        return (
            "mAP is the mean average precision over the classes; F1 pools all decisions, made on each half "
            "of the images with the threshold that is best on the other half."
        )
    return (
        "pu_auc is the chance that a held-out image marked present scores above one where the class is "
        "unknown; recall@k is the share of held-out positives among the k first classes of their image. "
        "They order models on the labels at hand. They cannot show precision, mAP or thresholds, stay below "
        "1 even for a perfect model, and favour a model that repeats how labels were chosen. A few hundred "
        "completely checked images (--checked FILE) can show the rest."
    )


def _checked(summary: Summary) -> Iterator[str]:
    """Say how much more checking would narrow the figures of the best method."""
    images = summary.ranked[0].images if summary.ranked else None
    if images is None:
        return
    for name, found in (("mAP", images.map), ("F1", images.f1)):
        yield (
            f"{name} of {summary.ranked[0].key} on the checked images: {points(found.value)}, 95 % bootstrap "
            f"interval {points(found.low)} to {points(found.high)}, half-width {points(found.half_width)}; "
            f"with twice the images about {points(found.with_more(2))}, with four times "
            f"{points(found.with_more(4))}."
        )
