"""What every command checks before it reads anything: numbers in range, outputs that spare the inputs."""

from __future__ import annotations

import math
from pathlib import Path

from onelabel.io.atomic import check_output
from onelabel.io.errors import OneLabelError

_SEEDS = (0, 2**32)
LIMITS: dict[str, tuple[float, float]] = {
    "batch_size": (1, math.inf),
    "devices": (1, 1024),
    "disable_below": (0, math.inf),
    "expected_positives": (0, math.inf),
    "max_pixels": (1, math.inf),
    "seed": _SEEDS,
    "show": (0, math.inf),
    "split_seed": _SEEDS,
    "val_fraction": (0, 1),
    "workers": (0, 1024),
}
"""For each option the least value, and the bound that it must stay below."""


def check_limits(**values: float | None) -> None:
    """Check the range of options.

    Args:
        values: option by name; None is left alone.

    Raises:
        OneLabelError: a value out of range, or not a number.

    Example:
        >>> check_limits(workers=-1)
        Traceback (most recent call last):
        onelabel.io.errors.OneLabelError: --workers must be 0 or more, not -1
    """
    for name, value in values.items():
        least, below = LIMITS[name]
        if value is not None and not least <= value < below:
            text = f"{least} or more" if below == math.inf or value < least else f"below {below}"
            raise OneLabelError(f"--{name.replace('_', '-')} must be {text}, not {value}")


def check_result(path: str | Path, *inputs: str | None, overwrite: bool) -> None:
    """Check that a result can be written, and that nothing the command reads would be replaced by it.

    Args:
        path: file or folder to be written.
        inputs: what the command reads; None for options that are not given.
        overwrite: allow it to exist.

    Raises:
        OneLabelError: it exists and ``overwrite`` is False, it is or holds an input, or it cannot be written.
    """
    check_output(path, overwrite=overwrite)
    for given in filter(None, inputs):
        if Path(given).resolve().is_relative_to(Path(path).resolve()):
            raise OneLabelError(f"{path} would replace {given}, which is read here; give another name")


def check_beside(path: str | Path, labels: str) -> None:
    """Check that a result that is a folder does not become a class of a folder of class folders.

    Raises:
        OneLabelError: it lies in ``labels``.
    """
    if Path(labels).is_dir() and Path(path).resolve().is_relative_to(Path(labels).resolve()):
        raise OneLabelError(f"{path} lies in {labels}, where every folder is a class; give another place")


def check_file(path: str | Path, *inputs: str | None, overwrite: bool) -> None:
    """Check the same for a result that is a file.

    Raises:
        OneLabelError: as :func:`check_result`, or it is a folder.
    """
    if Path(path).is_dir():
        raise OneLabelError(f"{path} is a folder; give the name of a file")
    check_result(path, *inputs, overwrite=overwrite)


def check_json(path: str | Path | None, *inputs: str | None, overwrite: bool) -> None:
    """Check the same for a result of ``--json``, which may lie in a run folder beside our own files.

    Args:
        path: file to be written, or None for none.
        inputs: what the command reads.
        overwrite: allow it to exist.

    Raises:
        OneLabelError: as :func:`check_file`, or the name does not end in .json, or the file is a part of a
            run, model or store.
    """
    if path is None:
        return
    if not str(path).endswith(".json"):
        raise OneLabelError(f"a JSON file is written: the name of {path} must end in .json")
    check_file(path, *inputs, overwrite=overwrite)
    if Path(path).is_file():
        with Path(path).open("rb") as stream:
            # What io.manifest writes begins with kind and version.
            if b'"format_version"' in stream.read(200):
                raise OneLabelError(f"{path} is part of a run, model or store; give another name")


def check_device(device: str) -> None:
    """Check that networks can run on a device.

    Raises:
        OneLabelError: there is no such device, or torch cannot use it.
    """
    import torch

    try:
        torch.zeros(1, device=device).cpu()
    except Exception as error:  # torch raises nearly every type there is, depending on the device
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise OneLabelError(f"--device {device!r} cannot be used: {reason}; cpu always can") from None
