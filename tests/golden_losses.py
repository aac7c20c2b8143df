"""How each reference file of a loss is computed with ours.

A reader takes a run and logits (float32 or float64, with gradient) and gives the scalar that the reference
back-propagates. Where the released function ignores known negatives (cases ``neg_...``), which ours
supervises, they get a weight of 0: better than to leave the case out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from golden_archive import EXACT, SINGLE, Archive, Run, assert_close
from onelabel import losses
from onelabel.losses import functional
from onelabel.losses.regulariser import Norm

COLE, GR = 1e-5, 1e-7  # the two constants inside the logarithms of the released codes
Reader = Callable[[Run, Tensor], Tensor]


def complete(labels: Tensor) -> Tensor:
    """Complete labels {0, 1} in our convention: what is not present is absent."""
    return torch.where(labels == 0, -1, labels).to(torch.int8)


def without_negatives(labels: Tensor) -> Tensor:
    return (labels >= 0).double()


def loss(name: str, run: Run, logits: Tensor, *, ignored: bool = False, **params: Any) -> Tensor:
    """Our loss on the run's labels; ``ignored`` gives known negatives no weight."""
    labels = run.tensor("labels")
    module = losses.create(name, **params)
    found: Tensor = module(logits, labels, without_negatives(labels).to(logits.dtype) if ignored else None)
    return found


def simple(name: str, eps: float, *, ignored: bool = False, **params: Any) -> Reader:
    return lambda run, logits: loss(name, run, logits, ignored=ignored, eps=eps, **params)


def bce(run: Run, logits: Tensor) -> Tensor:
    found: Tensor = losses.create("bce", eps=COLE)(logits, complete(run.tensor("labels")))
    return found


def bce_ls(run: Run, logits: Tensor) -> Tensor:
    module = losses.create("bce-ls", smoothing=run.number("ls_coef"), eps=COLE)
    found: Tensor = module(logits, complete(run.tensor("labels")))
    return found


def an_ls(run: Run, logits: Tensor) -> Tensor:
    return loss("an-ls", run, logits, smoothing=run.number("ls_coef"), eps=COLE)


def iun(run: Run, logits: Tensor) -> Tensor:
    """IUN is bce on observed positives and true negatives; Cole's own code finds no negatives."""
    labels, true = run.tensor("labels"), run.tensor("true_labels")
    negative = (true <= 0) & (labels == 0) & torch.tensor(run.variant != "cole_as_shipped")
    table = torch.where(negative, -1, labels).to(torch.int8)
    found: Tensor = losses.create("bce", eps=COLE)(logits, table)
    return found


def regulariser(run: Run, logits: Tensor) -> Tensor:
    norm: Norm = "l1" if run.variant == "L1" else "l2"
    term = functional.expected_positive_regulariser(
        logits, run.number("expected_num_pos"), norm=norm, eps=COLE
    )
    return term * logits.shape[1] ** 2


def epr(run: Run, logits: Tensor) -> Tensor:
    expected = run.number("expected_num_pos")
    compare_term(run, functional.expected_positive_regulariser(logits, expected, eps=COLE))
    return loss("epr", run, logits, expected=expected, eps=COLE)


def compare_term(run: Run, term: Tensor) -> None:
    kind, tolerance = ("reg_f64", EXACT) if term.dtype == torch.float64 else ("reg_f32", SINGLE)
    assert_close(term.detach(), run[kind], tolerance, f"{run.case}/{run.variant}/{kind}")


def role(run: Run, logits: Tensor) -> Tensor:
    estimator = run.tensor("est_logits").to(logits.dtype).requires_grad_()
    expected = run.number("expected_num_pos")
    compare_term(run, functional.role_regulariser(logits, estimator, expected, eps=COLE))
    module = losses.create("role", expected=expected, eps=COLE)
    found: Tensor = module(logits, run.tensor("labels"), estimator_logits=estimator)
    (gradient,) = torch.autograd.grad(found, estimator, retain_graph=True)
    kind, tolerance = ("grad_est_f64", EXACT) if logits.dtype == torch.float64 else ("grad_est_f32", SINGLE)
    assert_close(gradient, run[kind], tolerance, f"{run.case}/{run.variant}/{kind}")
    return found


def em(run: Run, logits: Tensor) -> Tensor:
    return loss("em", run, logits, ignored=True, alpha=run.number("alpha"), eps=COLE)


def em_apl(run: Run, logits: Tensor) -> Tensor:
    """The file holds soft labels t as -t in the label matrix; -0.0 is unknown there."""
    mixed = run.tensor("labels")
    module = losses.create("em-apl", alpha=run.number("alpha"), beta=run.number("beta"), eps=COLE)
    soft = torch.where(mixed < 0, -mixed, -1.0)
    found: Tensor = module(logits, (mixed == 1).to(torch.int8), soft=soft)
    return found


def pseudo_of(run: Run) -> Tensor:
    """The pseudo-labels that the variant names: pseudo01, pseudo101, or none of them."""
    names = [name for name in ("pseudo01", "pseudo101") if name in run.variant.split("_")]
    return run.tensor(names[0]) if names else torch.zeros_like(run.tensor("labels"))


def guided(name: str, run: Run, logits: Tensor, pseudo: Tensor, *, ignored: bool, **params: Any) -> Tensor:
    labels = run.tensor("labels")
    weight = without_negatives(labels).to(logits.dtype) if ignored else None
    found: Tensor = losses.create(name, **params)(logits, labels, weight, pseudo=pseudo)
    return found


def em_pl(run: Run, logits: Tensor) -> Tensor:
    """gamma=0: the released function gives negative pseudo-labels no loss. Its warm-up is plain EM."""
    params: dict[str, float] = {"alpha": run.number("alpha"), "gamma": 0.0, "eps": COLE}
    if "beta_pos" in run:
        params["beta"] = run.number("beta_pos")
    return guided("em-pl", run, logits, pseudo_of(run), ignored=True, **params)


def em_pl_asl(run: Run, logits: Tensor) -> Tensor:
    if run.variant == "warmup":
        return em(run, logits)
    params = {name: run.number(name) for name in ("gamma_pos", "gamma_neg", "gamma_unknown")}
    return guided("em-pl-asl", run, logits, pseudo_of(run), ignored=True, **params, eps=COLE)


def an_pl(run: Run, logits: Tensor) -> Tensor:
    return guided("an-pl", run, logits, pseudo_of(run), ignored=True, eps=GR)


def curve(run: Run) -> dict[str, float]:
    return {name: run.number(name) for name in ("w", "b", "mu", "sigma", "q2", "q3")}


def weighted_mean(entries: Tensor, weight: Tensor) -> Tensor:
    return (entries * weight.to(entries.dtype)).sum() / entries.numel()


def gr(run: Run, logits: Tensor) -> Tensor:
    labels, params = run.tensor("labels"), curve(run)
    compare_curves(run, logits, params, "V")
    return weighted_mean(functional.gr(logits, labels, **params, eps=GR), without_negatives(labels))


def compare_curves(run: Run, logits: Tensor, params: dict[str, float], name: str) -> None:
    if logits.dtype == torch.float64:
        probs = torch.sigmoid(logits.detach())
        where = f"{run.case}/{run.variant}"
        assert_close(functional.gr_k(probs, params["w"], params["b"]), run["K"], EXACT, f"{where}/K")
        assert_close(
            functional.gr_v(probs, params["mu"], params["sigma"]), run[name], EXACT, f"{where}/{name}"
        )


def gr_pl(run: Run, logits: Tensor) -> Tensor:
    labels, pseudo = run.tensor("labels"), run.tensor("pseudo01")
    entries = functional.gr_pl(logits, labels, pseudo, **curve(run), eps=GR)
    return weighted_mean(entries, without_negatives(labels))


def gpr(run: Run, logits: Tensor) -> Tensor:
    """With pseudo-labels the reference gives known negatives the weight V, as ours; without, none."""
    labels, params = run.tensor("labels"), curve(run)
    compare_curves(run, logits, params, "V_in")
    used = bool(run["use_pl"])
    pseudo = pseudo_of(run) if used else torch.zeros_like(labels)
    compare_clipped(run, logits, labels, pseudo, params)
    entries = functional.gpr(
        logits,
        labels,
        pseudo,
        **params,
        rho=run.number("rho"),
        lam1=run.number("lam_1"),
        lam2=run.number("lam_2"),
        eps=GR,
    )
    weight = torch.ones_like(labels) if used else without_negatives(labels)
    term = functional.expected_positive_regulariser(logits, run.number("expected_num_pos"), eps=GR)
    return weighted_mean(entries, weight) + run.number("reg") * term


def compare_clipped(
    run: Run, logits: Tensor, labels: Tensor, pseudo: Tensor, params: dict[str, float]
) -> None:
    """V as the reference leaves it: clipped at positive pseudo-labels, untouched elsewhere."""
    v = functional.gr_v(torch.sigmoid(logits.detach()), params["mu"], params["sigma"])
    clipped = v.clamp(1.0 - run.number("lam_1"), 1.0 - run.number("lam_2"))
    after = torch.where((labels == 0) & (pseudo == 1), clipped, v)
    if logits.dtype == torch.float64:
        assert_close(after, run["V_out"], EXACT, f"{run.case}/{run.variant}/V_out")


def large_loss(run: Run, logits: Tensor) -> Tensor:
    """as_released: where K exceeds the unknown entries, the released code alters known ones too."""
    scheme, rate = str(run["scheme"]), run.number("clean_rate")
    permanent = scheme == "LL-Cp" and not run.variant.startswith("Cp_as_run")
    fraction = run.number("delta_rel") if permanent and rate != 1 else 1.0 - rate
    labels = run.tensor("labels")
    kind = "idx_f64" if logits.dtype == torch.float64 else "idx_f32"
    strictly = functional.large_losses(logits, labels, fraction=fraction, strict=True, as_released=True)
    where = f"{run.case}/{run.variant}/{kind}"
    assert bool(run["idx_is_none"]) == (rate == 1), where
    np.testing.assert_array_equal(strictly.nonzero().numpy(), run[kind], err_msg=where)
    function = functional.ll_r if scheme == "LL-R" else functional.ll_ct
    return function(logits, labels, fraction=fraction, as_released=True).mean()


READERS: dict[str, Reader] = {
    "loss_an.npz": simple("an", COLE),
    "loss_an_eps7.npz": simple("an", GR, ignored=True),
    "loss_an_ls.npz": an_ls,
    "loss_an_pl.npz": an_pl,
    "loss_bce.npz": bce,
    "loss_bce_ls.npz": bce_ls,
    "loss_em.npz": em,
    "loss_em_apl.npz": em_apl,
    "loss_em_pl.npz": em_pl,
    "loss_em_pl_asl.npz": em_pl_asl,
    "loss_epr.npz": epr,
    "loss_epr_gr.npz": simple("bce", GR, ignored=True),  # EPR without its regulariser
    "loss_gpr.npz": gpr,
    "loss_gr.npz": gr,
    "loss_gr_pl.npz": gr_pl,
    "loss_hill.npz": simple("hill", GR, ignored=True, margin=0.0, gamma=0.0),
    "loss_iu.npz": simple("bce", COLE),
    "loss_iun.npz": iun,
    "loss_ll.npz": large_loss,
    "loss_pr.npz": simple("pr", COLE),
    "loss_reg.npz": regulariser,
    "loss_role.npz": role,
    "loss_wan.npz": simple("wan", COLE),
}

# Arrays that describe how the reference was made, not what it is.
NOT_COMPARED = ("/fd_max_abs_err", "/epoch", "/num_epochs", "/delta_rel", "/pseudo01", "/pseudo101")


def compare(archive: Archive, reader: Reader) -> None:
    """Value and gradient of every run, in both precisions."""
    for run in archive.runs():
        for kind, dtype, tolerance in (("f64", torch.float64, EXACT), ("f32", torch.float32, SINGLE)):
            where = f"{run.case}/{run.variant} {kind}"
            logits = run.tensor("logits").to(dtype).requires_grad_()
            value = reader(run, logits)
            value.backward()  # type: ignore[no-untyped-call]
            assert value.dtype == dtype and logits.grad is not None
            assert_close(value.detach(), run[f"loss_{kind}"], tolerance, f"{where} value")
            assert_close(logits.grad, run[f"grad_{kind}"], tolerance, f"{where} gradient")
    left = {key for key in archive.unread if not key.endswith(NOT_COMPARED)}
    assert not left, f"never compared: {sorted(left)[:5]}"
