"""What a method has learnt of each training image, kept beside the model: ``RUN/state.safetensors``."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from onelabel.io.atomic import atomic_write
from onelabel.io.errors import OneLabelError
from onelabel.io.ids import IdTable
from onelabel.labels.table import LabelTable
from onelabel.methods.base import Method
from onelabel.models.weights import read_weights

NAME = "state.safetensors"


def write_state(run: str | Path, method: Method, table: LabelTable) -> None:
    """Write the state of a method after its last epoch; nothing for a method without any.

    Args:
        run: the run folder.
        method: after training.
        table: labels of the training images, whose rows the state goes by.

    Raises:
        OneLabelError: it cannot be written.
    """
    state = method.state()
    if not state:
        return
    about = json.dumps({"images": _digest(table.ids), "classes": table.class_ids})
    # One key: the format keeps several in no order, and the same run is to write the same bytes.
    content = save({name: value.cpu().contiguous() for name, value in state.items()}, {"onelabel": about})
    with atomic_write(Path(run) / NAME, "wb") as stream:
        stream.write(content)


def earlier_estimates(run: str | Path, table: LabelTable) -> Tensor | None:
    """Return the probabilities (N, C) that ``role`` estimated in an earlier run, by row of ``table``.

    They are those of its last epoch.

    Args:
        run: the run folder, or its bundle folder.
        table: labels of the training images.

    Returns:
        None for a run of a method that estimates no labels.

    Raises:
        OneLabelError: the run had other training images or classes.

    Example:
        >>> import tempfile
        >>> earlier_estimates(tempfile.mkdtemp(), LabelTable.from_dense(["a"], ["cat"], [[1]]))
    """
    places = [folder / NAME for folder in (Path(run), Path(run).parent)]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        return None
    state, metadata = read_weights(path)
    if "values" not in state:
        return None
    about = json.loads(metadata.get("onelabel", "{}"))
    classes = about.get("classes", [])
    if about.get("images") != _digest(table.ids) or sorted(classes) != sorted(table.class_ids):
        raise OneLabelError(
            f"{path} holds the estimates of other training images or classes: start from a run on the same "
            "ones, with the same --split-seed"
        )
    return torch.sigmoid(state["values"][:, [classes.index(name) for name in table.class_ids]])


def _digest(ids: IdTable) -> str:
    return hashlib.sha256(ids.buffer.tobytes() + ids.offsets.tobytes()).hexdigest()
