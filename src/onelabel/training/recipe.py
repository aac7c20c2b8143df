"""What to train, checked and ready to start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from onelabel.io.errors import OneLabelError
from onelabel.methods.base import Context, Method
from onelabel.methods.registry import create, info
from onelabel.models.bundle import Bundle
from onelabel.models.bundle_read import load_bundle
from onelabel.sources.base import Source
from onelabel.sources.registry import reads_cosines
from onelabel.training.keeper import Keeper
from onelabel.training.method_state import earlier_estimates
from onelabel.training.opening import Wanted, open_wanted, provenance
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
        earlier: model whose weights are the first ones, see
            :func:`~onelabel.training.first_weights.take_over`; or None.
        estimates: probabilities (N, C) of an earlier run of ``role``, for ``role-li``; or None.

    Raises:
        OneLabelError: the method needs pseudo-labels and there is no source, the validation images cannot
            answer what ``settings.select`` asks, the earlier model has other classes, or the epochs in which
            the head trains alone are said twice or are all.
    """

    parts: Parts
    method: Method
    settings: Settings
    source: Source | None = None
    expected_positives: float | None = None
    described: Mapping[str, Any] = field(default_factory=dict)
    earlier: Bundle | None = None
    estimates: Tensor | None = None

    def __post_init__(self) -> None:
        if self.method.needs_source and self.source is None:
            raise OneLabelError("this method trains on pseudo-labels and there is no source of any")
        self.keeper()
        settings, table = self.settings, self.parts.train
        if self.source is not None:
            self.source.start(table)
        if self.earlier is not None:
            self.earlier.columns(table.class_ids)
        self.method.start(
            Context(
                table,
                settings.epochs,
                settings.seed,
                settings.lr,
                self.expected_positives,
                estimates=self.estimates,
            )
        )
        if settings.freeze_epochs and self.method.linear_epochs:
            raise OneLabelError(
                f"this method has {self.method.linear_epochs} linear epochs of its own "
                "(--method.linear_epochs): leave --freeze-epochs out"
            )
        if settings.freeze_epochs >= settings.epochs:
            raise OneLabelError(
                f"--freeze-epochs {settings.freeze_epochs} takes all {settings.epochs} epochs: lower it, or "
                "train a head on features"
            )

    @property
    def head_only_epochs(self) -> int:
        """Number of epochs at the beginning in which only the head trains: the method's, or the settings'."""
        return self.method.linear_epochs or self.settings.freeze_epochs

    def keeper(self) -> Keeper:
        """Return a fresh judge of epochs."""
        return Keeper(self.settings.select, self.parts.val)


def make_recipe(
    parts: Parts,
    method: Mapping[str, Any],
    settings: Settings,
    *,
    source: Mapping[str, Any] | None = None,
    rule: Mapping[str, Any] | None = None,
    rules: str | None = None,
    vlm_store: str | None = None,
    template: str = "a photo of a {}.",
    expected_positives: float | None = None,
    init: str | None = None,
) -> Recipe:
    """Build method and source.

    Args:
        parts: training and validation images.
        method: ``name`` and parameters.
        settings: epochs, learning rate, selection.
        source: ``name`` and parameters; by default the one that the method brings along. A file, run, store
            or set stands for both.
        rule: ``name`` and parameters of what decides on the scores of the source, where it is not to do so.
        rules: YAML file with rules for single classes.
        vlm_store: store of the vision-language model, for sources that read one.
        template: prompt with ``{}`` for the name of a class.
        expected_positives: expected number of labels per image.
        init: run folder, or its bundle folder, whose weights are the first ones; the labels that a run of
            ``role`` estimated are the first ones of ``role-li``.

    Raises:
        OneLabelError: an unknown name or parameter, a missing source, or a source that nobody reads.
    """
    name = str(method["name"])
    built = create(name, **{key: value for key, value in method.items() if key != "name"})
    earlier = None if init is None else load_bundle(init)
    estimates = None if init is None or name != "role-li" else earlier_estimates(init, parts.train)
    if not built.needs_source:
        given = {"--source": source, "--rule": rule, "--rules": rules, "--vlm-store": vlm_store}
        useless = [flag for flag, value in given.items() if value is not None]
        if useless:
            raise OneLabelError(f"method {name!r} uses no pseudo-labels: leave {' and '.join(useless)} out")
        return Recipe(parts, built, settings, None, expected_positives, dict(method), earlier, estimates)
    chosen = usual_source(name, source, rule)
    if chosen is None and rule is None:
        raise OneLabelError(
            f"method {name!r} trains on pseudo-labels: give --source FILE.npz, or --source vlpl and "
            "--vlm-store STORE, made by onelabel embed --vlm"
        )
    wanted = Wanted(chosen, rule, rules, vlm_store, (template,), settings.seed)
    opened = open_wanted(wanted, parts.train.classes)
    described = {**method, **wanted.described(), "provenance": provenance(opened, wanted)}
    return Recipe(parts, built, settings, opened, expected_positives, described, earlier)


def usual_source(
    method: str, source: Mapping[str, Any] | None, rule: Mapping[str, Any] | None
) -> Mapping[str, Any] | None:
    """Return the source that is given, else the one that a preset such as ``vlpl`` brings along, if any.

    A rule on cosines takes the place of a preset's source.
    """
    if source is not None or ":" in method or (rule is not None and reads_cosines(str(rule["name"]))):
        return source
    brought = info(method).source
    return {"name": brought} if brought else None
