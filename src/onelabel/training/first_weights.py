"""The weights that training starts from: random, or those of an earlier run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from onelabel.images.named import IMAGENET_MEAN, IMAGENET_STD
from onelabel.images.transforms import Preprocess
from onelabel.io.errors import OneLabelError
from onelabel.models.backbones import Backbone
from onelabel.models.bundle import Bundle
from onelabel.models.heads import LinearHead, MLPHead, initialise
from onelabel.training.common import observed_prior
from onelabel.training.recipe import Recipe


def first_head(recipe: Recipe, dim: int, backbone: Backbone | None = None) -> LinearHead:
    """Build the head of a run: random with the run's seed, or from ``recipe.earlier``.

    Args:
        recipe: what is trained.
        dim: length of a feature vector.
        backbone: network to be fine-tuned, which gets the weights of ``recipe.earlier`` too; None for
            training on features.

    Raises:
        OneLabelError: the weights of the earlier run do not fit.
    """
    settings, table = recipe.settings, recipe.parts.train
    torch.manual_seed(settings.seed)
    if settings.head == "linear":
        maps = backbone is not None and settings.boostlu != 1
        head = LinearHead(dim, table.num_classes, settings.boostlu, maps)
    else:
        head = MLPHead(dim, table.num_classes, settings.head_width)
    initialise(head, settings.head_init, observed_prior(table))
    if recipe.earlier is not None:
        take_over(recipe.earlier, head, table.class_ids, backbone)
    return head


@torch.no_grad()
def take_over(
    earlier: Bundle, head: LinearHead, class_ids: tuple[str, ...], backbone: Backbone | None
) -> None:
    """Load the weights of an earlier run into a new head, and into its network where both have one.

    The classes may come in another order. A run on features from a file has no network: its head alone is
    taken over.

    Args:
        earlier: model of the earlier run.
        head: changed in place.
        class_ids: classes of ``head``, in order.
        backbone: network to be fine-tuned, changed in place; None for training on features.

    Raises:
        OneLabelError: classes, heads or architectures differ.

    Example:
        >>> from onelabel.labels.table import ClassInfo
        >>> from onelabel.models.bundle import Thresholds
        >>> classes = (ClassInfo("cat", "cat"), ClassInfo("dog", "dog"))
        >>> earlier = Bundle(classes, LinearHead(1, 2), None, Thresholds.not_calibrated(2))
        >>> head = LinearHead(1, 2)
        >>> take_over(earlier, head, ("dog", "cat"), None)
        >>> torch.equal(head.weight, earlier.head.weight.flip(0))
        True
    """
    columns = torch.from_numpy(earlier.columns(class_ids))
    if backbone is not None and earlier.backbone is not None:
        _take_network(earlier.backbone, backbone)
    old, new = _without_maps(earlier.head.describe()), _without_maps(head.describe())
    if old != new:
        raise OneLabelError(f"the head of --init is {old}, this run has {new}: give both the same options")
    state = dict(earlier.head.state_dict())
    state |= {name: state[name][columns] for name in ("weight", "bias")}
    head.load_state_dict(state)


def _take_network(earlier: Backbone, backbone: Backbone) -> None:
    if earlier.fingerprint["architecture"] != backbone.fingerprint["architecture"]:
        raise OneLabelError(
            f"--init holds a network {earlier.spec} and --backbone is {backbone.spec}: give the same"
        )
    backbone.network.load_state_dict(earlier.network.state_dict())


def _without_maps(description: Mapping[str, Any]) -> dict[str, Any]:
    """A boosted head on pooled features goes on on maps."""
    return {key: value for key, value in description.items() if key != "maps"}


def at_photo_size(backbone: Backbone, size: int) -> Backbone:
    """Return the network with photos squashed to ``size`` × ``size``, bilinear, with ImageNet's statistics.

    That is what the papers on one label per image do, at 448, in place of the network's own preprocessing.
    It becomes part of the model: predictions use it too.

    Args:
        backbone: the network.
        size: in pixels.

    Raises:
        OneLabelError: a size that the network cannot read.

    Example:
        >>> from onelabel.models.backbones import load_backbone
        >>> at_photo_size(load_backbone("test_resnet", pretrained=False), 96).preprocess.size
        96
    """
    preprocess = Preprocess(size, "squash", "bilinear", IMAGENET_MEAN, IMAGENET_STD)
    try:
        return Backbone(backbone.network, backbone.kind, backbone.spec, backbone.config, preprocess).eval()
    except (OneLabelError, AssertionError) as error:
        raise OneLabelError(
            f"--photo-size {size}: {backbone.spec} cannot read photos of that size ({error}); a network of "
            "convolutions can"
        ) from None
