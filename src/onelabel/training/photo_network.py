"""Backbone and head as one network, and its scores of photos."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from onelabel.images.transforms import mirror
from onelabel.models.backbones import Backbone
from onelabel.models.heads import LinearHead
from onelabel.models.maps import features_for
from onelabel.training.photo_rows import PhotoBatches

MirrorBits = Callable[[Tensor], Tensor]
"""(B,) rows -> (B,) bool: which images are mirrored."""


class PhotoNetwork(nn.Module):
    """Photos (B, 3, S, S) -> logits (B, C).

    The head and what follows are computed in float32 whatever the precision of the backbone: rounded logits
    would tie, and ties spoil a ranking.

    Args:
        backbone: trained along; changed in place.
        head: the classifier.

    Example:
        >>> from onelabel.models.backbones import load_backbone
        >>> backbone = load_backbone("test_resnet", pretrained=False)
        >>> network = PhotoNetwork(backbone, LinearHead(backbone.dim, 3))
        >>> network(torch.zeros(2, 3, 64, 64)).shape
        torch.Size([2, 3])
    """

    def __init__(self, backbone: Backbone, head: LinearHead) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    def forward(self, photos: Tensor) -> Tensor:
        """Return the logits, float32."""
        features = features_for(self.head, self.backbone, photos)
        with torch.autocast(photos.device.type, enabled=False):
            logits: Tensor = self.head(features.float())
        return logits

    def only_head(self, alone: bool, freeze_batchnorm: bool = True) -> None:
        """Train the head alone, or both.

        Args:
            alone: the weights of the backbone stay as they are.
            freeze_batchnorm: then the backbone is in evaluation mode too, so that BatchNorm keeps its
                statistics; else these move, as in the released code of GR.
        """
        self.backbone.requires_grad_(not alone)
        self.backbone.train(not (alone and freeze_batchnorm))

    @torch.inference_mode()
    def scores(
        self, batches: PhotoBatches, bits: MirrorBits | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (index, logits) on the CPU for each batch, in eval mode and in float32.

        Args:
            batches: the photos.
            bits: which of them are mirrored; by default none.
        """
        self.eval()
        device = self.head.weight.device
        for index, photos in batches:
            seen = photos if bits is None else mirror_some(photos, bits(index))
            yield index, self(seen.to(device)).cpu()

    def all_scores(self, batches: PhotoBatches, rows: int) -> NDArray[np.float32]:
        """Return the logits (N, C) of all photos."""
        logits = np.empty((rows, self.head.out_features), np.float32)
        for index, values in self.scores(batches):
            logits[index.numpy()] = values.numpy()
        return logits


def mirror_some(photos: Tensor, bits: Tensor) -> Tensor:
    """Flip those photos (B, 3, S, S) left to right whose bit (B,) is set.

    Example:
        >>> mirror_some(torch.tensor([[[[1, 2]]], [[[1, 2]]]]), torch.tensor([False, True])).flatten()
        tensor([1, 2, 2, 1])
    """
    return torch.where(bits.to(photos.device)[:, None, None, None], mirror(photos), photos)


@contextmanager
def single_values_spared(network: nn.Module) -> Iterator[None]:
    """Let BatchNorm layers that get one value per channel use their running statistics until ``train()``.

    One value has no variance, and torch raises. It happens in a batch of one image, which the last of an
    epoch may be, where the image has shrunk to one position.
    """
    layers = [layer for layer in network.modules() if isinstance(layer, _BatchNorm)]
    hooks = [layer.register_forward_pre_hook(_spare) for layer in layers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _spare(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    if layer.training and inputs[0].numel() == inputs[0].shape[1]:
        layer.eval()
