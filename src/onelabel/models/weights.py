"""Weights as safetensors files: written, read and fitted into a network; nothing is ever unpickled."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from onelabel.io.errors import OneLabelError

PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl")


def write_weights(path: Path, state: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write tensors and text metadata to a safetensors file.

    Raises:
        OneLabelError: a weight is not a finite number, or the file cannot be written.
    """
    for name, value in state.items():
        _require_finite(value, name, "the model cannot be saved; train again with a lower learning rate")
    copies = {name: value.detach().cpu().contiguous().clone() for name, value in state.items()}
    path.touch()
    usual = stat.S_IMODE(path.stat().st_mode)
    try:
        save_file(copies, path, dict(metadata))
    except (OSError, SafetensorError) as error:
        raise OneLabelError(f"cannot write {path}: {one_line(error)}") from error
    path.chmod(usual)  # safetensors makes a file that only its owner can read


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read tensors and text metadata from a safetensors file.

    Raises:
        OneLabelError: missing, not a whole safetensors file, or a weight is not a finite number.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = dict(file.metadata() or {})
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except FileNotFoundError:
        raise OneLabelError(f"{path} is missing") from None
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise OneLabelError(f"{path} is not a readable safetensors file: {one_line(error)}") from error
    for name, value in state.items():
        _require_finite(value, f"{path}: {name}", "the file is damaged or the training went wrong")
    return state, metadata


def fit_weights(network: nn.Module, state: Mapping[str, Tensor], what: str) -> None:
    """Load ``state`` into ``network``, which must have exactly these names and shapes.

    Args:
        network: what to load into.
        state: its weights by name.
        what: the file or folder for the message.

    Raises:
        OneLabelError: a weight is missing, superfluous or of another shape.
    """
    try:
        network.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise OneLabelError(f"{what}: the weights do not fit the architecture: {one_line(error)}") from error


def one_line(error: Exception) -> str:
    """Return the text of an error of another library on one line, at most 300 characters."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else text[:299] + "…"


def _require_finite(value: Tensor, name: str, advice: str) -> None:
    if value.is_floating_point() and not bool(torch.isfinite(value).all()):
        raise OneLabelError(f"{name} holds values that are not finite numbers: {advice}")
