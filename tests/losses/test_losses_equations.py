"""Every loss against its equation, written out entry by entry in float64 as slowly as it reads.

``stop`` holds the logits that the parts without derivative see: the derivative is taken by differences with
those held fixed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from onelabel import losses
from onelabel.losses import functional

Matrix = npt.NDArray[np.float64]
Table = npt.NDArray[np.int8]
Slow = Callable[[Matrix, Table, dict[str, Any], Matrix, float], Matrix]


def cells(s: Matrix) -> list[tuple[int, int]]:
    return [(n, i) for n in range(s.shape[0]) for i in range(s.shape[1])]


def prob(s: float) -> float:
    return 1.0 / (1.0 + math.exp(-s))


def pos(s: float, eps: float) -> float:
    return -math.log(prob(s) + eps)


def neg(s: float, eps: float) -> float:
    return -math.log(1.0 - prob(s) + eps)


def entropy(s: float, eps: float) -> float:
    return prob(s) * pos(s, eps) + (1 - prob(s)) * neg(s, eps)


def soft(t: float, s: float, eps: float) -> float:
    return t * pos(s, eps) + (1 - t) * neg(s, eps)


def by_entry(rule: Callable[..., float]) -> Slow:
    """A loss whose entries do not see each other: rule(s, z, pseudo or soft label, stopped s, eps)."""

    def slow(s: Matrix, z: Table, inputs: dict[str, Any], stop: Matrix, eps: float) -> Matrix:
        second = next(iter(inputs.values()), np.zeros_like(z))
        rows = [
            [rule(s[n, i], z[n, i], second[n, i], stop[n, i], eps) for i in range(s.shape[1])]
            for n in range(s.shape[0])
        ]
        return np.array(rows)

    return slow


def signed(positive: float, unknown: float, negative: float, z: int) -> float:
    return {1: positive, 0: unknown, -1: negative}[int(z)]


def gr_unknown(
    s: float, stop: float, w: float, b: float, mu: float, sigma: float, q2: float, q3: float
) -> float:
    p, held = prob(s), prob(stop)
    k, v = prob(w * held + b), math.exp(-0.5 * ((held - mu) / sigma) ** 2)
    return v * float(k * (1 - p**q2) / q2 + (1 - k) * (1 - (1 - p) ** q3) / q3)


CURVE = {"w": 1.75, "b": -2.0, "mu": 0.8, "sigma": 0.5, "q2": 0.01, "q3": 1.5}


def gr_v(stop: float) -> float:
    return math.exp(-0.5 * ((prob(stop) - CURVE["mu"]) / CURVE["sigma"]) ** 2)


def gpr_rule(s: float, z: int, ps: int, stop: float, eps: float) -> float:
    final = z if z != 0 else ps
    if z == 1:
        return pos(s, eps)
    if final == 1:
        clipped = min(max(gr_v(stop), 1 - 0.7), 1 - 0.4)
        return (1 - clipped) * soft(0.9, s, eps)
    if final == -1:
        return gr_v(stop) * neg(s, eps)
    return gr_unknown(s, stop, **CURVE)


def em_pl_rule(s: float, z: int, ps: int, _stop: float, eps: float) -> float:
    if z != 0:
        return pos(s, eps) if z == 1 else neg(s, eps)
    if ps != 0:
        return 0.7 * soft(0.9 if ps == 1 else 0.1, s, eps)
    return -0.1 * entropy(s, eps)


def em_pl_asl_rule(s: float, z: int, ps: int, _stop: float, eps: float) -> float:
    final, p = (z if z != 0 else ps), prob(s)
    return signed((1 - p) ** 2 * pos(s, eps), -((1 - p) ** 4) * entropy(s, eps), p**4 * neg(s, eps), final)


def em_apl_rule(s: float, z: int, t: float, _stop: float, eps: float) -> float:
    unknown = 0.9 * soft(t, s, eps) if t >= 0 else -0.1 * entropy(s, eps)
    return signed(pos(s, eps), unknown, neg(s, eps), z)


def asl_rule(s: float, z: int, _ps: int, stop: float, eps: float) -> float:
    q, held = max(prob(s) - 0.05, 0.0), max(prob(stop) - 0.05, 0.0)
    return (1 - prob(stop)) * pos(s, eps) if z == 1 else held**4 * -math.log(1 - q + eps)


def hill_rule(s: float, z: int, _ps: int, _stop: float, eps: float) -> float:
    p, shifted = prob(s), s - 1.0
    return (1 - prob(shifted)) ** 2 * pos(shifted, eps) if z == 1 else (1.5 - p) * p**2


def splc_rule(s: float, z: int, _ps: int, stop: float, eps: float) -> float:
    t = s - 1.0 if z == 1 else s
    present = z == 1 or (z == 0 and prob(stop) > 0.6)
    return (1 - prob(t)) ** 2 * pos(t, eps) if present else prob(t) ** 2 * neg(t, eps)


def pr_slow(s: Matrix, z: Table, _inputs: dict[str, Any], _stop: Matrix, _eps: float) -> Matrix:
    found = np.zeros_like(s)
    for n, i in zip(*np.nonzero(z == 1), strict=True):
        lower = [j for j in range(s.shape[1]) if z[n, j] != 1]
        found[n, i] = sum(max(0.0, 1 - prob(s[n, i]) + prob(s[n, j])) for j in lower)
    return found


def regulariser(s: Matrix, expected: float) -> float:
    counts = [sum(prob(x) for x in row) for row in s]
    return float((sum(counts) / len(counts) - expected) ** 2 / s.shape[1] ** 2)


def epr_slow(s: Matrix, z: Table, inputs: dict[str, Any], stop: Matrix, eps: float) -> Matrix:
    return RULES["bce"](s, z, inputs, stop, eps) + regulariser(s, 1.5)


def gpr_slow(s: Matrix, z: Table, inputs: dict[str, Any], stop: Matrix, eps: float) -> Matrix:
    return by_entry(gpr_rule)(s, z, inputs, stop, eps) + 0.05 * regulariser(s, 1.5)


def role_slow(s: Matrix, z: Table, inputs: dict[str, Any], stop: Matrix, eps: float) -> Matrix:
    phi, found = inputs["estimator_logits"], np.zeros_like(s)
    for n, i in cells(s):
        for own, teacher in ((s[n, i], phi[n, i]), (phi[n, i], stop[n, i])):
            known = signed(pos(own, eps), 0.0, neg(own, eps), z[n, i])
            found[n, i] += 0.5 * (known + soft(prob(teacher), own, eps))
    return found + 0.5 * (regulariser(s, 1.5) + regulariser(phi, 1.5))


def large(kind: str) -> Slow:
    def slow(s: Matrix, z: Table, _inputs: dict[str, Any], stop: Matrix, eps: float) -> Matrix:
        unknown = np.array([[neg(x, 0.0) for x in row] for row in stop]) * (z == 0)
        count = math.ceil(s.size * FRACTION)
        threshold = sorted(unknown.flatten(), reverse=True)[count - 1]
        found = np.zeros_like(s)
        for n, i in cells(s):
            chosen = z[n, i] == 0 and unknown[n, i] >= threshold
            plain = pos(s[n, i], eps) if z[n, i] == 1 else neg(s[n, i], eps)
            found[n, i] = plain if not chosen else 0.0 if kind == "reject" else pos(s[n, i], eps)
        return found

    return slow


FRACTION = 0.2


def an(weight: float = 1.0) -> Slow:
    return by_entry(lambda s, z, _a, _b, e: signed(pos(s, e), weight * neg(s, e), neg(s, e), z))


RULES: dict[str, Slow] = {
    "bce": by_entry(lambda s, z, _a, _b, e: signed(pos(s, e), 0.0, neg(s, e), z)),
    "bce-ls": by_entry(lambda s, z, _a, _b, e: signed(soft(0.9, s, e), 0.0, soft(0.1, s, e), z)),
    "an": an(),
    "an-ls": by_entry(lambda s, z, _a, _b, e: soft(0.9 if z == 1 else 0.1, s, e)),
    "an-nls": by_entry(lambda s, z, _a, _b, e: signed(pos(s, e), soft(0.1, s, e), neg(s, e), z)),
    "wan": an(weight=1.0 / 4.0),
    "l1r": by_entry(lambda s, z, _a, _b, e: (pos(s, e) if z == 1 else neg(s, e)) + 0.01 * prob(s)),
    "l2r": by_entry(lambda s, z, _a, _b, e: (pos(s, e) if z == 1 else neg(s, e)) + 0.01 * prob(s) ** 2),
    "epr": epr_slow,
    "pr": pr_slow,
    "focal": by_entry(
        lambda s, z, _a, _b, e: (1 - prob(s)) ** 2 * pos(s, e) if z == 1 else prob(s) ** 2 * neg(s, e)
    ),
    "asl": by_entry(asl_rule),
    "hill": by_entry(hill_rule),
    "splc": by_entry(splc_rule),
    "entmin": by_entry(lambda s, z, _a, _b, e: signed(pos(s, e), 0.1 * entropy(s, e), neg(s, e), z)),
    "em-apl": by_entry(em_apl_rule),
    "ll-r": large("reject"),
    "ll-ct": large("correct"),
    "ll-cp": large("correct"),
    "role": role_slow,
    "gr": by_entry(lambda s, z, _a, b, e: signed(pos(s, e), gr_unknown(s, b, **CURVE), neg(s, e), z)),
    "em-pl": by_entry(em_pl_rule),
    "em-pl-asl": by_entry(em_pl_asl_rule),
    "an-pl": by_entry(lambda s, z, a, _b, e: pos(s, e) if (z or a) == 1 else neg(s, e)),
    "gr-pl": by_entry(lambda s, z, a, b, e: signed(pos(s, e), gr_unknown(s, b, **CURVE), neg(s, e), z or a)),
    "gpr": gpr_slow,
}

# Parameters of the functions, where the equations above do not take their defaults.
PARAMS: dict[str, dict[str, Any]] = {
    **{name: {"expected": 1.5} for name in ("epr", "role")},
    **{name: {"fraction": FRACTION} for name in ("ll-r", "ll-ct", "ll-cp")},
    **dict.fromkeys(("gr", "gr-pl"), CURVE),
    "gpr": {**CURVE, "expected": 1.5},
}


def batch(needs: tuple[str, ...], seed: int) -> tuple[Matrix, Table, dict[str, Any]]:
    rng = np.random.default_rng(seed)
    s, z = rng.normal(0, 2.5, (4, 5)), rng.choice([-1, 0, 0, 0, 1], (4, 5)).astype(np.int8)
    z[0] = 0  # a row with nothing known
    makers: dict[str, Callable[[], Any]] = {
        "pseudo": lambda: rng.choice([-1, 0, 1], (4, 5)).astype(np.int8),
        "soft": lambda: np.where(rng.random((4, 5)) < 0.5, -1.0, rng.random((4, 5))),
        "estimator_logits": lambda: rng.normal(0, 1, (4, 5)),
    }
    return s, z, {name: makers[name]() for name in needs}


def test_every_loss_has_its_equation() -> None:
    for entry in losses.catalogue():
        own = Path(__file__).with_name(f"test_{entry.function}.py")
        assert entry.name in RULES or own.exists(), f"{entry.name}: write {own.name} as test_em.py is written"


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("eps", [0.0, 1e-5, 1e-2])
@pytest.mark.parametrize("name", RULES)
def test_value_and_derivative(name: str, eps: float, seed: int) -> None:
    s, z, inputs = batch(losses.info(name).needs, seed)
    slow, size = RULES[name], s.size
    function = getattr(functional, losses.info(name).function)
    logits = torch.from_numpy(s).requires_grad_()
    given = [torch.from_numpy(value) for value in inputs.values()]
    entries = function(logits, torch.from_numpy(z), *given, **PARAMS.get(name, {}), eps=eps)
    (gradient,) = torch.autograd.grad(entries.sum(), logits)
    np.testing.assert_allclose(entries.detach(), slow(s, z, inputs, s, eps), rtol=1e-10, atol=1e-12)
    step, differences = 1e-5, np.zeros_like(s)
    for cell in cells(s):
        up, down = s.copy(), s.copy()
        up[cell] += step
        down[cell] -= step
        change = slow(up, z, inputs, s, eps) - slow(down, z, inputs, s, eps)
        differences[cell] = change.sum() / (2 * step)
    np.testing.assert_allclose(gradient, differences, rtol=1e-5, atol=1e-7 * size)
