"""Vision-language pseudo-labels (VLPL): the rule, and the source that applies it to a store of embeddings."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from onelabel.io.errors import OneLabelError
from onelabel.labels.table import ClassInfo, LabelTable
from onelabel.sources.scores import Score, check_score, class_scores, provenance, score_notes
from onelabel.vlm.encoder import Encoder
from onelabel.vlm.features import FeatureStore, align
from onelabel.vlm.made_by import require_made_by
from onelabel.vlm.prompts import DEFAULT_TEMPLATES
from onelabel.vlm.store import EmbeddingStore
from onelabel.vlm.texts import ClassTexts, Names, as_class_texts, class_texts

TEMPERATURE, THRESHOLD = 0.01, 0.3
_ROWS_AT_ONCE = 8192
_LARGEST_CACHE = 1 << 31  # bytes


def vlpl_rule(
    cosines: Tensor,
    *,
    temperature: float = TEMPERATURE,
    threshold: float = THRESHOLD,
    negative_fraction: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Turn image-text cosines into pseudo-labels.

    π = softmax(cosines / τ) over the C classes of each image. Pseudo-label +1 where π > θ; then the
    ⌊δ·C⌋ classes of smallest π are set to -1, overriding; 0 elsewhere. Computed in float32, or in float64
    for float64 cosines. Where π ties after rounding, the smaller cosine, then the earlier class, counts
    as smaller.

    Source: Xing et al., "Vision-Language Pseudo-Labels for Single-Positive Multi-Label Learning", 2023,
    https://arxiv.org/abs/2310.15985; code https://github.com/mvrl/VLPL (ed09b59), ``models.py``. There the
    negatives belong to the CLIP backbone only and the released loss ignores them.

    Args:
        cosines: (B, C), inner products of unit image and text vectors.
        temperature: τ, above 0.
        threshold: θ, above 0 and below 1.
        negative_fraction: δ, from 0 to 1.

    Returns:
        Pseudo-labels (B, C) int8 and probabilities π (B, C).

    Raises:
        OneLabelError: a setting is out of range.

    Example:
        >>> pseudo, probability = vlpl_rule(torch.tensor([[0.30, 0.29, 0.20]]), negative_fraction=0.34)
        >>> pseudo, probability
        (tensor([[ 1,  0, -1]], dtype=torch.int8), tensor([[0.7310, 0.2689, 0.0000]]))
    """
    check_settings(temperature, threshold, negative_fraction)
    wide = cosines if cosines.dtype == torch.float64 else cosines.float()
    probability = torch.softmax(wide / temperature, dim=1)
    return vlpl_labels(wide, probability, threshold, negative_fraction), probability


def vlpl_labels(cosines: Tensor, probability: Tensor, threshold: float, negative_fraction: float) -> Tensor:
    """Decide as :func:`vlpl_rule`, on probabilities that grow with the cosines; (B, C) int8."""
    pseudo = (probability > threshold).to(torch.int8)
    negatives = int(negative_fraction * cosines.shape[1])
    smallest = torch.argsort(cosines, dim=1, stable=True)[:, :negatives]
    return pseudo.scatter(1, smallest, -1)


def check_settings(temperature: float, threshold: float, negative_fraction: float) -> None:
    """Check the ranges of the settings of :func:`vlpl_rule`.

    Raises:
        OneLabelError: names the setting and its range.
    """
    if not 0 < temperature < math.inf:
        raise OneLabelError(f"temperature must be above 0, not {temperature}")
    if not 0 < threshold < 1:
        raise OneLabelError(f"threshold must be above 0 and below 1, not {threshold}")
    if not 0 <= negative_fraction <= 1:
        raise OneLabelError(f"the fraction of negatives must be from 0 to 1, not {negative_fraction}")


def most_positives(threshold: float) -> int:
    """Return how many labels of one image can exceed a threshold: ⌈1/θ⌉ - 1, as probabilities sum to 1.

    Example:
        >>> most_positives(0.3), most_positives(0.1), most_positives(0.5)
        (3, 9, 1)
    """
    return math.ceil(1 / threshold) - 1


class VlplSource:
    """VLPL pseudo-labels from a store of image embeddings.

    Cosines are computed once, when training starts, and kept in memory as float32 (rows × 2 × C) unless that
    would take more than 2 GiB; then they are computed batch by batch.

    Deviations from the released code, which embeds every image anew in each step: the embedding comes from
    the store, in float16, and the row of the mirror image is taken where the classifier sees that image;
    this is the same distribution. Without mirrored rows the plain row stands for both, which is not.

    Args:
        store: embeddings of the training images; of several views, the whole image counts.
        texts: (C, D) text vectors, in the class order of the table; brought to unit length.
        temperature: τ, above 0.
        threshold: θ, above 0 and below 1.
        negatives: δ, share of the classes of each image that become negative pseudo-labels, from 0 to 1.
        names: several names of a class: "embedding" (mean vector), "max" or "mean" (of the cosines).
        score: "softmax" over the classes, or "sigmoid" with the model's own scale and bias (SigLIP).

    Raises:
        OneLabelError: a setting is out of range, or the text vectors do not fit the store.

    Example:
        >>> from onelabel.io.ids import IdTable
        >>> from onelabel.vlm.features import ArrayStore
        >>> store = ArrayStore(IdTable.from_strings(["a.jpg", "b.jpg"]), np.eye(2))
        >>> source = VlplSource(store, np.eye(2))
        >>> source.start(LabelTable.from_dense(["a.jpg", "b.jpg"], ["cat", "dog"], [[1, 0], [1, 0]]))
        >>> labels = torch.tensor([[1, 0], [1, 0]], dtype=torch.int8)
        >>> source.pseudo(torch.arange(2), labels, torch.zeros(2, dtype=torch.bool), epoch=1)[0].tolist()
        [[0, 0], [0, 1]]
    """

    def __init__(
        self,
        store: FeatureStore,
        texts: ClassTexts | ArrayLike | Tensor,
        temperature: float = TEMPERATURE,
        threshold: float = THRESHOLD,
        negatives: float = 0.0,
        names: Names = "embedding",
        score: Score = "softmax",
    ) -> None:
        check_settings(temperature, threshold, negatives)
        self._texts = as_class_texts(texts, store.dim)
        check_score(score, temperature, self._texts)
        self._words = self._texts.words(names)
        self.provenance = provenance(store, self._words)
        self._store, self._score, self._temperature = store, score, temperature
        self._threshold, self._negatives = threshold, negatives
        self._rows = np.empty(0, np.int64)
        self._cosines: NDArray[np.float32] | None = None

    @classmethod
    def from_encoder(
        cls,
        store: EmbeddingStore,
        encoder: Encoder,
        classes: Sequence[ClassInfo],
        templates: Sequence[str] = DEFAULT_TEMPLATES,
        *,
        temperature: float = TEMPERATURE,
        threshold: float = THRESHOLD,
        negatives: float = 0.0,
    ) -> VlplSource:
        """Build the source for the classes of a table, with the text tower of the store's own encoder.

        Args:
            store: embeddings of the training images.
            encoder: what the store was made with.
            classes: the classes in the order of the table.
            templates: texts that hold ``{}`` once.
            temperature: as for the class.
            threshold: as for the class.
            negatives: as for the class.

        Raises:
            OneLabelError: the store was made with another encoder, or a template or setting is wrong.
        """
        check_settings(temperature, threshold, negatives)
        require_made_by(store, encoder)
        texts = class_texts(encoder, classes, templates)
        return cls(store, texts, temperature, threshold, negatives)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know about these settings, one sentence each."""
        most = min(most_positives(self._threshold), self._words.num_classes)
        notes = list(score_notes(self._score, self._texts))
        if self._score == "softmax":
            notes.append(
                f"a threshold of {self._threshold:g} admits at most {most} pseudo-labels per image, because "
                "the probabilities sum to 1 over the classes"
            )
        if not self._store.mirrored:
            notes.append(
                "the store has no rows for mirror images: the plain image also stands for its mirror image, "
                "which the published method does not do"
            )
        return tuple(notes)

    def start(self, table: LabelTable) -> None:
        """Find the rows of the images and compute their cosines.

        Raises:
            OneLabelError: images are not in the store, or there is not one text vector for each class.
        """
        if table.num_classes != self._words.num_classes:
            raise OneLabelError(f"{self._words.num_classes} text vectors for {table.num_classes} classes")
        self._rows = align(self._store, table.ids, "the store of the vision-language model")
        self._cosines = None
        shape = (len(table), 1 + self._store.mirrored, table.num_classes)
        if 4 * math.prod(shape) <= _LARGEST_CACHE:
            self._cosines = self._all_cosines(shape)

    def pseudo(
        self,
        index: Tensor,
        labels: Tensor,
        mirrored: Tensor,
        epoch: int,  # noqa: ARG002 (part of the interface; the rule is the same in every epoch)
    ) -> tuple[Tensor, Tensor]:
        """Return pseudo-labels (B, C) int8, 0 where ``labels`` is not 0, and probabilities (B, C) float32."""
        rows = index.cpu().numpy()
        bits = mirrored.cpu().numpy() & self._store.mirrored
        known = self._cosines
        cosines = self._compute(rows, bits) if known is None else known[rows, bits.astype(np.intp)]
        found = torch.from_numpy(cosines).to(labels.device)
        probability = class_scores(found, self._texts, self._score, self._temperature)
        pseudo = vlpl_labels(found, probability, self._threshold, self._negatives)
        return torch.where(labels == 0, pseudo, torch.zeros_like(pseudo)), probability

    def _all_cosines(self, shape: tuple[int, int, int]) -> NDArray[np.float32]:
        cosines = np.empty(shape, np.float32)
        for start in range(0, shape[0], _ROWS_AT_ONCE):
            rows = np.arange(start, min(shape[0], start + _ROWS_AT_ONCE))
            for bit in range(shape[1]):
                cosines[rows, bit] = self._compute(rows, np.full(len(rows), bool(bit)))
        return cosines

    def _compute(self, rows: NDArray[np.int64], bits: NDArray[np.bool_]) -> NDArray[np.float32]:
        images = torch.from_numpy(self._store.rows(self._rows[rows], bits[:, None])[:, 0])
        cosines: NDArray[np.float32] = self._words.cosines(images).numpy()
        return cosines
