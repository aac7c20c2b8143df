"""``onelabel embed``."""

from __future__ import annotations

from typing import Any

from onelabel.cli.guards import check_beside, check_device, check_limits, check_result
from onelabel.cli.reading import photo_folder, read_labels
from onelabel.cli.sharing import this_device, this_share
from onelabel.io.errors import OneLabelError

EXAMPLES = """
onelabel embed labels.csv --images photos --backbone resnet50.tv_in1k --out features
onelabel embed labels.csv --images photos --vlm ViT-B-16/openai --out clip
onelabel embed labels.csv --images photos --vlm local-dir:my_clip --out clip
onelabel embed labels.csv --images photos --vlm ViT-B-16/openai --views grid:4 --out tiles
onelabel embed labels.csv --images 'shards/data-{000..009}.tar' --backbone resnet50.tv_in1k --out features
onelabel embed labels.csv --images photos --vlm ViT-B-16/openai --part 2/8 --out clip
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
    part: str | None = None,
    overwrite: bool = False,
    **reading: Any,
) -> None:
    """Encode photos once, into a store that training reads in seconds.

    Interrupted, it goes on where it stopped when the same command is given again. Several processes that
    share the folder can each do a part: started by torchrun, by srun, as a SLURM array, or with --part. The
    store appears when the last part is finished, the same as from one process.

    Args:
        labels: CSV, parquet, JSON or .npy file, folder, or published data set (see --format): which photos.
        out: folder to make.
        images: folder of the photos; may be left out for class folders. Or tar files as WebDataset writes
            them, such as 'shards/data-{000..009}.tar': ids are then paths within them.
        vlm: vision-language model: ARCHITECTURE/WEIGHTS, hf-hub:OWNER/NAME or local-dir:PATH.
        backbone: timm network: name or local-dir:PATH.
        views: what is encoded of each photo: global, grid:G, grid:G+overlap or pyramid:G.
        preprocess: encoder (its own), released-vlpl or released-aevlp (as those codes do).
        mirrored: also encode the mirror image of each photo, for training with mirroring.
        batch_size: views per call of the network; by default what a short trial finds fastest.
        workers: extra processes that read photos; 0 for none.
        max_pixels: largest allowed width × height of a photo.
        device: where the network runs, such as cpu or cuda.
        part: I/N: do the I-th of N parts; by default what torchrun or SLURM say, else everything.
        overwrite: replace the store if it exists.
    """
    images = photo_folder(labels, images, reading.get("format"))
    if images is None:
        raise OneLabelError("embed reads photos: give their folder with --images DIR")
    check_limits(batch_size=batch_size, workers=workers, max_pixels=max_pixels)
    share = this_share(part)
    check_beside(out, labels)
    # Of several processes, one may find the store that all have just finished.
    check_result(out, labels, images, reading.get("classes"), overwrite=overwrite or share.of > 1)
    if (vlm is None) == (backbone is None):
        raise OneLabelError("give either --vlm SPEC or --backbone NAME")
    from onelabel.images.shards import are_shards
    from onelabel.training.embedding import embed_photos
    from onelabel.vlm.store import UnfinishedStoreError

    device = this_device(device, share)
    check_device(device)
    table = read_labels(labels, images=None if are_shards(images) else images, **reading)
    kind, spec = ("timm", backbone) if vlm is None else ("open_clip", vlm)
    try:
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
            share=share,
        )
    except UnfinishedStoreError as done:
        print(done)
        return
    seen = f" × {len(store.views)} views" if len(store.views) > 1 else ""
    print(f"{len(store.ids)} photos{seen} × {store.dim} numbers written to {out}")
