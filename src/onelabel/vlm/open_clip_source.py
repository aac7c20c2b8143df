"""Find an open_clip model by its spec, check it, and load it without ever unpickling anything."""

from __future__ import annotations

import copy
import importlib.util
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from onelabel.images.transforms import Preprocess
from onelabel.io.errors import OneLabelError, nearest, unknown_name
from onelabel.io.manifest import read_json

CONFIG_NAME = "open_clip_config.json"
WEIGHTS_NAME = "open_clip_model.safetensors"
_OFFLINE = "without a network, give weights on disk: local-dir:FOLDER"
_PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
_RESIZE = {"shortest": "crop", "squash": "squash"}


@dataclass(frozen=True)
class Loaded:
    """An open_clip model with all that belongs to it."""

    model: nn.Module
    tokenizer: Callable[[Sequence[str]], Tensor]
    config: dict[str, Any]
    preprocess: Preprocess


@dataclass(frozen=True)
class _Found:
    """Where a model is: the name open_clip knows it by, its configuration, its weights."""

    name: str
    config: dict[str, Any]
    preprocess: dict[str, Any]
    weights: Path


def load(spec: str) -> Loaded:
    """Load the model that ``spec`` names; see :func:`onelabel.vlm.encoder.load_encoder`."""
    prefix, _, rest = spec.partition(":")
    if prefix == "local-dir":
        found = _find_local(rest)
    elif prefix == "hf-hub":
        found = _find_on_hub(spec, rest)
    else:
        found = _find_named(spec)
    return _build(found, spec)


# -- finding ---


def _find_local(path: str) -> _Found:
    folder = Path(path)
    expected = f"expected a folder with {CONFIG_NAME} and {WEIGHTS_NAME}"
    if not folder.is_dir():
        raise OneLabelError(f"local-dir:{path}: {folder} is not a folder; {expected}")
    config_file, weights = folder / CONFIG_NAME, folder / WEIGHTS_NAME
    if not config_file.is_file():
        raise OneLabelError(f"local-dir:{path}: {CONFIG_NAME} is missing; {expected}")
    if not weights.is_file():
        pickled = sorted(file.name for file in folder.iterdir() if file.suffix in _PICKLED)
        reason = f" ({pickled[0]} is a pickled file, which is never read: convert it)" if pickled else ""
        raise OneLabelError(f"local-dir:{path}: {WEIGHTS_NAME} is missing{reason}; {expected}")
    config, preprocess = _read_config(config_file)
    if "hf_model_name" in config["text_cfg"]:
        raise OneLabelError(
            f"local-dir:{path}: its text model {config['text_cfg']['hf_model_name']!r} would be fetched "
            "from the network; give the whole model as hf-hub:owner/name instead"
        )
    return _Found(f"local-dir:{path}", config, preprocess, weights)


def _find_on_hub(spec: str, repository: str) -> _Found:
    from open_clip.pretrained import download_pretrained_from_hf as download  # type: ignore[import-untyped]

    try:
        config_file, weights = Path(download(repository, CONFIG_NAME)), Path(download(repository))
    except Exception as error:  # the hub raises its own, requests' and the operating system's errors
        raise OneLabelError(f"{spec}: cannot be fetched: {_first_line(error)}; {_OFFLINE}") from error
    config, preprocess = _read_config(config_file)
    return _Found(spec, config, preprocess, weights)


def _find_named(spec: str) -> _Found:
    import open_clip  # type: ignore[import-untyped]

    name, _, tag = spec.partition("/")
    known = open_clip.list_models()
    if name not in known:
        raise OneLabelError(
            f"unknown vision-language model {name!r}{nearest(name, known)}; give ARCHITECTURE/WEIGHTS "
            "such as ViT-B-16/openai, hf-hub:owner/name or local-dir:PATH"
        )
    tags = open_clip.list_pretrained_tags_by_model(name)
    if tag not in tags:
        raise unknown_name(f"weights of {name}", tag, tags)
    table = open_clip.get_pretrained_cfg(name, tag)
    config = copy.deepcopy(open_clip.get_model_config(name))
    _settle_activation(spec, config, bool(table.get("quick_gelu")))
    try:
        weights = Path(open_clip.download_pretrained(table))
    except Exception as error:  # as above
        raise OneLabelError(
            f"{spec}: its weights cannot be fetched ({_first_line(error)}); {_OFFLINE}"
        ) from error
    return _Found(name, config, dict(table), weights)


def _settle_activation(spec: str, config: dict[str, Any], trained_quick: bool) -> None:
    if config.get("quick_gelu") and not trained_quick:
        plain = spec.replace("-quickgelu", "")
        raise OneLabelError(
            f"{spec}: this architecture uses quick GELU, the weights were trained with GELU and would "
            f"give wrong vectors; use {plain if plain != spec else 'other weights'}"
        )
    if trained_quick:
        config["quick_gelu"] = True


def _read_config(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    content = read_json(path)
    config = content.get("model_cfg") if isinstance(content, dict) else None
    parts = ("vision_cfg", "text_cfg")
    if not isinstance(config, dict) or not all(isinstance(config.get(part), dict) for part in parts):
        raise OneLabelError(f"{path} has no model_cfg with vision_cfg and text_cfg")
    if not isinstance(config.get("embed_dim"), int):
        raise OneLabelError(f"{path} has no embed_dim in model_cfg")
    if not isinstance(content.get("preprocess_cfg"), dict):
        raise OneLabelError(f"{path} has no preprocess_cfg: the mean, std and resizing it was trained with")
    return config, content["preprocess_cfg"]


# -- building ---


def _build(found: _Found, spec: str) -> Loaded:
    import open_clip

    if found.weights.suffix != ".safetensors":
        raise OneLabelError(
            f"{spec}: {found.weights.name} is a pickled file, which is never read; convert the weights to "
            f"{WEIGHTS_NAME} and use local-dir:PATH"
        )
    _require_transformers(spec, found.config["text_cfg"])
    quick = {"force_quick_gelu": True} if found.config.get("quick_gelu") else {}
    with _no_side_effects():
        try:
            model = open_clip.create_model(found.name, load_weights=False, pretrained_text=False, **quick)
            tokenizer = open_clip.get_tokenizer(found.name)
        except Exception as error:  # open_clip checks nothing: a wrong configuration fails in many ways
            raise OneLabelError(
                f"{spec}: cannot be built from its configuration: {_first_line(error)}"
            ) from error
        _load_weights(model, found.weights, spec)
    return Loaded(model, tokenizer, found.config, _preprocess(spec, found.preprocess, model))


def _load_weights(model: nn.Module, weights: Path, spec: str) -> None:
    import open_clip
    from safetensors import SafetensorError

    try:
        open_clip.load_checkpoint(model, str(weights))
    except (SafetensorError, OSError) as error:
        raise OneLabelError(f"{spec}: {weights} cannot be read: {_first_line(error)}") from error
    except Exception as error:  # open_clip asserts, indexes and lets torch compare names and shapes
        detail = " ".join(str(error).split())[:200]
        raise OneLabelError(f"{spec}: {weights.name} does not fit {CONFIG_NAME}: {detail}") from error


def _require_transformers(spec: str, text_config: dict[str, Any]) -> None:
    needs = text_config.get("hf_tokenizer_name") or text_config.get("hf_model_name")
    if needs and importlib.util.find_spec("transformers") is None:
        raise OneLabelError(
            f"{spec}: its tokenizer ({needs}) needs the package transformers: "
            "pip install transformers sentencepiece"
        )


def _preprocess(spec: str, config: dict[str, Any], model: nn.Module) -> Preprocess:
    size: Any = getattr(model.visual, "image_size", None)
    height, width = size if isinstance(size, tuple | list) else (size, size)
    mode = config.get("resize_mode", "shortest")
    if mode not in _RESIZE or height != width:
        raise OneLabelError(
            f"{spec}: its preprocessing ({height} × {width}, resize_mode {mode!r}) is not supported, only "
            "squares with resize_mode squash or shortest"
        )
    settings = {"size": height, "resize": _RESIZE[mode], "interpolation": "bicubic"}
    settings |= {key: config[key] for key in ("interpolation", "mean", "std") if key in config}
    try:
        return Preprocess.from_dict(settings)
    except OneLabelError as error:
        raise OneLabelError(f"{spec}: {error}") from None


@contextmanager
def _no_side_effects() -> Iterator[None]:
    """Keep two things of the process as they are.

    open_clip writes to the root logger, which would set that up for all; and the random weights that a
    network begins with would move the generator of the run.
    """
    handler = logging.NullHandler()
    logging.getLogger().addHandler(handler)
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        logging.getLogger().removeHandler(handler)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
