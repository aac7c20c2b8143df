"""``onelabel embed``."""

from __future__ import annotations

from typing import Any

from onelabel.cli.guards import check_beside, check_device, check_limits, check_result
from onelabel.cli.reading import photo_folder, read_labels
from onelabel.io.errors import OneLabelError

EXAMPLES = """
onelabel embed labels.csv --images photos --backbone resnet50.tv_in1k --out features
onelabel embed labels.csv --images photos --vlm ViT-B-16/openai --out clip
onelabel embed labels.csv --images photos --vlm local-dir:my_clip --out clip
onelabel embed labels.csv --images photos --vlm ViT-B-16/openai --views grid:4 --out tiles
"""


def embed(
    labels: str,
    *,
    out: str,
    images: str | None = None,
    vlm: str | None = None,
    backbone: str | None = None,
    views: str = "global",
    preprocess: str = "encoder",
    mirrored: bool = True,
    batch_size: int | None = None,
    workers: int = 1,
    max_pixels: int = 100_000_000,
    device: str = "cpu",
    overwrite: bool = False,
    **reading: Any,
) -> None:
    """Encode photos once, into a store that training reads in seconds.

    Interrupted, it goes on where it stopped when the same command is given again.

    Args:
        labels: CSV, parquet, JSON or .npy file, folder, or published data set (see --format): which photos.
        out: folder to make.
        images: folder of the photos; may be left out for class folders.
        vlm: vision-language model: ARCHITECTURE/WEIGHTS, hf-hub:OWNER/NAME or local-dir:PATH.
        backbone: timm network: name or local-dir:PATH.
        views: what is encoded of each photo: global, grid:G, grid:G+overlap or pyramid:G.
        preprocess: encoder (its own), released-vlpl or released-aevlp (as those codes do).
        mirrored: also encode the mirror image of each photo, for training with mirroring.
        batch_size: views per call of the network; by default what a short trial finds fastest.
        workers: extra processes that read photos; 0 for none.
        max_pixels: largest allowed width × height of a photo.
        device: where the network runs, such as cpu or cuda.
        overwrite: replace the store if it exists.
    """
    images = photo_folder(labels, images, reading.get("format"))
    if images is None:
        raise OneLabelError("embed reads photos: give their folder with --images DIR")
    check_limits(batch_size=batch_size, workers=workers, max_pixels=max_pixels)
    check_beside(out, labels)
    check_result(out, labels, images, reading.get("classes"), overwrite=overwrite)
    if (vlm is None) == (backbone is None):
        raise OneLabelError("give either --vlm SPEC or --backbone NAME")
    from onelabel.training.embedding import embed_photos

    check_device(device)
    table = read_labels(labels, images=images, **reading)
    kind, spec = ("timm", backbone) if vlm is None else ("open_clip", vlm)
    store = embed_photos(
        table,
        images,
        out,
        kind=kind,
        spec=str(spec),
        views=views,
        preprocess=preprocess,
        mirrored=mirrored,
        batch_size=batch_size,
        workers=workers,
        max_pixels=max_pixels,
        device=device,
        overwrite=overwrite,
    )
    seen = f" × {len(store.views)} views" if len(store.views) > 1 else ""
    print(f"{len(store.ids)} photos{seen} × {store.dim} numbers written to {out}")
