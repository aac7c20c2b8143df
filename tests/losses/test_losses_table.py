"""The worked example of the field: two images, four classes, every loss as a number.

Values without a star were produced by the functions of the reference repositories; starred ones (AN-LS with λ
= 0.05, N-LS, EntMin) were derived from the formulas, no code being released for them. Constants inside the
logarithms: 1e-5 for the codes of Cole, Ack and VLPL, 1e-7 for GR and AEVLP, none for the others. ``sum`` in
the table is the reduction of the robust losses' codes. The table gives eight digits.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch

from onelabel import losses
from onelabel.losses import functional

LOGITS = torch.tensor([[2, -1, 0.5, -3], [-0.5, 1.5, -2, 0]], dtype=torch.float64)
LABELS = torch.tensor([[1, 0, 0, 0], [0, 1, 0, 0]], dtype=torch.int8)
TRUE = torch.tensor([[1, -1, 1, -1], [-1, 1, -1, 1]], dtype=torch.int8)
PSEUDO = torch.tensor([[0, 0, 1, 0], [1, 0, 0, 0]], dtype=torch.int8)
PSEUDO_BOTH = torch.tensor([[0, 0, 1, -1], [1, 0, -1, 0]], dtype=torch.int8)
ESTIMATOR = torch.tensor([[5.293, 0.2, -0.3, 0.1], [0.4, 5.293, -0.1, 0]], dtype=torch.float64)
SOFT = torch.full((2, 4), -1.0, dtype=torch.float64)
SOFT[0, 3] = 0.05
IUN = torch.where((TRUE == 1) & (LABELS == 0), 0, TRUE).to(torch.int8)

COLE, GR = 1e-5, 1e-7
COCO: dict[str, Any] = {"beta": (0, 10, -2, -8), "lam1": 0.7, "lam2": 0.5, "reg": 0.001, "expected": 1.5}

TABLE: list[tuple[str, float, str, dict[str, Any]]] = [
    ("AN", 0.36978723, "an", {"eps": COLE}),
    ("WAN", 0.15062222, "wan", {"eps": COLE}),
    ("AN-LS, λ = 0.1", 0.48853208, "an-ls", {"eps": COLE}),
    ("AN-LS, λ = 0.05 *", 0.42915966, "an-ls", {"smoothing": 0.05, "eps": COLE}),
    ("N-LS, λ = 0.1 *", 0.44478352, "an-nls", {"eps": COLE}),
    ("EPR", 0.04731912, "epr", {"expected": 1.5, "eps": COLE}),
    ("EntMin, α = 0.2 *", 0.11996781, "entmin", {"alpha": 0.2, "eps": COLE}),
    ("EM, α = 0.2", -0.03788838, "em", {"alpha": 0.2, "eps": COLE}),
    ("Focal, γ = 2, sum", 0.65134920, "focal", {"reduction": "sum"}),
    ("ASL, sum", 0.17277779, "asl", {"reduction": "sum"}),
    ("ASL, γ₊ = 0, sum", 0.44924596, "asl", {"gamma_pos": 0.0, "reduction": "sum"}),
    ("Hill, sum", 0.95216074, "hill", {"reduction": "sum"}),
    ("Hill of the GR code, mean", 0.14878378, "hill", {"margin": 0.0, "gamma": 0.0, "eps": GR}),
    ("SPLC, τ = 0.6, active, sum", 0.42323623, "splc", {"warmup": 0, "reduction": "sum"}),
]


def value(name: str, labels: torch.Tensor = LABELS, *, epoch: int = 0, **params: Any) -> float:
    """Our loss; ``epoch`` of 8, where given."""
    inputs = {key: params.pop(key) for key in ("pseudo", "soft", "estimator_logits") if key in params}
    loss = losses.create(name, **params)
    if epoch:
        loss.start_epoch(epoch, 8)
    return float(loss(LOGITS, labels, **inputs))


@pytest.mark.parametrize(("row", "wanted", "name", "params"), TABLE, ids=[row[0] for row in TABLE])
def test_row(row: str, wanted: float, name: str, params: dict[str, Any]) -> None:
    del row
    assert value(name, **params) == pytest.approx(wanted, abs=6e-9)


def test_iun_is_bce_on_another_table() -> None:
    assert value("bce", IUN, eps=COLE) == pytest.approx(0.16139002, abs=6e-9)
    # Cole's own function finds no negative, which leaves the positives.
    assert value("bce", LABELS, eps=COLE) == pytest.approx(0.04103971, abs=6e-9)


def test_em_apl() -> None:
    assert value("em-apl", alpha=0.2, beta=0.02, eps=COLE, soft=SOFT) == pytest.approx(-0.03262084, abs=6e-9)


def test_vlpl() -> None:
    assert value("em-pl", alpha=0.2, eps=COLE, pseudo=PSEUDO) == pytest.approx(0.12196273, abs=6e-9)


def test_role() -> None:
    found = value("role", expected=1.5, eps=COLE, estimator_logits=ESTIMATOR)
    assert found == pytest.approx(0.81253145, abs=6e-9)


@pytest.mark.parametrize(("epoch", "wanted"), [(1, 0.37765620), (8, 0.27926148)])
def test_gr(epoch: int, wanted: float) -> None:
    assert value("gr", epoch=epoch, eps=GR) == pytest.approx(wanted, abs=6e-9)


def test_gpr() -> None:
    first = value("gpr", epoch=1, expected=1.5, eps=GR, pseudo=PSEUDO)
    assert first == pytest.approx(0.31908805, abs=6e-9)
    last = value("gpr", epoch=8, eps=GR, pseudo=PSEUDO, **COCO)
    assert last == pytest.approx(0.21262981, abs=6e-9)
    with_negatives = value("gpr", epoch=8, eps=GR, pseudo=PSEUDO_BOTH, **COCO)
    assert with_negatives == pytest.approx(0.21273336, abs=6e-9)


def test_large_loss() -> None:
    """K = 2 of 8 entries: (0, 2) and (1, 3); strictly above the second largest there is (0, 2) alone."""
    large = functional.large_losses(LOGITS, LABELS, fraction=0.25)
    assert large.nonzero().tolist() == [[0, 2], [1, 3]]
    strict = functional.large_losses(LOGITS, LABELS, fraction=0.25, strict=True)
    assert strict.nonzero().tolist() == [[0, 2]]
    assert float(functional.ll_r(LOGITS, LABELS, fraction=0.25).mean()) == pytest.approx(0.16139942, abs=6e-9)
    assert float(functional.ll_ct(LOGITS, LABELS, fraction=0.25).mean()) == pytest.approx(
        0.30730244, abs=6e-9
    )
