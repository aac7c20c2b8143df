"""``docs/paper-vs-code.md``: every parameter that it names exists, and changes what is trained."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from onelabel.cli import embed, simulate, train
from onelabel.io.ids import IdTable
from onelabel.labels.table import LabelTable
from onelabel.methods.base import Batch, Context
from onelabel.methods.registry import catalogue, create, load
from onelabel.sources.damp import DampSource
from onelabel.sources.vlpl import VlplSource

TEXT = (Path(__file__).parents[1] / "docs" / "paper-vs-code.md").read_text(encoding="utf-8")
CALLS = sorted(set(re.findall(r"`((?:source )?[a-z0-9-]+\(\w+=.*?\))`", TEXT)))
NAMES = {entry.name for entry in catalogue()}
# Cases of the survey behind this document: none may be left out.
CASES = {"C": 6, "A": 5, "L": 5, "G": 5, "V": 17, "E": 16}
# What the other setting needs to show: more corrected entries than unknown ones.
SETTING: dict[str, dict[str, Any]] = {"ll-r": {"delta": 90.0}, "ll-ct": {"delta": 90.0}}

IMAGES, CLASSES, EPOCHS = 600, 5, 4  # so many that 0.1 and 0.2 per cent of a batch are not the same number


def read(call: str) -> tuple[str, dict[str, Any]]:
    name, _, inside = call.removeprefix("source ").partition("(")
    written = ast.parse(f"f({inside}", mode="eval").body
    assert isinstance(written, ast.Call)
    return name, {str(word.arg): ast.literal_eval(word.value) for word in written.keywords}


def labels() -> Tensor:
    rng = np.random.default_rng(0)
    found = rng.choice([-1, 0, 0, 1], (IMAGES, CLASSES)).astype(np.int8)
    found[0], found[1] = 1, -1
    return torch.from_numpy(found)


def trained(name: str, **params: Any) -> list[Tensor]:
    """Losses, weights and state of a small run in which some logits are saturated."""
    torch.manual_seed(0)
    known = labels()
    table = LabelTable.from_dense(
        [f"{row}.jpg" for row in range(IMAGES)], [f"c{i}" for i in range(CLASSES)], known.numpy()
    )
    features, pseudo = torch.randn(IMAGES, 8) * 6.0, torch.randint(-1, 2, (IMAGES, CLASSES)).to(torch.int8)
    weights = torch.randn(8, CLASSES, requires_grad=True)
    method = create(name, **params)
    method.start(Context(table, epochs=EPOCHS, learning_rate=0.01, expected_positives=1.5))
    trace = []
    for epoch in range(1, EPOCHS + 1):
        method.start_epoch(epoch)
        for index in torch.arange(IMAGES).reshape(2, -1):
            batch = Batch(index, known[index], features[index] @ weights, pseudo=pseudo[index])
            value = method.loss(batch)
            (gradient,) = torch.autograd.grad(value, weights)
            weights = (weights - 0.01 * gradient).detach().requires_grad_()
            trace.append(value.detach())
        noise = {"eval": 0.0, "train": 3.0}  # training scores come from augmented images
        method.end_epoch(
            lambda view: [(torch.arange(IMAGES), torch.sigmoid((features + noise[view]) @ weights.detach()))]  # noqa: B023
        )
    return [*trace, weights.detach(), *method.state().values()]


def same(one: list[Tensor], other: list[Tensor]) -> bool:
    return all(map(torch.equal, one, other))


def test_the_document_names_parameters() -> None:
    assert len(CALLS) > 30


@pytest.mark.parametrize("call", [call for call in CALLS if not call.startswith("source ")])
def test_a_parameter_changes_what_is_trained(call: str) -> None:
    name, params = read(call)
    assert name in NAMES
    defaults = {key: p.default for key, p in inspect.signature(load(name)).parameters.items()}
    for key, value in params.items():
        assert key in defaults, f"{name} has no parameter {key}"
        assert defaults[key] != value or len(params) > 1, f"{value} is the default of {key}"
    setting = SETTING.get(name, {}) if "as_released" in params else {}
    usual = trained(name, **setting)
    assert same(usual, trained(name, **setting))
    assert not same(usual, trained(name, **setting, **params))


@pytest.mark.parametrize("call", [call for call in CALLS if call.startswith("source ")])
def test_a_parameter_of_a_source_changes_its_labels(call: str) -> None:
    name, params = read(call)
    kind = {"vlpl": VlplSource, "damp": DampSource}[name]
    rng, names = np.random.default_rng(0), list("abcdefgh")
    vectors, texts = rng.normal(size=(8, 5, 4)).astype(np.float32), rng.normal(size=(5, 4))
    store = SimpleNamespace(
        ids=IdTable.from_strings(names), dim=4, views=("global", "1", "2", "3", "4"), mirrored=False,
        fingerprint={}, rows=lambda index, _mirrored: vectors[index],
    )  # fmt: skip
    known = np.zeros((8, 5), np.int8)
    known[:, 0] = 1
    table = LabelTable.from_dense(names, list("vwxyz"), known)

    def made(**settings: Any) -> tuple[Tensor, Tensor]:
        source: Any = kind(store, texts, **settings)
        source.start(table)
        found: tuple[Tensor, Tensor] = source.pseudo(
            torch.arange(8), torch.from_numpy(known), torch.zeros(8, dtype=torch.bool), epoch=1
        )
        return found

    hot = {} if "temperature" in params else {"temperature": 0.3}
    low = {"threshold": 0.2} if name == "damp" else {}
    usual, other = made(**hot, **low), made(**{**hot, **low, **params})
    assert not all(map(torch.equal, usual, other))
    for key in set(params) - {"negatives"}:  # which the others need to have something to act on
        less = {each: value for each, value in params.items() if each != key}
        assert not all(map(torch.equal, made(**hot, **low, **less), other)), key


def test_options_of_the_command_line_exist() -> None:
    known = {
        f"--{key.replace('_', '-')}"
        for function in (train.train, simulate.simulate, embed.embed)
        for key in inspect.signature(function).parameters
    }
    named = set(re.findall(r"`(--[a-z-]+)`", TEXT))
    assert named and named <= known


def test_names_in_code_spans_are_methods() -> None:
    headings = re.findall(r"^## .*?: (.*)$", TEXT, re.MULTILINE)
    named = {name for line in headings for name in re.findall(r"`([^`]+)`", line)}
    assert named <= NAMES
    assert {"an-ls", "ll-cp", "em-apl", "gpr", "vlpl"} <= named


def test_every_case_is_there() -> None:
    first_cells = re.findall(r"^\| ([A-Z]\d+(?:, [A-Z]\d+)*):", TEXT, re.MULTILINE)
    found = {case for cell in first_cells for case in cell.split(", ")}
    assert found == {f"{letter}{i}" for letter, count in CASES.items() for i in range(1, count + 1)}


def test_a_weight_of_0_ignores_known_absent_labels() -> None:
    """As the document says: the released behaviour where the code ignores -1."""
    from onelabel import losses

    known, logits = labels(), torch.randn(IMAGES, CLASSES)
    for name in ("em", "gr"):
        loss = losses.create(name, reduction="none")
        found = loss(logits, known, (known >= 0).float())
        assert bool((found[known == -1] == 0).all()) and bool((loss(logits, known)[known == -1] > 0).all())
