"""From cosines to scores in [0, 1]: a softmax over the classes, or the sigmoid a model was trained with."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from onelabel.io.errors import OneLabelError
from onelabel.vlm.features import FeatureStore
from onelabel.vlm.texts import ClassTexts, Words

Score = Literal["softmax", "sigmoid"]
NO_BIAS = (
    "the vision-language model was trained with a softmax, and its sigmoid scores are no probabilities: "
    "leave --source.score at softmax"
)


def class_scores(cosines: Tensor, texts: ClassTexts, score: Score, temperature: float) -> Tensor:
    """Return the scores of cosines.

    ``softmax``: π = softmax(cosines / τ) over the classes. ``sigmoid``: σ(scale · cosine + bias), with the
    scale and bias that the model was trained with; τ is not used. In float32, or in float64 for float64.

    Source: sigmoid: Zhai et al., "Sigmoid Loss for Language Image Pre-Training", 2023,
    https://arxiv.org/abs/2303.15343.

    Args:
        cosines: (..., C).
        texts: where scale and bias stand.
        score: "softmax" or "sigmoid".
        temperature: τ, above 0.

    Returns:
        (..., C) in [0, 1].

    Example:
        >>> texts = ClassTexts(torch.eye(2), (1, 1), scale=10.0, bias=-1.0)
        >>> class_scores(torch.tensor([[0.1, 0.3]]), texts, "sigmoid", 0.01)
        tensor([[0.5000, 0.8808]])
    """
    wide = cosines if cosines.dtype == torch.float64 else cosines.float()
    if score == "softmax":
        return torch.softmax(wide / temperature, dim=-1)
    scale, bias = required(texts)
    return torch.sigmoid(scale * wide + bias)


def check_score(score: str, temperature: float, texts: ClassTexts) -> None:
    """Check the settings of :func:`class_scores`.

    Raises:
        OneLabelError: an unknown score, a temperature out of range, or a sigmoid without scale and bias.
    """
    if score not in ("softmax", "sigmoid"):
        raise OneLabelError(f"score must be softmax or sigmoid, not {score!r}")
    if not 0 < temperature < math.inf:
        raise OneLabelError(f"temperature must be above 0, not {temperature}")
    if score == "sigmoid":
        required(texts)


def required(texts: ClassTexts) -> tuple[float, float]:
    """Return scale and bias.

    Raises:
        OneLabelError: the model has none.
    """
    if texts.scale is None or texts.bias is None:
        raise OneLabelError(NO_BIAS)
    return texts.scale, texts.bias


def provenance(store: FeatureStore, words: Words) -> dict[str, str]:
    """Return what decides the cosines: the part of the images, then that of the texts."""
    return {**store.fingerprint, **{f"texts: {key}": value for key, value in words.fingerprint.items()}}


def score_notes(score: str, texts: ClassTexts) -> tuple[str, ...]:
    """Say where another score fits the model better."""
    if score == "softmax" and texts.bias is not None:
        return (
            "this vision-language model was trained with a sigmoid for each class: --source.score sigmoid "
            "uses its own scale and bias; a softmax, as published for CLIP, makes classes compete",
        )
    return ()
