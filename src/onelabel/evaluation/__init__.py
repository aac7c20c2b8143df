"""Numbers that only use what is known, and the names of those that do not.

Everything takes (images, classes) scores, logits or probabilities, and labels with +1 known present, 0
unknown, -1 known absent.
"""

from onelabel.evaluation.bootstrap import MapInterval, bootstrap_draws, bootstrap_map
from onelabel.evaluation.calibration import Platt, fit_platt
from onelabel.evaluation.curve import F1Curve, f1_curve
from onelabel.evaluation.ece import CalibrationError, calibration_error
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
from onelabel.evaluation.thresholds import FittedThresholds, fit_thresholds
from onelabel.evaluation.top_k import TopK, top_k

__all__ = [
    "CalibrationError",
    "Evaluation",
    "F1Curve",
    "F1Scores",
    "FittedThresholds",
    "MapInterval",
    "MeanAP",
    "Platt",
    "PseudoQuality",
    "PuAuc",
    "Selection",
    "Support",
    "TopK",
    "average_precision",
    "bootstrap_draws",
    "bootstrap_map",
    "calibration_error",
    "evaluate",
    "f1_at",
    "f1_curve",
    "fit_platt",
    "fit_thresholds",
    "mean_average_precision",
    "pseudo_quality",
    "pu_auc",
    "pu_recall_at_k",
    "require_selectable",
    "selection_score",
    "selection_sentence",
    "support",
    "top_k",
]
