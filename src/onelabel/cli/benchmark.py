"""``onelabel benchmark``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from onelabel.cli.guards import check_file, check_limits, check_result
from onelabel.io.errors import OneLabelError

if TYPE_CHECKING:
    from collections.abc import Sequence

EXAMPLES = """
onelabel benchmark --list
onelabel benchmark voc2012/vlpl --data VOC --out runs/voc-vlpl
onelabel benchmark coco2014/an --data COCO --out runs/coco-an --seed 1 --workers 8
onelabel benchmark voc2012/vlpl/convnext_xlarge.fb_in22k --data VOC --out runs/voc-vlpl-convnext
onelabel benchmark voc2012/em --data VOC --out small --backbone local-dir:net --photo-size 64 --epochs 1
onelabel benchmark --table runs/voc-vlpl runs/coco-an
onelabel benchmark --table runs/voc-vlpl runs/coco-an --out results.html
onelabel benchmark --table runs --out table.md
"""
OPTIONAL = ("names",)


def benchmark(
    names: list[str] | None = None,
    *,
    list: bool = False,
    table: bool = False,
    data: str | None = None,
    out: str | None = None,
    prepared: str | None = None,
    backbone: str | None = None,
    vlm: str | None = None,
    photo_size: int | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    lr: float | None = None,
    precision: Literal["32", "bf16", "16"] | None = None,
    seed: int = 0,
    workers: int = 1,
    device: str | None = None,
    max_pixels: int = 100_000_000,
    overwrite: bool = False,
) -> None:
    """Run a published method on a published data set as its paper did, and set the result beside the paper's.

    A recipe holds the published settings. One positive label per training image is drawn and a fifth of the
    images set aside as in all papers, the network is trained, and the test images are scored.

    Args:
        names: recipe, as DATA_SET/METHOD or DATA_SET/METHOD/BACKBONE; with --table, folders of finished
            runs, or folders that hold them.
        list: list the recipes with the published numbers.
        table: print methods × data sets, published and measured; with --out, to a .csv, .md or .tex file,
            or as a .html page.
        data: folder in which the original archives of the data set were unpacked.
        out: run folder to make; with --table, file to write.
        prepared: folder for observed labels and embeddings, which runs share; by default "prepared" beside
            the run.
        backbone: another network than the recipe's: timm name or local-dir:PATH. This and the six options
            that follow are recorded as changes to what was published.
        vlm: another vision-language model: ARCHITECTURE/WEIGHTS, hf-hub:OWNER/NAME or local-dir:PATH.
        photo_size: another width and height of photos.
        epochs: another number of epochs.
        batch_size: another number of images per step.
        lr: another learning rate.
        precision: of training, 32, bf16 or 16; 32 as published.
        seed: of the initial weights, the order and the mirroring; observed labels and parts never change.
        workers: extra processes that read photos.
        device: where embeddings are made and the test images scored; by default a GPU if there is one.
        max_pixels: largest allowed width × height of a photo.
        overwrite: replace the run or file if it exists.
    """
    changes = {
        "backbone": backbone, "vlm": vlm, "photo_size": photo_size, "epochs": epochs,
        "batch_size": batch_size, "lr": lr, "precision": precision,
    }  # fmt: skip
    changed = {key: value for key, value in changes.items() if value is not None}
    if list or table:
        if (list and table) or data is not None or changed:
            raise OneLabelError("--list and --table each stand alone: leave the options of a run out")
        _list(names) if list else _table(names or (), out, overwrite)
        return
    if not names or len(names) != 1:
        raise OneLabelError("give one recipe, such as voc2012/vlpl; onelabel benchmark --list shows them")
    from onelabel.recipes.catalogue import load_recipe

    recipe = load_recipe(names[0])
    if data is None or out is None:
        raise OneLabelError(
            f"give --data, the folder of {recipe.data_set}, and --out, the run folder to make"
        )
    if vlm is not None and not recipe.embed:
        raise OneLabelError(f"{recipe.name} uses no vision-language model: leave --vlm out")
    check_limits(batch_size=batch_size, seed=seed, workers=workers, max_pixels=max_pixels)
    check_result(out, data, prepared, overwrite=overwrite)
    from onelabel.cli.benchmark_steps import Options, run_recipe

    place = Path(out).parent / "prepared" if prepared is None else Path(prepared)
    run_recipe(recipe, Options(data, out, place, changed, seed, workers, device, max_pixels, overwrite))


def _list(names: Sequence[str] | None) -> None:
    """Print the recipes, of all data sets or of those named."""
    from onelabel.recipes.listing import listing

    print(listing(names or ()))


def _table(runs: Sequence[str], out: str | None, overwrite: bool) -> None:
    """Print the table of runs, or write it."""
    from onelabel.io.atomic import atomic_write
    from onelabel.recipes.render import to_text, writer_of
    from onelabel.recipes.results import read_results
    from onelabel.recipes.table import lines_of, table_of

    results, unfinished = read_results(runs)
    for run in unfinished:
        print(f"note: {run} is left out: it holds no finished benchmark")
    lines = lines_of(results)
    if out is None:
        print(to_text(table_of(lines)))
        return
    write = writer_of(out)
    check_file(out, *runs, overwrite=overwrite)
    with atomic_write(out) as stream:
        stream.write(write(lines))
    print(f"written to {out}")
