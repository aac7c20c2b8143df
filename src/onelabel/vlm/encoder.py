"""Frozen vision-language encoders: what the rest of the package may ask of one, and open_clip behind it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from onelabel.images.parts import in_parts
from onelabel.images.transforms import Preprocess
from onelabel.io.tensors import digest_weights
from onelabel.vlm import open_clip_source
from onelabel.vlm.fingerprint import describe_tokenizer, image_fingerprint


class Encoder(Protocol):
    """What OneLabel needs of a vision-language model.

    Attributes:
        dim: length D of its vectors.
        preprocess: how an image becomes its input.
        image_fingerprint: what decides an image's vector, part by part; guards stored embeddings.
        text_fingerprint: what decides a text's vector, part by part; prompts add templates and names.
        logit_scale: factor on a cosine that the model was trained with (1 / its temperature).
        logit_bias: what is added after the scale (SigLIP), or None.
    """

    @property
    def dim(self) -> int: ...
    @property
    def preprocess(self) -> Preprocess: ...
    @property
    def image_fingerprint(self) -> dict[str, str]: ...
    @property
    def text_fingerprint(self) -> dict[str, str]: ...
    @property
    def logit_scale(self) -> float: ...
    @property
    def logit_bias(self) -> float | None: ...

    def encode_images(self, images: Tensor) -> Tensor:
        """Turn preprocessed images (B, 3, H, W) into (B, D) float32 vectors of unit length."""

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Turn N texts into (N, D) float32 vectors of unit length."""


class OpenClipEncoder:
    """An open_clip model as an :class:`Encoder`; made by :func:`load_encoder`.

    Args:
        model: the open_clip network, weights loaded.
        tokenizer: texts -> (N, context) int64.
        config: its architecture as open_clip's JSON gives it.
        preprocess: its own preprocessing.
        device: where it runs.
    """

    def __init__(
        self,
        model: nn.Module,
        tokenizer: Callable[[Sequence[str]], Tensor],
        config: dict[str, Any],
        preprocess: Preprocess,
        device: str = "cpu",
    ) -> None:
        weights = digest_weights(model.state_dict())
        self.model = model.to(device).eval().requires_grad_(False)
        self.config = config
        self._tokenizer = tokenizer
        self._device = device
        self.dim = int(config["embed_dim"])
        self.preprocess = preprocess
        self.logit_scale = float(model.get_parameter("logit_scale").exp())
        bias = getattr(model, "logit_bias", None)
        self.logit_bias = None if bias is None else float(bias)
        self.image_fingerprint = image_fingerprint(config, weights, preprocess)
        self.text_fingerprint = {
            key: self.image_fingerprint[key] for key in ("architecture", "weights", "activation")
        } | {"tokenizer": describe_tokenizer(tokenizer)}

    @torch.inference_mode()
    def encode_images(self, images: Tensor) -> Tensor:
        """Turn preprocessed images (B, 3, H, W) into (B, D) float32 vectors of unit length."""
        encode: Any = self.model.encode_image
        return normalize(in_parts(encode, images.to(self._device)).float(), dim=1)

    @torch.inference_mode()
    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Turn N texts into (N, D) float32 vectors of unit length."""
        encode: Any = self.model.encode_text
        return normalize(encode(self._tokenizer(list(texts)).to(self._device)).float(), dim=1)


def load_encoder(spec: str, device: str = "cpu") -> OpenClipEncoder:
    """Load a vision-language model by its spec.

    ``local-dir:`` needs no network. It reads a folder with ``open_clip_config.json`` (``model_cfg``
    and ``preprocess_cfg``) and ``open_clip_model.safetensors``. The other two download what is not
    yet in the local cache. Weights are read from safetensors files only; pickled ones are refused.

    The activation (GELU or quick GELU) belongs to the weights. For named weights it is taken from
    open_clip's table of weights, so ``ViT-B-16/openai`` runs with quick GELU; a name that asks for
    quick GELU with weights trained without it is an error. For ``local-dir:`` and ``hf-hub:`` the
    model's own configuration decides.

    Args:
        spec: ``ARCHITECTURE/WEIGHTS`` such as ``ViT-B-16/openai``, ``hf-hub:owner/name``, or
            ``local-dir:PATH``.
        device: where to run it, such as ``cpu`` or ``cuda``.

    Raises:
        OneLabelError: unknown name, incomplete folder, weights that do not fit, or a missing package.
    """
    loaded = open_clip_source.load(spec)
    return OpenClipEncoder(loaded.model, loaded.tokenizer, loaded.config, loaded.preprocess, device)
