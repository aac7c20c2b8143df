"""The papers that the losses come from, each with the code that was read. No torch here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Paper:
    """Where a loss comes from.

    Args:
        authors: first author and others.
        title: title of the paper.
        year: year of the version cited.
        url: address of the paper.
        code: official code and, where it was compared with ours, the commit; empty where there is none.
    """

    authors: str
    title: str
    year: int
    url: str
    code: str = ""

    def __str__(self) -> str:
        return f"{self.authors} ({self.year}), {self.title}"


COLE = Paper(
    "Cole et al.",
    "Multi-Label Learning from Single Positive Labels",
    2021,
    "https://arxiv.org/abs/2106.09708",
    "https://github.com/elijahcole/single-positive-multi-label (89152d5)",
)
ACK = Paper(
    "Zhou et al.",
    "Acknowledging the Unknown for Multi-label Learning with Single Positive Labels",
    2022,
    "https://arxiv.org/abs/2203.16219",
    "https://github.com/Correr-Zhou/SPML-AckTheUnknown (ae1ccaf)",
)
LARGE_LOSS = Paper(
    "Kim et al.",
    "Large Loss Matters in Weakly Supervised Multi-Label Classification",
    2022,
    "https://arxiv.org/abs/2206.03740",
    "https://github.com/snucml/LargeLossMatters (5025d16)",
)
GR = Paper(
    "Chen et al.",
    "Boosting Single Positive Multi-label Classification with Generalized Robust Loss",
    2024,
    "https://arxiv.org/abs/2405.03501",
    "https://github.com/yan4xi1/GRLoss (5e13f7f)",
)
GR_SPML = Paper(
    "Tran et al.",
    "More Reliable Pseudo-labels, Better Performance (earlier code of the same authors)",
    2025,
    "https://arxiv.org/abs/2508.20381",
    "https://github.com/khanhluong34/grloss_spml (93c4830)",
)
VLPL = Paper(
    "Xing et al.",
    "Vision-Language Pseudo-Labels for Single-Positive Multi-Label Learning",
    2023,
    "https://arxiv.org/abs/2310.15985",
    "https://github.com/mvrl/VLPL (ed09b59)",
)
AEVLP = Paper(
    "Tran et al.",
    "More Reliable Pseudo-labels, Better Performance: A Generalized Approach to Single Positive "
    "Multi-label Learning",
    2025,
    "https://arxiv.org/abs/2508.20381",
    "https://github.com/Fsoft-AIC/AEVLP (0bad82a)",
)
FOCAL = Paper(
    "Lin et al.",
    "Focal Loss for Dense Object Detection",
    2017,
    "https://arxiv.org/abs/1708.02002",
)
ASL = Paper(
    "Ben-Baruch et al.",
    "Asymmetric Loss For Multi-Label Classification",
    2020,
    "https://arxiv.org/abs/2009.14119",
    "https://github.com/Alibaba-MIIL/ASL",
)
ROBUST = Paper(
    "Zhang et al.",
    "Simple and Robust Loss Design for Multi-Label Learning with Missing Labels",
    2021,
    "https://arxiv.org/abs/2112.07368",
    "https://github.com/xinyu1205/robust-loss-mlml",
)
