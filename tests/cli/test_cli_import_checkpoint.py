"""``onelabel import-checkpoint``: a checkpoint with the released names becomes a model for all commands."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.models import resnet50  # type: ignore[import-untyped]

from desk import Desk
from onelabel.cli import main
from onelabel.images.decode import decode
from onelabel.labels.datasets.voc import CLASSES as VOC
from onelabel.models.bundle_read import load_bundle
from onelabel.models.released import PREPROCESS
from workshop import COLOURS


class Classifier(nn.Module):
    """The parts of AEVLP's ``ImageClassifier``, under their names."""

    def __init__(self) -> None:
        super().__init__()
        self.feature_extractor = nn.Sequential(*list(resnet50(weights=None).children())[:-2])
        self.linear_classifier = nn.Linear(2048, len(COLOURS))

    def forward(self, photos: Tensor) -> Tensor:
        logits: Tensor = self.linear_classifier(self.feature_extractor(photos).mean(dim=(2, 3)))
        return logits


@pytest.fixture
def model() -> Classifier:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return Classifier().eval()


def test_from_checkpoint_to_scores_and_tags(desk: Desk, model: Classifier) -> None:
    torch.save((model.state_dict(), {"dataset": "pascal"}), "bestmodel.pt")
    desk.write("classes.txt", "\n".join(COLOURS))
    command = ["import-checkpoint", "bestmodel.pt", "--like", "aevlp", "--classes", "classes.txt", "--out"]
    assert main([*command, "model"]) == 0
    assert "the file says: dataset pascal" in desk.capsys.readouterr().out
    photos = sorted(Path("photos").rglob("*.png"))[:1]
    with torch.inference_mode():
        theirs = torch.sigmoid(model(torch.stack([PREPROCESS(decode(photo)) for photo in photos])))
    assert main(["predict", "model", *map(str, photos), "--out", "tags.csv"]) == 0
    with Path("tags.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    ours = np.array([float(row["probability"]) for row in rows]).reshape(len(photos), -1)
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    assert [row["class"] for row in rows[: len(COLOURS)]] == list(COLOURS)
    desk.write(
        "one.csv", "".join(["image,class\n", *(f"{photo.relative_to('photos')},red\n" for photo in photos)])
    )
    scored = ["evaluate", "model", "one.csv", "--exhaustive", "--images", "photos", "--json", "out.json"]
    assert main(scored) == 0
    assert json.loads(Path("out.json").read_text())["classes"] == len(COLOURS)
    bundle = load_bundle("model")
    assert bundle.facts["imported_from"].startswith("Fsoft-AIC/AEVLP")
    assert "import-checkpoint" not in desk.complaint(*command, "model")  # it exists already


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--like", "aevlp"], "give either --classes FILE or --data DIR"),
        (["--like", "aevlp", "--classes", "c.txt", "--data", "photos"], "give either"),
        (["--like", "gr", "--classes", "c.txt"], "--like"),
        (["--like", "vlpl", "--classes", "none.txt"], "none.txt"),
        (["--like", "vlpl", "--data", "full.csv"], "no published data set"),
        (["--like", "vlpl", "--classes", "c.txt"], "cannot be read as a file of plain weights"),
    ],
)
def test_mistakes(desk: Desk, options: list[str], expected: str) -> None:
    desk.write("c.txt", "a\nb\n")
    desk.write("a.pt", "this is text")
    assert expected in desk.complaint("import-checkpoint", "a.pt", *options, "--out", "out")


def test_the_number_of_classes_must_be_that_of_the_checkpoint(desk: Desk, model: Classifier) -> None:
    state = {key: torch.zeros((), dtype=v.dtype).expand(v.shape) for key, v in model.state_dict().items()}
    torch.save((state, {}), "a.pt")
    desk.write("c.txt", "a\nb\n")
    command = ["import-checkpoint", "a.pt", "--like", "aevlp", "--out", "out"]
    assert "a.pt has 4 outputs, c.txt names 2 classes" in desk.complaint(*command, "--classes", "c.txt")
    lists = Path("voc/VOCdevkit/VOC2012/ImageSets/Main")
    lists.mkdir(parents=True)
    for name in VOC:
        (lists / f"{name}_train.txt").write_text("a 1\n")
    assert "a.pt has 4 outputs, voc names 20 classes" in desk.complaint(*command, "--data", "voc")


def test_an_image_is_no_checkpoint(desk: Desk) -> None:
    Image.new("RGB", (8, 8)).save("a.pt", format="png")
    desk.write("c.txt", "a\nb\n")
    desk.complaint("import-checkpoint", "a.pt", "--like", "vlpl", "--classes", "c.txt", "--out", "out")
