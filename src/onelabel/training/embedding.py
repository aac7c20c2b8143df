"""From labels and an encoder's name to a store: what ``onelabel embed`` does."""

from __future__ import annotations

from contextlib import ExitStack
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from onelabel.images.named import named_preprocessing
from onelabel.images.parts import in_parts
from onelabel.images.shards import ShardFiles, ShardImages, are_shards, list_shards, rows_in_shards
from onelabel.images.views import view_plan
from onelabel.io.ids import IdTable
from onelabel.io.shares import WHOLE, Share
from onelabel.labels.table import LabelTable
from onelabel.models.backbones import Backbone, load_backbone
from onelabel.training.find_photos import find_photos
from onelabel.vlm.encoder import load_encoder
from onelabel.vlm.fingerprint import seen_through
from onelabel.vlm.made_by import PREPROCESS
from onelabel.vlm.store import EmbeddingStore, write_store


class TimmEncoder:
    """A timm backbone as an image encoder: pooled features, not brought to unit length.

    Args:
        backbone: the network.
        device: where it runs.
    """

    def __init__(self, backbone: Backbone, device: str = "cpu") -> None:
        self._backbone = backbone.to(device)
        self._device = device
        self.dim, self.preprocess = backbone.dim, backbone.preprocess
        self.image_fingerprint = backbone.fingerprint

    @torch.inference_mode()
    def encode_images(self, images: Tensor) -> Tensor:
        """Turn preprocessed images (B, 3, S, S) into (B, D) float32 vectors."""
        return in_parts(self._backbone, images.to(self._device)).float()


def embed_photos(
    table: LabelTable,
    root: str,
    out: str,
    *,
    kind: str,
    spec: str,
    mirrored: bool,
    batch_size: int | None,
    workers: int,
    max_pixels: int,
    device: str,
    overwrite: bool,
    views: str = "global",
    preprocess: str = "encoder",
    share: Share = WHOLE,
) -> EmbeddingStore:
    """Encode the photos of a table.

    Args:
        table: labels; its images become the rows.
        root: image folder, or pattern of tar files; the rows then lie as in these.
        out: folder to make.
        kind: "timm" or "open_clip".
        spec: name of the encoder.
        mirrored: also encode mirror images.
        batch_size: views per call of the network; None for what a short trial finds fastest.
        workers: extra processes that read photos.
        max_pixels: larger photos are refused.
        device: where the network runs.
        overwrite: replace an existing store.
        views: name of the plan of views, see :func:`onelabel.images.views.view_plan`.
        preprocess: name, see :func:`onelabel.images.named.named_preprocessing`.
        share: which of several processes this is.

    Raises:
        UnfinishedStoreError: this share is finished; those of others are not.
        OneLabelError: an unknown plan or preprocessing, photos are missing, the encoder cannot be loaded, or
            the store cannot be written.
    """
    plan = view_plan(views)
    with ExitStack() as stack:
        paths: IdTable | None = None
        shards: ShardImages | None = None
        if are_shards(root):
            spool = stack.enter_context(TemporaryDirectory())
            order, shards = rows_in_shards(table.ids, list_shards(ShardFiles(root, spool)), root)
            table = table.take(order)
        else:
            paths = find_photos(table, root)
        encoder = TimmEncoder(load_backbone(spec), device) if kind == "timm" else load_encoder(spec, device)
        pixels = named_preprocessing(preprocess, encoder.preprocess)
        return write_store(
            out,
            root=root,
            ids=table.ids,
            paths=paths,
            encoder=encoder.encode_images,
            preprocess=pixels,
            dim=encoder.dim,
            fingerprint=seen_through(encoder.image_fingerprint, pixels, plan),
            encoder_spec={"kind": kind, "spec": spec, PREPROCESS: preprocess},
            views=plan,
            device=device,
            mirrored=mirrored,
            batch_size=batch_size,
            workers=workers,
            max_pixels=max_pixels,
            overwrite=overwrite,
            share=share,
            shards=shards,
        )
