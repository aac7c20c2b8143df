"""Numbers that only use what is known, and the names of those that do not.

Everything takes (images, classes) scores, logits or probabilities, and labels with +1 known present, 0
unknown, -1 known absent.
"""

from onelabel.evaluation.bootstrap import MapInterval, bootstrap_draws, bootstrap_map
from onelabel.evaluation.evaluate import Evaluation, evaluate
from onelabel.evaluation.f1 import F1Scores, f1_at
from onelabel.evaluation.metrics import MeanAP, Support, average_precision, mean_average_precision, support
from onelabel.evaluation.quality import PseudoQuality, pseudo_quality
from onelabel.evaluation.selection import (
    PuAuc,
    Selection,
    pu_auc,
    pu_recall_at_k,
    require_selectable,
    selection_score,
    selection_sentence,
)
from onelabel.evaluation.thresholds import best_f1_threshold, recall_threshold
from onelabel.evaluation.top_k import TopK, top_k

__all__ = [
    "Evaluation",
    "F1Scores",
    "MapInterval",
    "MeanAP",
    "PseudoQuality",
    "PuAuc",
    "Selection",
    "Support",
    "TopK",
    "average_precision",
    "best_f1_threshold",
    "bootstrap_draws",
    "bootstrap_map",
    "evaluate",
    "f1_at",
    "mean_average_precision",
    "pseudo_quality",
    "pu_auc",
    "pu_recall_at_k",
    "recall_threshold",
    "require_selectable",
    "selection_score",
    "selection_sentence",
    "support",
    "top_k",
]
