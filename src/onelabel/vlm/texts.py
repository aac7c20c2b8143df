"""The text side of a pseudo-label source: vectors of the classes, made once for each list of classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.nn.functional import normalize

from onelabel.io.errors import OneLabelError
from onelabel.io.tensors import digest_weights
from onelabel.labels.table import ClassInfo
from onelabel.vlm.encoder import Encoder
from onelabel.vlm.prompts import DEFAULT_TEMPLATES, name_features, text_fingerprint

Names = Literal["embedding", "max", "mean"]


@dataclass(frozen=True)
class ClassTexts:
    """Text vectors of every name of every class, and how the model that made them scores a cosine.

    Args:
        vectors: (K, D), one for each name, the names of a class one after the other.
        counts: number of names of each of the C classes; they sum to K.
        scale: factor on a cosine that the model was trained with, or None where it is not known.
        bias: what is added after the scale (SigLIP), or None for a model without.
        fingerprint: what decides the vectors, part by part.
    """

    vectors: Tensor
    counts: tuple[int, ...]
    scale: float | None = None
    bias: float | None = None
    fingerprint: dict[str, str] = field(default_factory=dict)

    @property
    def dim(self) -> int:
        """Length D of a vector."""
        return int(self.vectors.shape[1])

    def words(self, names: Names = "embedding") -> Words:
        """Say how the names of a class make one cosine.

        Args:
            names: ``"embedding"``: the cosine with the mean of the vectors, brought to unit length;
                ``"max"`` or ``"mean"``: the largest or the mean cosine over the names. A class with one name
                has the same cosine in all three.

        Raises:
            OneLabelError: another word.
        """
        made_of = {**self.fingerprint, "combined": names}
        if names == "embedding":
            means = [group.mean(dim=0) for group in torch.split(self.vectors, list(self.counts))]
            return Words(normalize(torch.stack(means), dim=1), fingerprint=made_of)
        if names not in ("max", "mean"):
            raise OneLabelError(f"names is {names!r}; it must be embedding, max or mean")
        unit = normalize(self.vectors, dim=1)
        if names == "mean":  # a mean of cosines is the inner product with the mean vector
            means = [group.mean(dim=0) for group in torch.split(unit, list(self.counts))]
            return Words(torch.stack(means), fingerprint=made_of)
        starts = torch.tensor([0, *self.counts]).cumsum(0)[:-1]
        steps = torch.arange(max(self.counts))
        # A class with fewer names has its last one repeated, which no maximum sees.
        places = starts[:, None] + torch.minimum(steps, torch.tensor(self.counts)[:, None] - 1)
        return Words(unit, places, made_of)


@dataclass(frozen=True)
class Words:
    """Vectors whose inner products with image vectors are the cosines of the classes.

    Args:
        vectors: (C, D), or (K, D) with ``places``.
        places: (C, names) rows of ``vectors``, of whose cosines the largest counts; or None.
        fingerprint: what decides the cosines on the side of the texts, part by part.
    """

    vectors: Tensor
    places: Tensor | None = None
    fingerprint: dict[str, str] = field(default_factory=dict)

    @property
    def num_classes(self) -> int:
        """Number C of classes."""
        return len(self.vectors if self.places is None else self.places)

    def cosines(self, images: Tensor) -> Tensor:
        """Return (..., C) for image vectors (..., D), which are brought to unit length.

        Example:
            >>> Words(torch.eye(2)).cosines(torch.tensor([[3.0, 4.0]]))
            tensor([[0.6000, 0.8000]])
        """
        cosines = normalize(images, dim=-1) @ self.vectors.T
        return cosines if self.places is None else cosines[..., self.places].amax(dim=-1)


def class_texts(
    encoder: Encoder, classes: Sequence[ClassInfo], templates: Sequence[str] = DEFAULT_TEMPLATES
) -> ClassTexts:
    """Encode every prompt of every class once.

    Args:
        encoder: the text tower.
        classes: the C classes, whose names are the display name and the synonyms.
        templates: texts that hold ``{}`` once.

    Raises:
        OneLabelError: a template is not one, or a class has no name.
    """
    vectors, counts = name_features(encoder, classes, templates)
    fingerprint = text_fingerprint(encoder, classes, templates)
    return ClassTexts(vectors, counts, encoder.logit_scale, encoder.logit_bias, fingerprint)


def as_class_texts(texts: ClassTexts | ArrayLike | Tensor, dim: int) -> ClassTexts:
    """Take vectors (C, D) of any length as classes of one name each, and check that they fit the images.

    Raises:
        OneLabelError: they are no matrix of ``dim`` columns.
    """
    if not isinstance(texts, ClassTexts):
        vectors = torch.as_tensor(texts).float()
        digest = digest_weights({"vectors": vectors})
        texts = ClassTexts(vectors, (1,) * len(vectors), fingerprint={"vectors": digest})
    if texts.vectors.ndim != 2 or texts.dim != dim:
        raise OneLabelError(
            f"text vectors of shape {tuple(texts.vectors.shape)} do not fit embeddings of {dim} dimensions: "
            "the store was made with another encoder"
        )
    return texts
