"""A trained model: classes, head, backbone, calibration, thresholds, and what is known of its training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from onelabel.images.decode import MAX_PIXELS
from onelabel.images.parts import in_parts
from onelabel.io.errors import ImageError, OneLabelError
from onelabel.labels.table import ClassInfo
from onelabel.models.backbones import Backbone
from onelabel.models.heads import LinearHead
from onelabel.models.maps import features_for, require_maps
from onelabel.models.photos import read_photos

NOT_CALIBRATED = "0.5 (not calibrated)"
UNCALIBRATED = "sigmoid of the logits, not calibrated"
NEVER = float(np.nextafter(np.float32(1), np.float32(2)))
"""Highest threshold: above every probability."""


@dataclass(frozen=True, eq=False)
class Thresholds:
    """From which probability on a class counts as present: probability >= threshold.

    Args:
        values: (C,) float64 within [0, ``NEVER``], in the order of the classes.
        source: where they come from, for people to read.
        fit: what they were fitted to and with, JSON-like; empty where they were not fitted. Its entry
            ``model`` is the SHA-256 of the weights, which binds them to these.

    Example:
        >>> Thresholds.not_calibrated(2).source
        '0.5 (not calibrated)'
    """

    values: NDArray[np.float64]
    source: str
    fit: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def not_calibrated(cls, num_classes: int) -> Thresholds:
        """Return 0.5 for every class, said to be nobody's choice."""
        return cls(np.full(num_classes, 0.5), NOT_CALIBRATED)


@dataclass(frozen=True, eq=False)
class Calibration:
    """Platt curves: probability = σ(slope · logit + intercept).

    Args:
        slope: (C,) finite, above 0.
        intercept: (C,) finite.
        source: where they come from, for people to read.
        fit: as that of :class:`Thresholds`.

    Example:
        >>> Calibration(np.ones(1), np.zeros(1), "by hand").source
        'by hand'
    """

    slope: NDArray[np.float64]
    intercept: NDArray[np.float64]
    source: str
    fit: Mapping[str, Any] = field(default_factory=dict)


def _stop(error: ImageError) -> NoReturn:
    raise error


@dataclass(frozen=True, eq=False)
class Bundle:
    """A trained model, ready to name what is on a photo.

    Args:
        classes: in the order of the logits.
        head: features (B, D) -> logits (B, C).
        backbone: images -> features; None where the head was trained on features of unknown origin.
        thresholds: for decisions.
        method: name and parameters of the training method; JSON-like.
        fingerprints: what the features, embeddings and prompts of the training were, by name; JSON-like.
        facts: what the training recorded (counts of images and labels, metrics); JSON-like, for the card.
        calibration: of the probabilities; without it they are the sigmoid of the logits.

    Raises:
        OneLabelError: the parts do not fit each other.

    Example:
        >>> classes = (ClassInfo("cat", "cat"), ClassInfo("dog", "dog"))
        >>> bundle = Bundle(classes, LinearHead(4, 2), None, Thresholds.not_calibrated(2))
        >>> bundle.score_features(torch.zeros(1, 4)).tolist()
        [[0.0, 0.0]]
        >>> bundle.columns(["dog", "cat"]).tolist()
        [1, 0]
    """

    classes: tuple[ClassInfo, ...]
    head: LinearHead
    backbone: Backbone | None
    thresholds: Thresholds
    method: Mapping[str, Any] = field(default_factory=dict)
    fingerprints: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    calibration: Calibration | None = None

    def __post_init__(self) -> None:
        ids, values = self.class_ids, self.thresholds.values
        if len(set(ids)) != len(ids) or not all(name.strip() for name in ids):
            raise OneLabelError("class ids must be distinct and not blank")
        if self.head.out_features != len(ids):
            raise OneLabelError(f"the head has {self.head.out_features} outputs for {len(ids)} classes")
        if self.backbone is not None and self.backbone.dim != self.head.in_features:
            raise OneLabelError(
                f"the head reads vectors of {self.head.in_features} numbers, "
                f"backbone {self.backbone.spec} gives {self.backbone.dim}"
            )
        if self.head.maps and self.backbone is not None:
            require_maps(self.backbone)
        if values.shape != (len(ids),) or not bool(((values >= 0) & (values <= NEVER)).all()):
            raise OneLabelError(f"thresholds must be {len(ids)} numbers between 0 and 1, one per class")
        if self.calibration is not None:
            slope, intercept = self.calibration.slope, self.calibration.intercept
            fine = slope.shape == intercept.shape == (len(ids),) and bool((slope > 0).all())
            if not fine or not bool((np.isfinite(slope) & np.isfinite(intercept)).all()):
                raise OneLabelError(
                    f"calibration must be {len(ids)} slopes above 0 and intercepts, one per class"
                )

    @property
    def class_ids(self) -> tuple[str, ...]:
        """Ids of the classes in the order of the logits."""
        return tuple(info.id for info in self.classes)

    @property
    def probability_source(self) -> str:
        """What the probabilities are, in words: calibrated on what, or not."""
        return UNCALIBRATED if self.calibration is None else self.calibration.source

    @torch.inference_mode()
    def score(self, images: Tensor) -> Tensor:
        """Return the logits (B, C) of preprocessed images (B, 3, S, S), on the CPU.

        Raises:
            OneLabelError: there is no backbone.
        """
        backbone = self._need_backbone().eval()
        images = images.to(self.head.weight.device)
        return in_parts(lambda part: self.score_features(features_for(self.head, backbone, part)), images)

    @torch.inference_mode()
    def score_features(self, features: Tensor) -> Tensor:
        """Return the logits (B, C) of features (B, D), on the CPU; of maps (B, D, H, W) for a head on maps.

        Raises:
            OneLabelError: the head looks at maps and these are none.
        """
        if self.head.maps and features.dim() != 4:
            raise OneLabelError(
                "this model was trained with BoostLU on feature maps and cannot use pooled features: give it "
                "photos"
            )
        logits: Tensor = self.head.eval()(features.to(self.head.weight.device))
        return logits.float().cpu()

    def predict(
        self,
        paths: Sequence[Path],
        *,
        batch_size: int = 32,
        workers: int = 0,
        max_pixels: int = MAX_PIXELS,
        on_bad_image: Callable[[ImageError], None] = _stop,
    ) -> Iterator[tuple[Path, NDArray[np.float32]]]:
        """Yield (path, probabilities (C,)) of each photo, in order.

        Args:
            paths: image files.
            batch_size: photos per pass through the network.
            workers: extra processes that decode photos.
            max_pixels: larger photos are refused before decoding.
            on_bad_image: called with the error of a photo that cannot be used, which is then left out;
                by default the error is raised.

        Raises:
            OneLabelError: there is no backbone.
            ImageError: names the photo that cannot be used.
        """
        batches = read_photos(
            paths,
            self._need_backbone().preprocess,
            batch_size=batch_size,
            workers=workers,
            max_pixels=max_pixels,
        )
        for rows, pixels, errors in batches:
            for error in errors:
                on_bad_image(error)
            probs = self.probabilities(self.score(pixels)) if rows else ()
            yield from ((paths[row], values) for row, values in zip(rows, probs, strict=True))

    def probabilities(self, logits: Tensor) -> NDArray[np.float32]:
        """Return the probabilities (…, C) of logits, calibrated where the model has a calibration."""
        values = logits.detach().cpu().double()
        if self.calibration is not None:
            slope, intercept = map(torch.from_numpy, (self.calibration.slope, self.calibration.intercept))
            values = values * slope + intercept
        return torch.sigmoid(values).float().numpy()

    def decide(self, probs: NDArray[np.float32]) -> NDArray[np.int8]:
        """Return +1 where a probability (…, C) reaches the threshold of its class, else -1."""
        return np.where(probs >= self.thresholds.values, 1, -1).astype(np.int8)

    def columns(self, class_ids: Sequence[str]) -> NDArray[np.int64]:
        """Return the column of the logits for each class id, so that ``logits[:, columns]`` is in that order.

        Raises:
            OneLabelError: the ids are not exactly those of this model; names the difference.
        """
        ours = {name: column for column, name in enumerate(self.class_ids)}
        unknown = [name for name in class_ids if name not in ours]
        lacking = sorted(ours.keys() - set(class_ids))
        if unknown or lacking:
            raise OneLabelError(
                f"the classes differ: the model does not know {_some(unknown)}; "
                f"the labels do not have {_some(lacking)}"
            )
        return np.array([ours[name] for name in class_ids], np.int64)

    def _need_backbone(self) -> Backbone:
        if self.backbone is None:
            raise OneLabelError(
                "this model was trained on features from a file and cannot read photos: "
                "train on a store made by onelabel embed to get one that can"
            )
        return self.backbone


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:5])) or "none"
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown
