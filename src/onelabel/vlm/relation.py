"""AEVLP's noise on text features: untrained graph convolutions over the relation of the classes."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import leaky_relu, normalize

from onelabel.io.arrays import load_npy
from onelabel.io.errors import OneLabelError
from onelabel.io.tensors import digest_weights
from onelabel.vlm.texts import Words

_HIDDEN, _LEAK = 1024, 0.2


def sparse_relation(matrix: Tensor, keep: int | None = None, weight: float = 0.2) -> Tensor:
    """Return the adjacency of AEVLP's graph: each class with itself and with those most like it.

    In each row the ``keep`` largest entries stay (its own may be one of them) and the others become 0; its
    own is taken out, the rest is scaled to the sum ``weight``, and its own becomes 1 - ``weight``.

    Source: ``get_relation`` in ``models.py`` of https://github.com/Fsoft-AIC/AEVLP (0bad82a), with 20, 62,
    50 and 312 entries for VOC, COCO, NUS-WIDE and CUB. Deviations: of equal entries the earlier class stays;
    a row without any other entry keeps its own alone, where the code divides by 0.

    Args:
        matrix: (C, C) relation of the classes, such as the cosines of their text features.
        keep: entries that stay in each row; None for all.
        weight: share of the other classes, from 0 to 1.

    Returns:
        (C, C) float32.

    Raises:
        OneLabelError: no square matrix of numbers, or ``keep`` or ``weight`` out of range.

    Example:
        >>> sparse_relation(torch.tensor([[1.0, 0.6, 0.2], [0.6, 1.0, 0.1], [0.2, 0.1, 1.0]]), keep=2)
        tensor([[0.8000, 0.2000, 0.0000],
                [0.2000, 0.8000, 0.0000],
                [0.2000, 0.0000, 0.8000]])
    """
    classes = len(matrix)
    if matrix.shape != (classes, classes) or not bool(torch.isfinite(matrix).all()):
        raise OneLabelError(
            f"a relation must be finite numbers (classes, classes), not {tuple(matrix.shape)}"
        )
    keep = classes if keep is None else keep
    if not 1 <= keep <= classes or not 0 <= weight <= 1:
        raise OneLabelError(
            f"keep must be from 1 to {classes} and weight from 0 to 1, not {keep} and {weight}"
        )
    relation = matrix.float()
    order = torch.argsort(relation, dim=1, descending=True, stable=True)[:, :keep]
    kept = torch.zeros_like(relation).scatter(1, order, relation.gather(1, order))
    kept.fill_diagonal_(0)
    sums = kept.sum(dim=1, keepdim=True)
    kept = torch.where(sums == 0, 0.0, kept / sums * weight)
    return kept.fill_diagonal_(1 - weight)


def read_relation(path: str | Path, classes: int) -> Tensor:
    """Read a relation of the classes from a ``.npy`` file, in the order of the labels.

    Raises:
        OneLabelError: there is none, or it is not an array (classes, classes) of finite numbers.
    """
    try:
        matrix = load_npy(path)
    except OneLabelError as error:
        raise OneLabelError(f"the relation cannot be read: {error}") from None
    if matrix.dtype.kind not in "fiu" or matrix.shape != (classes,) * 2:
        raise OneLabelError(f"the relation {path} must be numbers of shape {(classes, classes)}")
    return torch.from_numpy(matrix.astype(np.float32))


def graph_noise(features: Tensor, relation: Tensor, seed: int) -> Tensor:
    """Return text features moved by AEVLP's graph convolutions, which stay as they were drawn.

    t̂ = (t + G(t)) / ‖t + G(t)‖ with G three graph convolutions D → 1024 → 1024 → D: x ← A x W, LeakyReLU of
    slope 0.2 between them, no bias, W uniform in ±1/√(columns of W).

    Source: ``PseudoLabelGeneratorOpenAI`` in ``models.py`` of https://github.com/Fsoft-AIC/AEVLP (0bad82a).
    Deviations: float32 in place of float16, a seed of its own where the code draws without one, and features
    of unit length at the start where the code takes them as long as CLIP gives them (a common length does
    not matter, as G scales with its input).

    Args:
        features: (C, D), of unit length.
        relation: (C, C), of :func:`sparse_relation`.
        seed: of the draw, 0 or more.

    Returns:
        (C, D) float32 of unit length.
    """
    generator = torch.Generator().manual_seed(seed)
    dim = features.shape[1]
    moved = features.float()
    for layer, (rows, columns) in enumerate(((dim, _HIDDEN), (_HIDDEN, _HIDDEN), (_HIDDEN, dim))):
        moved = moved if layer == 0 else leaky_relu(moved, _LEAK)
        weights = (2 * torch.rand(rows, columns, generator=generator) - 1) / math.sqrt(columns)
        moved = relation @ (moved @ weights)
    return normalize(features.float() + moved, dim=1)


def noisy_words(words: Words, seed: int, relation: str | None = None, keep: int | None = None) -> Words:
    """Return the vectors of the classes with :func:`graph_noise` on them.

    Args:
        words: one vector for each class.
        seed: of the draw, 0 or more.
        relation: ``.npy`` file (C, C) of the relation of the classes; None for the cosines of their vectors.
        keep: see :func:`sparse_relation`.

    Raises:
        OneLabelError: classes have several vectors, or the relation cannot be used.
    """
    if words.places is not None:
        raise OneLabelError("graph noise moves one vector for each class: it needs names=embedding or mean")
    if seed < 0:
        raise OneLabelError(f"the seed of the graph noise must be 0 or more, not {seed}")
    vectors = normalize(words.vectors, dim=1)
    matrix = vectors @ vectors.T if relation is None else read_relation(relation, len(vectors))
    graph = sparse_relation(matrix, keep)
    made_of = {**words.fingerprint, "graph noise": f"seed {seed} relation {digest_weights({'graph': graph})}"}
    return Words(graph_noise(vectors, graph, seed), fingerprint=made_of)
