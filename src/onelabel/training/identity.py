"""What a run is trained on and from, as digests that a resumed run must share."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np

from onelabel.io.manifest import digest_json
from onelabel.io.tensors import digest_weights
from onelabel.labels.table import LabelTable
from onelabel.models.heads import LinearHead
from onelabel.training.recipe import Recipe


def identity(recipe: Recipe, head: LinearHead, features: Mapping[str, str]) -> dict[str, str]:
    """Return a digest for each part, by the name that messages call it.

    Args:
        recipe: what is trained.
        head: with its first weights.
        features: fingerprint of the store, or of the network that is fine-tuned.
    """
    tables = [None if part is None else digest_table(part) for part in (recipe.parts.train, recipe.parts.val)]
    return {
        "the labels": digest_json(tables),
        "the method or its pseudo-labels": digest_json(dict(recipe.described)),
        "the features or the network": digest_json(dict(features)),
        "the first weights": digest_weights(head.state_dict()),
    }


def digest_table(table: LabelTable) -> str:
    """Return the SHA-256 of ids, classes, labels and weights.

    Example:
        >>> first = LabelTable.from_dense(["a"], ["cat"], [[1]])
        >>> digest_table(first) == digest_table(LabelTable.from_dense(["a"], ["cat"], [[0]]))
        False
    """
    digest = hashlib.sha256("\n".join(table.class_ids).encode())
    arrays = (
        table.ids.buffer, table.ids.offsets, table.default, table.indptr, table.indices, table.values,
        table.weights,
    )  # fmt: skip
    for array in arrays:
        digest.update(b"|" if array is None else np.ascontiguousarray(array).data)
    return digest.hexdigest()
