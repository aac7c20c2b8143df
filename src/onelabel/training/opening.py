"""From the names of sources and rules to the one source that a run asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from onelabel.io.errors import OneLabelError
from onelabel.io.plugins import check_parameters
from onelabel.io.yaml_file import read_yaml
from onelabel.labels.readers.classes import class_name
from onelabel.labels.table import ClassInfo
from onelabel.sources.base import Source, decides, provenance_of
from onelabel.sources.opinions import not_a_class
from onelabel.sources.registry import STORE, load, load_rule, reads_cosines, reads_store, spelled_out
from onelabel.sources.rules import MixedSource, Rule, RuledSource
from onelabel.sources.several import SeveralSource
from onelabel.training.encoders import open_source
from onelabel.vlm.store import EmbeddingStore
from onelabel.vlm.templates import spelled_templates

Named = Mapping[str, Any]
"""Name and parameters."""


@dataclass(frozen=True)
class Wanted:
    """Which pseudo-labels are asked for.

    Args:
        source: name and parameters of the source; a path may stand for both.
        rule: name and parameters of the rule for all classes; None for the source's own decisions.
        rules: YAML file with rules for single classes, which beat ``rule``.
        vlm_store: store of the vision-language model, for sources and rules that look at one.
        templates: prompts with ``{}`` for the name of a class, or a file of them.
        seed: of the run, for sources that draw.
    """

    source: Named | None = None
    rule: Named | None = None
    rules: str | None = None
    vlm_store: str | None = None
    templates: tuple[str, ...] = ("a photo of a {}.",)
    seed: int = 0

    def __post_init__(self) -> None:
        spelled = None if self.source is None else spelled_out(self.source)
        if spelled is not None and spelled["name"] == STORE:
            if self.vlm_store is not None:
                raise OneLabelError(f"--source {spelled['path']} is a store already: leave --vlm-store out")
            object.__setattr__(self, "vlm_store", spelled["path"])
            spelled = None
        object.__setattr__(self, "source", spelled)
        object.__setattr__(self, "templates", spelled_templates(self.templates))

    def described(self) -> dict[str, Any]:
        """Return what is asked for, for the records; without what is left out."""
        prompted = {} if self.vlm_store is None else {"template": ", ".join(self.templates)}
        found = {"source": self.source, "rule": self.rule, "rules": self.rules} | prompted
        return {key: value for key, value in found.items() if value is not None}


def open_wanted(wanted: Wanted, classes: tuple[ClassInfo, ...]) -> Source:
    """Open sources and rules, checked against each other and the classes.

    Raises:
        OneLabelError: unknown names or parameters, a source without decisions and without a rule for each
            class, a rule on cosines without a store, or anything given that nobody looks at.

    Example:
        >>> open_wanted(Wanted(rule={"name": "threshold", "positive": 0.9}), (ClassInfo("cat", "cat"),))
        Traceback (most recent call last):
        onelabel.io.errors.OneLabelError: rule 'threshold' decides on scores: give --source ...
    """
    rules = _rules_by_class(wanted, classes)
    on_cosines = [rule for rule in _distinct(rules) if reads_cosines(rule["name"])]
    on_scores = [rule for rule in _distinct(rules) if not reads_cosines(rule["name"])]
    _check(wanted, rules, on_cosines, on_scores)
    parts: list[tuple[Source, list[int]]] = []
    if wanted.source is not None:
        columns = [c for c, rule in enumerate(rules) if rule is None or rule in on_scores]
        source = _open(wanted.source, wanted, classes, used_elsewhere=bool(on_cosines))
        parts.append((_ruled(source, rules, on_scores), columns))
    for rule in on_cosines:
        columns = [c for c, chosen in enumerate(rules) if chosen == rule]
        parts.append((_open(rule, wanted, classes), columns))
    whole = parts[0][0] if len(parts) == 1 else MixedSource(parts)
    _require_decisions(whole, wanted, rules)
    return whole


def provenance(source: Source, wanted: Wanted) -> dict[str, Any]:
    """Return where pseudo-labels come from: files and models by digest, the store by its fingerprint."""
    found: dict[str, Any] = provenance_of(source)
    if wanted.vlm_store is None:
        return found
    store = EmbeddingStore.open(wanted.vlm_store)
    return found | {"store": wanted.vlm_store, "encoder": store.encoder, "fingerprint": store.fingerprint}


def _check(
    wanted: Wanted, rules: list[Named | None], on_cosines: list[Named], on_scores: list[Named]
) -> None:
    if on_cosines and wanted.vlm_store is None:
        raise OneLabelError(
            f"rule {on_cosines[0]['name']!r} decides on image-text cosines: give --source STORE, made by "
            "onelabel embed --vlm"
        )
    if wanted.source is None and on_scores:
        raise OneLabelError(
            f"rule {on_scores[0]['name']!r} decides on scores: give --source with some, such as vlpl, "
            "FILE.csv or RUN"
        )
    if wanted.source is None and None in rules:
        raise OneLabelError(
            "give --source NAME (vlpl, FILE.csv, FILE.npz, RUN, SET) or, for a store, --rule vlpl as well"
        )
    if wanted.source is not None and not on_scores and None not in rules:
        raise OneLabelError(
            f"rule {on_cosines[0]['name']!r} decides on image-text cosines, which source "
            f"{wanted.source['name']!r} has none of: give --source STORE, made by onelabel embed --vlm"
        )


def _distinct(rules: list[Named | None]) -> list[Named]:
    found: list[Named] = []
    for rule in rules:
        if rule is not None and rule not in found:
            found.append(rule)
    return found


def _require_decisions(source: Source, wanted: Wanted, rules: list[Named | None]) -> None:
    if not decides(source) and None in rules:
        assert wanted.source is not None
        raise OneLabelError(
            f"source {wanted.source.get('path', wanted.source['name'])!r} has scores and no decisions: say "
            "which scores are pseudo-labels, as in --rule threshold --rule.positive 0.9"
        )


# -- opening ---


def _open(
    given: Named, wanted: Wanted, classes: tuple[ClassInfo, ...], used_elsewhere: bool = False
) -> Source:
    """Open one source, or several that are combined."""
    if given["name"] == "several":
        return _several(given, wanted, classes, used_elsewhere)
    # A wrong store is complained of where the source is opened, unless another part looks at it.
    store = wanted.vlm_store if _reads_store(given) or not used_elsewhere else None
    return open_source(given, store, classes, wanted.templates, wanted.seed)


def _several(given: Named, wanted: Wanted, classes: tuple[ClassInfo, ...], used_elsewhere: bool) -> Source:
    parts = [spelled_out(part) for part in given.get("of") or ()]
    if wanted.vlm_store is not None and not used_elsewhere and not any(map(_reads_store, parts)):
        raise OneLabelError("none of the sources reads embeddings: leave --vlm-store out")
    if any(part["name"] == STORE for part in parts):
        raise OneLabelError(
            "of several sources, name the rule of the store: --source vlpl,... --vlm-store STORE"
        )
    parameters = {key: value for key, value in given.items() if key not in ("name", "of")}
    check_parameters("source 'several'", SeveralSource, parameters)
    return SeveralSource([_open(part, wanted, classes, used_elsewhere=True) for part in parts], **parameters)


def _reads_store(given: Named) -> bool:
    if given["name"] == "several":
        return any(_reads_store(spelled_out(part)) for part in given.get("of") or ())
    return reads_store(load(str(given["name"])))


# -- rules ---


def _ruled(source: Source, rules: list[Named | None], on_scores: list[Named]) -> Source:
    if not on_scores:
        return source
    built = [(_rule(rule), [c for c, chosen in enumerate(rules) if chosen == rule]) for rule in on_scores]
    return RuledSource(source, built)


def _rule(given: Named) -> Rule:
    kind = load_rule(str(given["name"]))
    parameters = {key: value for key, value in given.items() if key != "name"}
    check_parameters(f"rule {given['name']!r}", kind, parameters)
    try:
        built: Rule = kind(**parameters)
    except TypeError as error:  # a parameter is missing, or of another type
        raise OneLabelError(f"rule {given['name']!r}: {error}") from None
    return built


def _rules_by_class(wanted: Wanted, classes: tuple[ClassInfo, ...]) -> list[Named | None]:
    """Return the rule of each class, None for the source's own decisions."""
    single = {} if wanted.rules is None else read_rules(wanted.rules, tuple(info.id for info in classes))
    return [single.get(info.id, wanted.rule) for info in classes]


def read_rules(path: str, class_ids: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Read a YAML file with a rule for single classes, ``dog: {name: threshold, positive: 0.8}``.

    Raises:
        OneLabelError: it cannot be read, names a class that is none, or a rule that is none.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "rules.yaml"
        >>> _ = path.write_text("dog: {name: threshold, positive: 0.8}\\ncat: none\\n")
        >>> read_rules(str(path), ("cat", "dog"))
        {'dog': {'name': 'threshold', 'positive': 0.8}, 'cat': {'name': 'none'}}
    """
    content = read_yaml(path, "--rules")
    if not isinstance(content, dict) or not content:
        raise OneLabelError(
            f"--rules {path} must hold a rule for each class, as 'dog: {{name: threshold, positive: 0.8}}'"
        )
    found = {}
    for key, value in content.items():
        name, rule = class_name(str(key)), {"name": value} if isinstance(value, str) else value
        if name not in class_ids:
            raise OneLabelError(f"--rules {path}: {not_a_class(name, class_ids)}")
        if not isinstance(rule, dict) or not isinstance(rule.get("name"), str):
            raise OneLabelError(
                f"--rules {path}: the rule of {name!r} must be {{name: NAME, parameter: value}}"
            )
        load_rule(rule["name"])
        found[name] = rule
    return found
