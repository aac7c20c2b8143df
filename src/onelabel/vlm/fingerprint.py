"""What decides an embedding, part by part, so that a stale one is refused and the reason named."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from onelabel.images.transforms import Preprocess, Preprocessing
from onelabel.images.views import GLOBAL, ViewPlan
from onelabel.io.manifest import digest_json


def describe_tokenizer(tokenizer: object) -> str:
    """Return the tokenizer's class, context length and, where it has one, the digest of its vocabulary."""
    inner = getattr(tokenizer, "tokenizer", tokenizer)
    vocabulary = inner.get_vocab() if hasattr(inner, "get_vocab") else getattr(inner, "encoder", {})
    context = getattr(tokenizer, "context_length", None)
    return f"{type(inner).__name__} context={context} vocabulary={digest_json(dict(vocabulary))}"


def image_fingerprint(config: Mapping[str, Any], weights: str, preprocess: Preprocess) -> dict[str, str]:
    """Return the parts that decide an image's vector, by name."""
    return {
        "architecture": digest_json(config),
        "weights": weights,
        "activation": "quick_gelu" if config.get("quick_gelu") else "gelu",
        "preprocessing": json.dumps(preprocess.to_dict(), sort_keys=True),
        "views": GLOBAL,
    }


def seen_through(
    fingerprint: Mapping[str, str], preprocess: Preprocessing, views: ViewPlan
) -> dict[str, str]:
    """Return the fingerprint of an encoder that is shown other views, or other pixels, than it asks for.

    Example:
        >>> from onelabel.images.views import view_plan
        >>> own = Preprocess(224, "crop", "bicubic", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
        >>> seen_through({"weights": "a", "views": "global"}, own, view_plan("grid:4"))["views"]
        'grid:4'
    """
    described = json.dumps(preprocess.to_dict(), sort_keys=True)
    return {**fingerprint, "preprocessing": described, "views": views.spec}


def differing_parts(one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    """Return the names of the parts in which two fingerprints differ.

    Example:
        >>> differing_parts({"weights": "a", "views": "global"}, {"weights": "b", "views": "global"})
        ['weights']
    """
    return [key for key in dict.fromkeys([*one, *other]) if one.get(key) != other.get(key)]
