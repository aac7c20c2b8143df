"""What a bundle folder is made of, for writing and reading alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onelabel.io.manifest import digest_json

KIND = "onelabel-bundle"
VERSION = 1
MANIFEST = "bundle.json"
WEIGHTS = "model.safetensors"
CARD = "README.md"
CONVENTION = "+1 known to be present, 0 unknown, -1 known to be absent"
BELONGS_TO = "belongs_to"


def identity(content: Mapping[str, Any]) -> str:
    """Return the digest of what the weights mean: class ids in order, backbone, head.

    It stands in the file of the weights, so that these fit no other ``bundle.json``, whatever that claims.
    """
    classes = [info["id"] for info in content["classes"]]
    return digest_json([classes, content["backbone"], content["head"]])
