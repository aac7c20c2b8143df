"""The first half of the embedded example: scenes, labels, embeddings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from onelabel.demo.folder import IMAGES, LABELS, write_scenes
from onelabel.demo.plan import TILES, VIEWS, WHOLE, Plan
from onelabel.demo.tiny_clip import tiny_clip
from onelabel.evaluation.metrics import mean_average_precision
from onelabel.labels import LabelTable, save_labels, simulate_single_positives
from onelabel.training.embedding import embed_photos
from onelabel.vlm.encoder import load_encoder
from onelabel.vlm.prompts import text_features
from onelabel.vlm.store import EmbeddingStore

SCENES, STORE, TILE_STORE = "scenes", "store", "tiles"
TEMPLATE = "a photo of a {}."


@dataclass(frozen=True)
class Scenes:
    """What lies in the folder of the example before anything is trained.

    Args:
        folder: the folder.
        full: all labels of all scenes.
    """

    folder: Path
    full: LabelTable

    @property
    def images(self) -> str:
        """The pictures."""
        return str(self.folder / SCENES / IMAGES)

    @property
    def store(self) -> str:
        """The embeddings of all pictures by the tiny model."""
        return str(self.folder / STORE)

    def vlm_store(self, source: str) -> str:
        """Return the embeddings that a source of pseudo-labels reads.

        Those of whole scenes are the features themselves, as one model makes both.
        """
        return {WHOLE: self.store, TILES: str(self.folder / TILE_STORE)}[source]

    def labels_file(self, labels: str, seed: int) -> str:
        """Return the label file of a run: "full", or "single" (one positive per training scene)."""
        return str(self.folder / (f"{SCENES}/{LABELS}" if labels == "full" else f"single-{seed}.csv"))

    def table(self, labels: str, seed: int) -> LabelTable:
        """Return what that file holds."""
        return self.full if labels == "full" else simulate_single_positives(self.full, seed=seed)


def draw(folder: Path, plan: Plan) -> Scenes:
    """Draw the scenes; write their labels complete, and for each seed one positive per training scene."""
    scenes = Scenes(folder, write_scenes(folder / SCENES, plan.counts))
    for seed in range(plan.seeds):
        save_labels(scenes.table("single", seed), scenes.labels_file("single", seed))
    return scenes


def embed(scenes: Scenes) -> EmbeddingStore:
    """Encode with the tiny model every scene, the tiles of the training scenes, and mirror images of both."""
    embed_views(scenes, scenes.full.part("train"), scenes.vlm_store(TILES), VIEWS)
    return embed_views(scenes, scenes.full, scenes.store, "global")


def embed_views(scenes: Scenes, table: LabelTable, out: str, views: str) -> EmbeddingStore:
    """Encode some views of the scenes of a table."""
    return embed_photos(
        table, scenes.images, out, kind="open_clip", spec=tiny_clip(), mirrored=True, views=views,
        batch_size=64, workers=0, max_pixels=10**6, device="cpu", overwrite=False,
    )  # fmt: skip


def zero_shot(store: EmbeddingStore, test: LabelTable) -> float:
    """Return the test mAP of the tiny model alone: scenes ranked by their cosine with each class name."""
    texts = text_features(load_encoder(tiny_clip()), test.classes, (TEMPLATE,)).numpy()
    images = store.rows(store.ids.rows_of(test.ids))[:, 0]
    return mean_average_precision(np.asarray(images @ texts.T), test.dense()).value
