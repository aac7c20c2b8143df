"""Checkpoints with the names of the released codes: the same logits, and nothing in them is ever run."""

from __future__ import annotations

import collections
import pickle
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import resnet50  # type: ignore[import-untyped]

from onelabel.io.errors import OneLabelError
from onelabel.models.released import PREPROCESS, read_checkpoint

CLASSES = 5


class FCNet(nn.Module):
    """The head of VLPL's class: a linear layer called ``fc``."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(2048, CLASSES)

    def forward(self, features: Tensor) -> Tensor:
        logits: Tensor = self.fc(features)
        return logits


class VlplClassifier(nn.Module):
    """Parts and their names as in VLPL's ``ImageClassifier`` for ``resnet50``; two weights stand for CLIP."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.vision_extractor = nn.Sequential(*list(network.children())[:-1])
        self.vision_extractor.avgpool = nn.AdaptiveAvgPool2d(1)
        self.feature_extractor = nn.Module()
        self.feature_extractor.vision_model = nn.Linear(3, 4)
        self.linear_classifier = FCNet()

    def forward(self, photos: Tensor) -> Tensor:
        logits: Tensor = self.linear_classifier(self.vision_extractor(photos).flatten(1))
        return logits


class AevlpClassifier(nn.Module):
    """The same of AEVLP's, which is GR's: the maps are pooled outside the numbered children."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.feature_extractor = nn.Sequential(*list(network.children())[:-2])
        self.linear_classifier = nn.Linear(2048, CLASSES)

    def forward(self, photos: Tensor) -> Tensor:
        logits: Tensor = self.linear_classifier(self.feature_extractor(photos).mean(dim=(2, 3)))
        return logits


@pytest.fixture(scope="module")
def network() -> nn.Module:
    """torchvision's ResNet-50, random, with running statistics that are not those of a new network."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        network: nn.Module = resnet50(weights=None)
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.running_mean.normal_(0, 0.1)  # type: ignore[union-attr]
                layer.running_var.uniform_(0.5, 1.5)  # type: ignore[union-attr]
    return network.eval()


@pytest.fixture(scope="module")
def photos() -> Tensor:
    return torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))


def small(model: nn.Module) -> dict[str, Tensor]:
    """Weights of the right names and shapes that take no room in a file."""
    return {
        key: torch.zeros((), dtype=value.dtype).expand(value.shape)
        for key, value in model.state_dict().items()
    }


def settings(**more: Any) -> dict[str, Any]:
    """What AEVLP's code keeps beside the weights, in part."""
    known = {"arch": "resnet50", "dataset": "pascal", "num_epochs": 8, "lr": 1e-5, "lam": [0.7, 0.4]}
    return {**known, "save_path": "./results", **more}


@torch.inference_mode()
def test_vlpl_gives_the_same_logits(network: nn.Module, photos: Tensor, tmp_path: Path) -> None:
    model = VlplClassifier(network).eval()
    assert {"vision_extractor.0.weight", "linear_classifier.fc.bias"} <= model.state_dict().keys()
    torch.save(model.state_dict(), tmp_path / "best.pt")
    found = read_checkpoint(tmp_path / "best.pt", "vlpl")
    assert (found.left_out, found.settings, found.head.out_features) == (2, {}, CLASSES)
    torch.testing.assert_close(found.head(found.backbone(photos)), model(photos), rtol=1e-4, atol=1e-4)
    assert found.backbone.preprocess == PREPROCESS and PREPROCESS.size == 448


@torch.inference_mode()
def test_aevlp_gives_the_same_logits(network: nn.Module, photos: Tensor, tmp_path: Path) -> None:
    model = AevlpClassifier(network).eval()
    assert {"feature_extractor.7.2.bn3.running_var", "linear_classifier.weight"} <= model.state_dict().keys()
    torch.save((model.state_dict(), settings()), tmp_path / "bestmodel.pt")
    found = read_checkpoint(tmp_path / "bestmodel.pt", "aevlp")
    assert found.settings == {"arch": "resnet50", "dataset": "pascal", "num_epochs": 8, "lr": 1e-5}
    torch.testing.assert_close(found.head(found.backbone(photos)), model(photos), rtol=1e-4, atol=1e-4)


class Munch(dict):  # type: ignore[type-arg]
    """``munch.Munch`` as a pickle sees it: a dictionary whose state is its content."""

    def __getstate__(self) -> dict[str, Any]:
        return dict(self)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.update(state)


@pytest.fixture
def munch(monkeypatch: pytest.MonkeyPatch) -> type[Munch]:
    module = types.ModuleType("munch")
    monkeypatch.setattr(Munch, "__module__", "munch")
    module.Munch = Munch  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "munch", module)
    return Munch


def test_settings_of_a_class_of_theirs_and_both_wrappers_are_read(
    network: nn.Module, munch: type[Munch], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = {f"module.f.{key}": value for key, value in small(AevlpClassifier(network)).items()}
    torch.save((state, munch(settings(dataset="evil\x1b[2J"))), tmp_path / "bestmodel.pt")
    monkeypatch.delitem(sys.modules, "munch")  # a reader does not have it
    found = read_checkpoint(tmp_path / "bestmodel.pt", "aevlp")
    assert found.settings["dataset"] == "evil?[2J"
    assert "munch" not in sys.modules
    assert "munch.Munch" not in str(torch.serialization.get_safe_globals())


class Bomb:
    """Unpickled, it would make a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.target,)


class Call:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.function, self.arguments


@pytest.mark.parametrize("way", ["zip", "old", "plain"])
def test_a_pickle_that_would_run_code_is_refused_in_one_line(tmp_path: Path, way: str) -> None:
    target, file = tmp_path / "hit", tmp_path / "evil.pt"
    content = (collections.OrderedDict(a=torch.zeros(1)), {"dataset": Bomb(target)})
    if way == "plain":
        # A pickle without torch around it, as a checkpoint renamed to .pt would be.
        file.write_bytes(pickle.dumps(Bomb(target)))
    else:
        torch.save(content, file, _use_new_zipfile_serialization=way == "zip")
    with pytest.raises(OneLabelError) as caught:
        read_checkpoint(file, "aevlp")
    assert not target.exists()
    message = str(caught.value)
    assert "\n" not in message and "evil.pt" in message
    assert "would call" in message or "cannot be read as a file of plain weights" in message


def test_the_name_of_what_would_be_called_is_said(tmp_path: Path) -> None:
    torch.save({"a": Call(eval, "1")}, tmp_path / "evil.pt")
    with pytest.raises(OneLabelError, match=r"is refused: reading it would call eval"):
        read_checkpoint(tmp_path / "evil.pt", "vlpl")


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04broken", b"\x80\x02."])
def test_no_checkpoint_at_all(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.pt").write_bytes(content)
    with pytest.raises(OneLabelError, match="cannot be read as a file of plain weights") as caught:
        read_checkpoint(tmp_path / "a.pt", "vlpl")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [[1], {}, {"a": 1}, {1: torch.zeros(1)}, (torch.zeros(1), 2)])
def test_other_content_than_weights_by_name(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(OneLabelError, match="holds no weights by name"):
        read_checkpoint(tmp_path / "a.pt", "aevlp")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda state: state.pop("feature_extractor.4.0.conv1.weight"),
         "unknown weights: none; missing weights: feature_extractor.4.0.conv1.weight"),
        (lambda state: state.update(more=torch.zeros(1)), "unknown weights: more; missing weights: none"),
        (lambda state: state.update({"linear_classifier.bias": torch.zeros(CLASSES + 1)}),
         r"linear_classifier.bias has shape \(6,\)"),
        (lambda state: state.update({"linear_classifier.weight": torch.zeros(CLASSES, 9)}), "shape"),
        (lambda state: state.update({"linear_classifier.bias": torch.full((5,), torch.nan)}), "not finite"),
        (lambda state: state.update({"feature_extractor.1.bias": torch.zeros(1).expand(1 << 50)}), "shape"),
        (lambda state: state.update({"feature_extractor.1.bias": torch.zeros(64).to_sparse()}), "shape"),
    ],
)  # fmt: skip
def test_weights_that_do_not_fit_are_named(
    network: nn.Module, tmp_path: Path, change: Any, expected: str
) -> None:
    state = small(AevlpClassifier(network))
    change(state)
    torch.save((state, {}), tmp_path / "a.pt")
    with pytest.raises(OneLabelError, match=expected):
        read_checkpoint(tmp_path / "a.pt", "aevlp")


def test_the_wrong_code_or_network_is_said(network: nn.Module, tmp_path: Path) -> None:
    state = small(AevlpClassifier(network))
    torch.save((state, settings(arch="convnext_xlarge_1k")), tmp_path / "a.pt")
    with pytest.raises(OneLabelError, match="says that it holds a convnext_xlarge_1k"):
        read_checkpoint(tmp_path / "a.pt", "aevlp")
    torch.save(state, tmp_path / "b.pt")
    with pytest.raises(
        OneLabelError, match=r"not a resnet50 checkpoint like vlpl .*: unknown weights: linear"
    ):
        read_checkpoint(tmp_path / "b.pt", "vlpl")
    with pytest.raises(OneLabelError, match="unknown checkpoint 'gr'"):
        read_checkpoint(tmp_path / "b.pt", "gr")
