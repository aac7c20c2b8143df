"""Whether a store was made by the encoder at hand, through the views and the preprocessing that it names."""

from __future__ import annotations

from onelabel.images.named import named_preprocessing
from onelabel.images.views import view_plan
from onelabel.vlm.encoder import Encoder
from onelabel.vlm.fingerprint import seen_through
from onelabel.vlm.store import EmbeddingStore

PREPROCESS = "preprocess"
"""Key of :attr:`EmbeddingStore.encoder` under which the name of the preprocessing is kept."""


def require_made_by(store: EmbeddingStore, encoder: Encoder) -> None:
    """Check that a store holds what this encoder gives for the store's own views and preprocessing.

    Args:
        store: embeddings.
        encoder: what they are used with now.

    Raises:
        OneLabelError: names the parts that differ, or the store names views or a preprocessing that this
            version does not know.
    """
    preprocess = named_preprocessing(store.encoder.get(PREPROCESS, "encoder"), encoder.preprocess)
    views = view_plan(store.fingerprint.get("views", ""))
    store.require(seen_through(encoder.image_fingerprint, preprocess, views))
