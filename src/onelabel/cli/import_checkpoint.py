"""``onelabel import-checkpoint``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from onelabel.cli.guards import check_result
from onelabel.io.errors import OneLabelError

if TYPE_CHECKING:
    from onelabel.labels.table import ClassInfo

EXAMPLES = """
onelabel import-checkpoint bestmodel.pt --like aevlp --data VOC --format voc2012 --out model
onelabel import-checkpoint best_model_state.pt --like vlpl --classes classes.txt --out model
"""


def import_checkpoint(
    file: str,
    *,
    like: Literal["vlpl", "aevlp"],
    out: str,
    classes: str | None = None,
    data: str | None = None,
    format: str = "auto",
    overwrite: bool = False,
) -> None:
    """Turn a checkpoint of a released code into a model that onelabel evaluate and predict take.

    Nothing in the file is run. It holds no names of classes: they come from you, in the order of its outputs.

    Args:
        file: checkpoint of a ResNet-50, as torch.save wrote it.
        like: whose model class wrote it: vlpl, or aevlp (checkpoints of GR have the same names).
        out: folder of the model to make.
        classes: text file with one class id per line, in the order of the model's outputs.
        data: instead, folder of the published data set that it was trained on.
        format: which data set lies in --data: voc2012, voc2007, coco2014, cub, nus-cole, nus-official,
            nus-splc or openimages-v3; "auto" detects it.
        overwrite: replace the folder if it exists.
    """
    if (classes is None) == (data is None):
        raise OneLabelError(
            "give either --classes FILE or --data DIR: a checkpoint holds no names of classes"
        )
    check_result(out, file, classes, data, overwrite=overwrite)
    from onelabel.io.manifest import digest_file
    from onelabel.models.bundle import Bundle, Thresholds
    from onelabel.models.bundle_write import write_bundle
    from onelabel.models.released import RELEASED, read_checkpoint

    names = _classes(classes, data, format)
    found = read_checkpoint(file, like)
    outputs = found.head.out_features
    if outputs != len(names):
        raise OneLabelError(
            f"{file} has {outputs} outputs, {classes or data} names {len(names)} classes: "
            f"give the {outputs} classes that it was trained on"
        )
    facts = {
        "imported_from": RELEASED[like].source,
        "checkpoint_sha256": digest_file(file),
        "checkpoint_settings": found.settings,
        "weights_left_out": found.left_out,
    }
    bundle = Bundle(
        names, found.head, found.backbone, Thresholds.not_calibrated(outputs), method={"name": like},
        fingerprints={"features": found.backbone.fingerprint}, facts=facts,
    )  # fmt: skip
    write_bundle(out, bundle, overwrite=overwrite)
    _report(found.settings, found.left_out, outputs, out)


def _classes(classes: str | None, data: str | None, format: str) -> tuple[ClassInfo, ...]:
    """Read the names of the classes.

    Raises:
        OneLabelError: neither a class file nor a published data set.
    """
    from pathlib import Path

    from onelabel.labels.readers import ReadOptions, load_labels
    from onelabel.labels.readers.classes import read_classes
    from onelabel.labels.readers.registry import choose_reader
    from onelabel.labels.table import ClassInfo

    if classes is not None:
        return tuple(ClassInfo(name, name) for name in read_classes(classes))
    options = ReadOptions(format=format)
    reader = choose_reader(Path(str(data)), options)
    if not reader.download:
        raise OneLabelError(
            f"{data} is no published data set ({reader.name}), so the order of its classes is not known: "
            "give --classes FILE"
        )
    return load_labels(str(data), options).table.classes


def _report(settings: Any, left_out: int, outputs: int, out: str) -> None:
    said = ", ".join(f"{key} {value}" for key, value in settings.items())
    print(f"ResNet-50 with {outputs} outputs" + (f"; the file says: {said}" if said else ""))
    if left_out:
        print(
            f"note: {left_out} weights of the frozen CLIP tower play no part in a prediction and are left out"
        )
    print("note: nothing in the file says which output is which class: the order is the one you gave")
    print("note: thresholds are 0.5 and not calibrated")
    print(f"model: {out}")
    print(f"next: onelabel evaluate {out} LABELS --exhaustive --images PHOTOS")
