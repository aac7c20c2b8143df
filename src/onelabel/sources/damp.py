"""DAMP pseudo-labels from a store of whole images and tiles: what the method ``aevlp`` trains on."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from onelabel.io.errors import OneLabelError
from onelabel.labels.table import LabelTable
from onelabel.sources.base import STATIC
from onelabel.sources.checked import Checked, checked_positives
from onelabel.sources.damp_rule import Bottom, check_settings, damp_labels, damp_scores
from onelabel.sources.scores import Score, check_score, class_scores, provenance, score_notes
from onelabel.vlm.cosine_cache import CosineCache, open_cosines
from onelabel.vlm.features import FeatureStore, align
from onelabel.vlm.mirror import mirror_bits
from onelabel.vlm.relation import noisy_words
from onelabel.vlm.store import EmbeddingStore
from onelabel.vlm.texts import ClassTexts, Names, as_class_texts


class DampSource:
    """DAMP pseudo-labels: scores of the whole image and its tiles, combined, cut at a threshold and a rank.

    The rule is :func:`~onelabel.sources.damp_rule.damp_scores`, then
    :func:`~onelabel.sources.damp_rule.damp_labels`, on softmax(cosines / τ) of every view. In each epoch
    every view of every image is mirrored or not by a bit of its own, independent of the bit of the
    classifier's image, as published; the bits depend on nothing but seed, epoch, image and view.

    Deviations from the released code, each of which can be had: no noise on the text features
    (``graph_noise``), negatives that are negative and erase no positive (``bottom``, ``erase``), the number κ
    of pseudo-labels need not be known (``top_k``). Vectors come from the store, in float16, in place of the
    encoder; this is the same distribution, as mirroring is all that is random in the released views.

    Source: Tran et al. (2025), https://arxiv.org/abs/2508.20381; code
    https://github.com/Fsoft-AIC/AEVLP (0bad82a). Its settings: τ = 0.01 (CUB 0.1); η₀ = 0 (VOC), 0.3 (COCO,
    NUS-WIDE), 0.005 (CUB); θ = 0.5, 0.5, 0.6, 0.005; κ = 3 (CUB 32); ν = 0.2 (COCO 0.3); views grid:4 (CUB
    grid:5).

    Args:
        store: embeddings of the training images in several views, the whole image first.
        texts: text vectors in the class order of the table, of any length.
        temperature: τ, above 0.
        eta: η₀, from 0 to 1: up to which score of the observed class the largest tile must rise.
        threshold: θ, above 0 and at most 1.
        top_k: κ, most pseudo-labels of an image; None takes it from the checked images among the labels, and
            sets no limit where there are none.
        negatives: ν, share of the classes of each image that become negative pseudo-labels.
        bottom: what those become: "absent", or "unknown" as in the released code.
        erase: whether those lose a positive pseudo-label, as in the released code.
        names: several names of a class: "embedding" (mean vector), "max" or "mean" (of the cosines).
        score: "softmax" over the classes, or "sigmoid" with the model's own scale and bias (SigLIP).
        graph_noise: seed of AEVLP's random graph convolutions on the text features; None for none.
        relation: .npy file (classes, classes) for the graph; by default the cosines of the text features.
        relation_top_k: classes that each class is tied to in the graph; None for all.
        as_released: bottom "unknown", erase, and graph noise (seed 0 unless given), whatever is said above.
        cache: keep the cosines on disk, in the folder of the store, for later runs.
        seed: of the mirror bits; None for the seed of the run.

    Raises:
        OneLabelError: a setting is out of range, the text vectors do not fit the store, or it has one view.

    Example:
        >>> from types import SimpleNamespace
        >>> from onelabel.io.ids import IdTable
        >>> vectors = np.eye(2)[[[0, 0, 1]]]  # one image: a cat on the whole and on a tile, a dog on a tile
        >>> store = SimpleNamespace(
        ...     ids=IdTable.from_strings(["a.jpg"]), dim=2, views=("global", "left", "right"), mirrored=False,
        ...     fingerprint={}, rows=lambda index, mirrored: vectors[index].astype(np.float32),
        ... )
        >>> source = DampSource(store, np.eye(2), threshold=0.4)
        >>> source.start(LabelTable.from_dense(["a.jpg"], ["cat", "dog"], [[1, 0]]))
        >>> labels, never = torch.tensor([[1, 0]], dtype=torch.int8), torch.tensor([False])
        >>> source.pseudo(torch.tensor([0]), labels, never, epoch=1)
        (tensor([[0, 1]], dtype=torch.int8), tensor([[1.0000, 0.5000]]))
    """

    def __init__(
        self,
        store: FeatureStore,
        texts: ClassTexts | ArrayLike | Tensor,
        temperature: float = 0.01,
        eta: float = 0.3,
        threshold: float = 0.5,
        top_k: int | None = None,
        negatives: float = 0.0,
        bottom: Bottom = "absent",
        erase: bool = False,
        names: Names = "embedding",
        score: Score = "softmax",
        graph_noise: int | None = None,
        relation: str | None = None,
        relation_top_k: int | None = None,
        as_released: bool = False,
        cache: bool = False,
        seed: int | None = None,
    ) -> None:
        self._texts = as_class_texts(texts, store.dim)
        check_score(score, temperature, self._texts)
        check_settings(threshold, top_k, negatives, bottom)
        if not 0 <= eta <= 1:
            raise OneLabelError(f"eta must be from 0 to 1, not {eta}")
        if len(store.views) < 2:
            raise OneLabelError(
                "DAMP compares the whole image with tiles, and the store has the whole image alone: make one "
                "with onelabel embed --views grid:4"
            )
        if as_released:
            bottom, erase, graph_noise = "unknown", True, graph_noise or 0
        self._store, self._score, self._temperature, self._eta = store, score, temperature, eta
        self._threshold, self._top_k, self._negatives = threshold, top_k, negatives
        self._bottom: Bottom = bottom
        self._erase, self._as_released, self._cache = erase, as_released, cache
        self._words = self._texts.words(names)
        if graph_noise is not None:
            self._words = noisy_words(self._words, graph_noise, relation, relation_top_k)
        elif relation is not None or relation_top_k is not None:
            raise OneLabelError("a relation of classes serves the graph noise alone: give graph_noise")
        self.provenance = provenance(store, self._words)
        self._seed = seed or 0
        self._rows = np.empty(0, np.int64)
        self._cosines: CosineCache | None = None
        self._checked: Checked | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know about these settings, one sentence each; after :meth:`start`."""
        found = [self._limit_note(), *score_notes(self._score, self._texts)]
        if not self._store.mirrored:
            found.append(
                "the store has no rows for mirror images: the plain views stand for them, which the "
                "published method does not do"
            )
        views = self._store.fingerprint.get("views", "")
        if "+overlap" in views or views.startswith("pyramid"):
            found.append(f"views {views} are not those of the published method, which are grid:4 or grid:5")
        return tuple(found)

    def _limit_note(self) -> str:
        if self._top_k is not None:
            return f"at most {self._top_k} pseudo-labels per image, as given"
        if self._checked is None:
            return (
                "no limit on the pseudo-labels of an image: the number of labels per image is not given, and "
                "too few images are checked to take it from them"
            )
        return (
            f"at most {self._checked.most} pseudo-labels per image: {self._checked.images} checked images "
            f"have {self._checked.mean:.2f} on average"
        )

    def start(self, table: LabelTable) -> None:
        """Find the rows of the images, the limit on pseudo-labels and, where asked for, the cached cosines.

        Raises:
            OneLabelError: images are not in the store, or there is not one text vector for each class.
        """
        if table.num_classes != self._words.num_classes:
            raise OneLabelError(f"texts of {self._words.num_classes} classes for {table.num_classes} classes")
        self._rows = align(self._store, table.ids, "the store of the vision-language model")
        self._checked = checked_positives(table) if self._top_k is None else None
        if self._cache:
            if not isinstance(self._store, EmbeddingStore):
                raise OneLabelError("cosines can be kept beside a store on disk only")
            self._cosines = open_cosines(self._store, self._words)

    def pseudo(
        self,
        index: Tensor,
        labels: Tensor,
        mirrored: Tensor,  # noqa: ARG002 (the published views are mirrored independently of the classifier)
        epoch: int,
    ) -> tuple[Tensor, Tensor]:
        """Return pseudo-labels (B, C) int8, 0 where ``labels`` is not 0, and positive scores (B, C)."""
        rows = index.cpu().numpy()
        cosines = self.cosines(rows, self.bits(rows, epoch)).to(labels.device)
        scores = class_scores(cosines, self._texts, self._score, self._temperature)
        positive, negative = damp_scores(scores, labels, self._eta)
        pseudo = damp_labels(
            positive, negative, threshold=self._threshold, top_k=self._limit(), negatives=self._negatives,
            bottom=self._bottom, erase=self._erase,
        )  # fmt: skip
        return torch.where(labels == 0, pseudo, torch.zeros_like(pseudo)), positive

    def bits(self, rows: NDArray[np.int64], epoch: int) -> NDArray[np.bool_]:
        """Return the mirror bit of every view of some rows of the table in an epoch, (B, V) bool."""
        if epoch == STATIC:
            return np.zeros((len(rows), len(self._store.views)), np.bool_)
        # The classifier's own bit is that of view 0.
        return mirror_bits(self._seed, epoch, rows, range(1, 1 + len(self._store.views)))

    def cosines(self, rows: NDArray[np.int64], bits: NDArray[np.bool_]) -> Tensor:
        """Return the cosines (B, V, C) of rows of the table, each view mirrored or not."""
        bits = bits & self._store.mirrored
        if self._cosines is not None:
            return torch.from_numpy(self._cosines.rows(self._rows[rows], bits))
        return self._words.cosines(torch.from_numpy(self._store.rows(self._rows[rows], bits)))

    def _limit(self) -> int | None:
        if self._top_k is None and self._checked is not None:
            return self._checked.most
        return self._top_k
