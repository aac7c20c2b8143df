"""The GR view: which losses are V [K L2 + (1 - K) L3] on unknown entries, by which choice; which are not."""

from __future__ import annotations

import re
import runpy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image, ImageChops, ImageStat
from torch import Tensor

from onelabel import losses
from onelabel.losses import functional
from onelabel.losses.gr_parts import gr_framework, gr_k, gr_v
from onelabel.losses.large_loss import large_losses
from onelabel.losses.sides import Sides
from onelabel.losses.slopes import Term
from onelabel.losses.terms import focus, likelihood, neg_log, smoothed

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "gr-framework.md").read_text(encoding="utf-8")
FRACTION = 0.2


@dataclass(frozen=True)
class Group:
    """Unknown entries, and their V, K, L2 and L3."""

    where: Tensor
    v: Tensor | float
    k: Tensor | float
    present: Term
    absent: Term


@dataclass(frozen=True)
class Choice:
    """L1 of entries that are known to be present and absent, and groups of unknown entries."""

    present: Term
    absent: Term
    groups: tuple[Group, ...]


class Case:
    """A batch, and the terms that a choice is made of."""

    def __init__(self, seed: int, eps: float) -> None:
        torch.manual_seed(seed)
        self.eps = eps
        self.logits = (2.0 * torch.randn(5, 6, dtype=torch.float64)).requires_grad_()
        self.labels = torch.randint(-1, 2, (5, 6), dtype=torch.int8)
        self.pseudo = torch.randint(-1, 2, (5, 6), dtype=torch.int8)
        self.soft = torch.where(torch.rand(5, 6) < 0.5, -1.0, torch.rand(5, 6)).double()
        self.estimator = torch.randn(5, 6, dtype=torch.float64).requires_grad_()
        self.unknown = (self.labels == 0).double()
        self.sides = Sides(self.logits, eps)
        self.held = torch.sigmoid(self.logits.detach())
        nothing = torch.zeros_like(self.held)
        self.entropy = self.sides.mixed(nothing, nothing, nothing + 1.0)
        self.plus, self.minus = self.sides.present, self.sides.absent

    def whole(
        self, v: Tensor | float, k: Tensor | float, *, l2: Term | None = None, l3: Term | None = None
    ) -> Group:
        """All unknown entries; L2 and L3 are cross-entropy where nothing else is said."""
        return Group(self.unknown, v, k, l2 or self.plus, l3 or self.minus)

    def plain(self, v: Tensor | float, k: Tensor | float, **terms: Term) -> Choice:
        """Cross-entropy on known entries."""
        return Choice(self.plus, self.minus, (self.whole(v, k, **terms),))

    def split(self, present: Group, absent: Group, rest: Group) -> tuple[Group, ...]:
        """The same by pseudo-label: +1, -1, 0."""
        return tuple(
            Group(self.unknown * (self.pseudo == sign), each.v, each.k, each.present, each.absent)
            for sign, each in ((1, present), (-1, absent), (0, rest))
        )


def scaled(factor: float, term: Term) -> Term:
    return Term(factor * term.value, factor * term.slope)


def added(one: Term, other: Term) -> Term:
    return Term(one.value + other.value, one.slope + other.slope)


def focal(c: Case, sign: float, gamma: float) -> Term:
    return focus(c.logits, -sign, gamma, neg_log(c.logits, sign, c.eps))


def focal_choice(c: Case) -> Choice:
    absent = focal(c, -1.0, 2.0)
    return Choice(focal(c, 1.0, 2.0), absent, (c.whole(1.0, 0.0, l3=absent),))


def asl_choice(c: Case) -> Choice:
    """The factor is outside the gradient: it is V."""
    q, v = (c.held - 0.05).clamp(min=0.0), (c.held - 0.05).clamp(min=0.0) ** 4
    slope = (c.held > 0.05) * c.held * (1 - c.held) / (1 + c.eps - q)
    absent = Term(-torch.log(1 + c.eps - q), slope)
    weighted = Term(v * absent.value, v * absent.slope)
    present = Term((1 - c.held) * c.plus.value, (1 - c.held) * c.plus.slope)
    return Choice(present, weighted, (c.whole(v, 0.0, l3=absent),))


def hill_choice(c: Case) -> Choice:
    p, shifted = c.held, c.logits - 1.0
    absent = Term((1.5 - p) * p**2, 3 * p**2 * (1 - p) ** 2)
    present = focus(shifted, -1.0, 2.0, neg_log(shifted, 1.0, c.eps))
    return Choice(present, absent, (c.whole(1.0, 0.0, l3=absent),))


def splc_choice(c: Case) -> Choice:
    shifted = c.logits - 1.0
    present = focus(shifted, -1.0, 2.0, neg_log(shifted, 1.0, c.eps))
    two = {"l2": focal(c, 1.0, 2.0), "l3": focal(c, -1.0, 2.0)}
    return Choice(present, two["l3"], (c.whole(1.0, (c.held > 0.6).double(), **two),))


def smoothed_choice(c: Case) -> Choice:
    present, absent = (smoothed(c.logits, sign, 0.1, c.eps) for sign in (1.0, -1.0))
    return Choice(present, absent, (c.whole(1.0, 0.1),))


def known_smoothed(c: Case) -> Choice:
    present, absent = (smoothed(c.logits, sign, 0.1, c.eps) for sign in (1.0, -1.0))
    return Choice(present, absent, (c.whole(0.0, 0.0),))


def penalised(c: Case, penalty: Term) -> Choice:
    present, absent = added(c.plus, scaled(0.01, penalty)), added(c.minus, scaled(0.01, penalty))
    return Choice(present, absent, (c.whole(1.0, 0.0, l3=absent),))


def squared(c: Case) -> Term:
    p = likelihood(c.logits, c.eps)
    return Term(p.value**2, 2 * p.value * p.slope)


def large(c: Case) -> Tensor:
    return large_losses(c.logits, c.labels, fraction=FRACTION).double()


def doubt(c: Case, alpha: float) -> Group:
    """The entropy, rewarded: L2 and L3 are the same, so K plays no part."""
    minus_entropy = scaled(-1.0, c.entropy)
    return c.whole(alpha, 0.5, l2=minus_entropy, l3=minus_entropy)


def em_apl_choice(c: Case) -> Choice:
    labelled = c.unknown * (c.soft >= 0)
    rest = doubt(c, 0.1)
    groups = (
        Group(labelled, 0.9, c.soft, c.plus, c.minus),
        Group(c.unknown - labelled, 0.1, 0.5, rest.present, rest.absent),
    )
    return Choice(c.plus, c.minus, groups)


def em_pl_choice(c: Case) -> Choice:
    return Choice(c.plus, c.minus, c.split(c.whole(0.7, 0.9), c.whole(0.7, 1.0 - 0.9), doubt(c, 0.1)))


def em_pl_asl_choice(c: Case) -> Choice:
    present, absent = focal(c, 1.0, 2.0), focal(c, -1.0, 4.0)
    focused = focus(c.logits, -1.0, 4.0, scaled(-1.0, c.entropy))
    groups = c.split(
        c.whole(1.0, 1.0, l2=present), c.whole(1.0, 0.0, l3=absent), c.whole(1.0, 0.5, l2=focused, l3=focused)
    )
    return Choice(present, absent, groups)


CURVE = {"w": 1.75, "b": -2.0, "mu": 0.8, "sigma": 0.5, "q2": 0.01, "q3": 1.5}


def gr_group(c: Case) -> Group:
    k, v = gr_k(c.held, CURVE["w"], CURVE["b"]), gr_v(c.held, CURVE["mu"], CURVE["sigma"])
    return c.whole(v, k, l2=c.sides.robust_present(CURVE["q2"]), l3=c.sides.robust_absent(CURVE["q3"]))


def gpr_choice(c: Case) -> Choice:
    v = gr_v(c.held, CURVE["mu"], CURVE["sigma"])
    trust = 1.0 - v.clamp(1.0 - 0.7, 1.0 - 0.4)
    groups = c.split(c.whole(trust, 0.9), c.whole(v, 0.0), gr_group(c))
    return Choice(c.plus, Term(v * c.minus.value, v * c.minus.slope), groups)


MEMBERS: dict[str, Callable[[Case], Choice]] = {
    "bce": lambda c: c.plain(0.0, 0.0),
    "bce-ls": known_smoothed,
    "an": lambda c: c.plain(1.0, 0.0),
    "an-ls": smoothed_choice,
    "an-nls": lambda c: c.plain(1.0, 0.1),
    "wan": lambda c: c.plain(1.0 / 5.0, 0.0),
    "l1r": lambda c: penalised(c, likelihood(c.logits, c.eps)),
    "l2r": lambda c: penalised(c, squared(c)),
    "focal": focal_choice,
    "asl": asl_choice,
    "hill": hill_choice,
    "splc": splc_choice,
    "entmin": lambda c: c.plain(0.1, 0.5, l2=c.entropy, l3=c.entropy),
    "em": lambda c: Choice(c.plus, c.minus, (doubt(c, 0.1),)),
    "em-apl": em_apl_choice,
    "ll-r": lambda c: c.plain(1.0 - large(c), 0.0),
    "ll-ct": lambda c: c.plain(1.0, large(c)),
    "ll-cp": lambda c: c.plain(1.0, large(c)),
    "gr": lambda c: Choice(c.plus, c.minus, (gr_group(c),)),
    "em-pl": em_pl_choice,
    "em-pl-asl": em_pl_asl_choice,
    "an-pl": lambda c: c.plain(1.0, (c.pseudo == 1).double()),
    "gr-pl": lambda c: Choice(c.plus, c.minus, c.split(c.whole(1.0, 1.0), c.whole(1.0, 0.0), gr_group(c))),
    "gpr": gpr_choice,
}
# A loss of which an entry depends on the logits of others is none.
NOT_MEMBERS = {"epr", "pr", "role"}
PARAMS: dict[str, dict[str, Any]] = {
    **{name: {"fraction": FRACTION} for name in ("ll-r", "ll-ct", "ll-cp")},
    **dict.fromkeys(("gr", "gr-pl", "gpr"), CURVE),
    **{name: {"expected": 1.5} for name in ("epr", "role")},
}


def framework(c: Case, choice: Choice, logits: Tensor) -> Tensor:
    """The choice through gr_framework, group by group."""
    plus, minus = (c.labels == 1).double(), (c.labels == -1).double()
    known = Term(
        plus * choice.present.value + minus * choice.absent.value,
        plus * choice.present.slope + minus * choice.absent.slope,
    )
    total = torch.zeros_like(logits)
    for each in choice.groups:
        total = total + gr_framework(
            logits, known, unknown=each.where, k=each.k, v=each.v, present=each.present, absent=each.absent
        )
        known = Term(torch.zeros_like(logits), torch.zeros_like(logits))
    return total


def entries_of(name: str, c: Case) -> Tensor:
    inputs = {"pseudo": c.pseudo, "soft": c.soft, "estimator_logits": c.estimator}
    given = [inputs[need] for need in losses.info(name).needs]
    function = getattr(functional, losses.info(name).function)
    found: Tensor = function(c.logits, c.labels, *given, **PARAMS.get(name, {}), eps=c.eps)
    return found


def test_every_loss_of_the_document_is_a_member_or_not() -> None:
    """A new loss need not stand there."""
    documented = set(re.findall(r"^\| `([a-z0-9-]+)`", DOCUMENT, re.MULTILINE))
    assert set(MEMBERS) | NOT_MEMBERS == documented and not set(MEMBERS) & NOT_MEMBERS
    assert documented <= {entry.name for entry in losses.catalogue()}


@pytest.mark.parametrize("eps", [0.0, 1e-5])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", MEMBERS)
def test_a_choice_gives_the_loss(name: str, seed: int, eps: float) -> None:
    c = Case(seed, eps)
    wanted, found = entries_of(name, c), framework(c, MEMBERS[name](c), c.logits)
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-13)
    slopes = [torch.autograd.grad(entries.sum(), c.logits)[0] for entries in (found, wanted)]
    torch.testing.assert_close(*slopes, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("name", [*MEMBERS, *sorted(NOT_MEMBERS)])
def test_entries_of_members_do_not_pull_at_each_other(name: str) -> None:
    c = Case(0, 0.0)
    c.labels[0, 0], c.labels[0, 1] = 1, 0
    (gradient,) = torch.autograd.grad(entries_of(name, c)[0, 0], c.logits)
    gradient[0, 0] = 0.0
    assert bool(gradient.any()) == (name in NOT_MEMBERS)


def test_the_halves_of_role_are_members_each_in_its_own_logits() -> None:
    """Without the regulariser: V = 1/2, K is what the other half says."""
    c = Case(0, 1e-5)
    wanted = functional.role(c.logits, c.labels, c.estimator, expected=None, eps=c.eps)
    found = torch.zeros_like(wanted)
    for own, other in ((c.logits, c.estimator), (c.estimator, c.logits)):
        sides, k = Sides(own, c.eps), torch.sigmoid(other.detach())
        first, both = sides.mixed(1 + k, 1 - k), sides.mixed(k, 2 - k)
        halves = Choice(
            scaled(0.5, first), scaled(0.5, both), (Group(c.unknown, 0.5, k, sides.present, sides.absent),)
        )
        found = found + framework(c, halves, own)
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-13)
    for variable in (c.logits, c.estimator):
        slopes = [torch.autograd.grad(each.sum(), variable, retain_graph=True)[0] for each in (found, wanted)]
        torch.testing.assert_close(*slopes, rtol=1e-11, atol=1e-12)


def test_em_has_the_gradient_of_cross_entropy_towards_one_half() -> None:
    """K = 1/2 and V = α s p (1 - p) / (p - 1/2), never negative: another loss with the same gradient."""
    c = Case(0, 0.0)
    s, p = c.logits.detach(), c.held
    v = 0.1 * s * p * (1 - p) / (p - 0.5)
    assert bool((v >= 0).all())
    found = framework(c, c.plain(v, 0.5), c.logits)
    slopes = [torch.autograd.grad(each.sum(), c.logits)[0] for each in (found, entries_of("em", c))]
    torch.testing.assert_close(*slopes, rtol=1e-10, atol=1e-12)


@pytest.fixture(scope="module")
def script() -> SimpleNamespace:
    return SimpleNamespace(**runpy.run_path(str(ROOT / "scripts" / "draw_gr_gradients.py")))


def test_the_curves_of_the_picture(script: SimpleNamespace) -> None:
    curves = {each.label: each.loss for each in (*script.EARLIER, *script.LATER)}
    p = torch.linspace(0.001, 0.999, script.POINTS, dtype=torch.float64)
    last = {"w": 1.75, "b": -2.0, "mu": 0.8, "sigma": 0.5}
    k, v = gr_k(p, last["w"], last["b"]), gr_v(p, last["mu"], last["sigma"])
    wanted = {
        "an": p,
        "an-ls, smoothing 0.1": p - 0.1,
        "hill": 3 * p**2 * (1 - p) ** 2,
        "em, alpha 0.2": 0.2 * torch.logit(p) * p * (1 - p),
        "gr, epoch 8": v * (-k * p**0.01 * (1 - p) + (1 - k) * (1 - p) * p),
    }
    for label, slope in wanted.items():
        place, found = script.slope(curves[label])
        torch.testing.assert_close(torch.tensor(place), p.float(), rtol=1e-6, atol=1e-7)
        torch.testing.assert_close(torch.tensor(found, dtype=torch.float64), slope, rtol=1e-9, atol=1e-12)


def test_the_picture_is_what_the_script_draws(script: SimpleNamespace) -> None:
    """Letters may differ by the version of the font library."""
    with Image.open(ROOT / "docs" / "pictures" / "gr-gradients.png") as committed:
        difference = ImageChops.difference(committed.convert("RGB"), script.picture())
    assert max(ImageStat.Stat(difference).mean) < 1.0
