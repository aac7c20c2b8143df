"""``onelabel probabilities``."""

from __future__ import annotations

from onelabel.cli.guards import check_device, check_limits, check_result
from onelabel.io.errors import OneLabelError

EXAMPLES = """
onelabel probabilities run-an run-vlpl photos/a.jpg photos/b.jpg --out figure
onelabel probabilities run-an run-vlpl 'photos/*.jpg' --names AN,VLPL --top 5 --out figure
"""


def probabilities(
    first: str,
    second: str,
    photos: list[str],
    *,
    out: str,
    top: int = 5,
    names: str | None = None,
    batch_size: int = 32,
    max_pixels: int = 100_000_000,
    device: str = "cpu",
    overwrite: bool = False,
) -> None:
    """Draw what two models say of the same photos, side by side.

    Args:
        first: run folder of a training, or its bundle folder.
        second: another one, of the same classes.
        photos: files, folders or patterns; at most 24 photos.
        out: folder to make, with the figure and its numbers.
        top: classes to show of each photo: those that either model finds likeliest.
        names: of the two models in the figure, separated by a comma; by default their methods or folders.
        batch_size: photos per pass through the network.
        max_pixels: largest allowed width × height of a photo.
        device: where the networks run, such as cpu or cuda.
        overwrite: replace the folder if it exists.
    """
    check_limits(batch_size=batch_size, max_pixels=max_pixels)
    if top < 1:
        raise OneLabelError(f"--top must be 1 or more, not {top}")
    check_result(out, first, second, *photos, overwrite=overwrite)
    from pathlib import Path

    from onelabel.report.extra import require_report_extra

    require_report_extra()
    from onelabel.images.folder import expand_photos
    from onelabel.models.bundle_read import load_bundle
    from onelabel.recipes.ablation_photos import compare_photos, write_comparison

    check_device(device)
    one, other = load_bundle(first, device), load_bundle(second, device)
    methods = [str(bundle.method.get("name", "")) for bundle in (one, other)]
    usual = (
        methods if all(methods) and methods[0] != methods[1] else [Path(run).name for run in (first, second)]
    )
    chosen = usual if names is None else names.split(",")
    if len(chosen) != 2:
        raise OneLabelError(f"--names {names!r} must be two names with a comma between them")
    found = compare_photos((one, other), expand_photos(photos), top, batch_size, max_pixels)
    write_comparison(out, (chosen[0], chosen[1]), found, max_pixels=max_pixels, overwrite=overwrite)
    for entry in found:
        print(entry.photo.as_posix())
        for name, pair in zip(entry.classes, entry.probs.T, strict=True):
            print(f"  {name}: {chosen[0]} {pair[0]:.3f}, {chosen[1]} {pair[1]:.3f}")
    print(f"figure and numbers: {out}")
