"""What to train, checked and ready to start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from onelabel.io.errors import OneLabelError
from onelabel.methods.base import Context, Method
from onelabel.methods.registry import create, info
from onelabel.sources.base import Source
from onelabel.sources.registry import spelled_out
from onelabel.training.encoders import open_source
from onelabel.training.keeper import Keeper
from onelabel.training.parts import Parts
from onelabel.training.settings import Settings


@dataclass(frozen=True)
class Recipe:
    """What to train, ready to start.

    A recipe serves one run: method and source are started on its training images.

    Args:
        parts: training and validation images.
        method: the method, fresh.
        settings: epochs, learning rate, selection.
        source: pseudo-labels, or None.
        expected_positives: expected number of labels per image, or None.
        described: name and parameters of the method, for the records.

    Raises:
        OneLabelError: the method needs pseudo-labels and there is no source, or the validation images cannot
            answer what ``settings.select`` asks.
    """

    parts: Parts
    method: Method
    settings: Settings
    source: Source | None = None
    expected_positives: float | None = None
    described: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.method.needs_source and self.source is None:
            raise OneLabelError("this method trains on pseudo-labels and there is no source of any")
        self.keeper()
        settings, table = self.settings, self.parts.train
        if self.source is not None:
            self.source.start(table)
        self.method.start(
            Context(table, settings.epochs, settings.seed, settings.lr, self.expected_positives)
        )

    def keeper(self) -> Keeper:
        """Return a fresh judge of epochs."""
        return Keeper(self.settings.select, self.parts.val)


def make_recipe(
    parts: Parts,
    method: Mapping[str, Any],
    settings: Settings,
    *,
    source: Mapping[str, Any] | None = None,
    vlm_store: str | None = None,
    template: str = "a photo of a {}.",
    expected_positives: float | None = None,
) -> Recipe:
    """Build method and source.

    Args:
        parts: training and validation images.
        method: ``name`` and parameters.
        settings: epochs, learning rate, selection.
        source: ``name`` and parameters; by default the one that the method brings along. The name of a file
            of pseudo-labels stands for the source ``file`` with that path.
        vlm_store: store of the vision-language model, for sources that read one.
        template: prompt with ``{}`` for the name of a class.
        expected_positives: expected number of labels per image.

    Raises:
        OneLabelError: an unknown name or parameter, a missing source, or a source that nobody reads.
    """
    name = str(method["name"])
    built = create(name, **{key: value for key, value in method.items() if key != "name"})
    if not built.needs_source:
        if source is not None or vlm_store is not None:
            raise OneLabelError(f"method {name!r} uses no pseudo-labels: leave --source and --vlm-store out")
        return Recipe(parts, built, settings, None, expected_positives, dict(method))
    chosen = preset_source(name) if source is None else spelled_out(source)
    if chosen is None:
        raise OneLabelError(
            f"method {name!r} trains on pseudo-labels: give --source FILE.npz, or --source vlpl and "
            "--vlm-store STORE, made by onelabel embed --vlm"
        )
    opened = open_source(chosen, vlm_store, parts.train.classes, (template,), settings.seed)
    prompted = {} if vlm_store is None else {"template": template}
    described = {**method, "source": chosen, **prompted}
    return Recipe(parts, built, settings, opened, expected_positives, described)


def preset_source(method: str) -> dict[str, Any] | None:
    """Return the source that a preset such as ``vlpl`` brings along, with its default parameters."""
    brought = "" if ":" in method else info(method).source
    return {"name": brought} if brought else None
