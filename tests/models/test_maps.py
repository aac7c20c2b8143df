"""Feature maps: their mean is what the backbone gives, or they are refused."""

from __future__ import annotations

import pytest
import torch

from onelabel.io.errors import OneLabelError
from onelabel.models.backbones import load_backbone
from onelabel.models.heads import LinearHead
from onelabel.models.maps import feature_maps, features_for, require_maps


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet"])
def test_the_mean_of_the_maps_are_the_features(name: str) -> None:
    backbone = load_backbone(name, pretrained=False)
    require_maps(backbone.train())
    assert backbone.training, "the check puts the mode back"
    backbone.eval()
    images = torch.randn(2, 3, backbone.preprocess.size, backbone.preprocess.size)
    maps = feature_maps(backbone, images)
    assert maps.dim() == 4 and maps.shape[2] > 1
    torch.testing.assert_close(maps.mean(dim=(2, 3)), backbone(images), rtol=1e-4, atol=1e-5)
    for reads_maps, wanted in ((True, maps), (False, backbone(images))):
        torch.testing.assert_close(features_for(LinearHead(1, 1, maps=reads_maps), backbone, images), wanted)


@pytest.mark.parametrize("name", ["test_vit", "test_convnext"])
def test_networks_whose_features_are_no_mean_of_maps_are_refused(name: str) -> None:
    with pytest.raises(OneLabelError, match=f"BoostLU needs the feature maps of the backbone, and {name}"):
        require_maps(load_backbone(name, pretrained=False))
