"""Parity with the released codes: every file of the folder named by ONELABEL_GOLDEN has its reader.

A file that nobody maps, and an array that nobody reads, fail.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from golden_archive import Archive
from golden_losses import COLE, READERS, Reader, compare
from golden_state import STATE

# Read by the tests of the room that they belong to, in this file.
ELSEWHERE = {
    "observe.npz": "labels/test_labels_simulate.py",
    "split.npz": "labels/test_labels_simulate.py",
    "formatters.npz": "labels/test_datasets_golden.py",
    "metrics.npz": "evaluation/test_evaluation_golden.py",
    "pseudo_vlpl.npz": "sources/test_vlpl_rule.py",
    "text_features.npz": "sources/test_vlpl_rule.py",
    "pixels.npz": "images/test_images_views.py",
    "pseudo_damp.npz": "sources/test_damp_rule.py",
    "pseudo_fixed9.npz": "sources/test_damp_rule.py",
    "relation.npz": "vlm/test_texts.py",
}

NO_METHOD = {
    "loss_smooth_ce.npz": "softmax cross-entropy in a helper that AEVLP never trains with",
    "loss_weight.npz": "an experiment left in two codes, in no paper; its float32 gradient is not a number",
}


def archive(golden: Path, name: str) -> Archive:
    if not (golden / name).is_file():
        pytest.skip(f"{name} is not in this folder")
    return Archive(golden / name)


def test_every_file_has_one_reader(golden: Path) -> None:
    groups = [set(READERS), set(STATE), set(ELSEWHERE), set(NO_METHOD)]
    mapped = set().union(*groups)
    assert sum(map(len, groups)) == len(mapped)
    unmapped = {path.name for path in golden.glob("*.npz")} - mapped
    assert not unmapped, f"no reader for {sorted(unmapped)}"
    assert any((golden / name).is_file() for name in READERS), f"no reference file in {golden}"


@pytest.mark.parametrize(("name", "place"), ELSEWHERE.items())
def test_the_file_named_here_reads_it(name: str, place: str) -> None:
    assert f'"{name}"' in (Path(__file__).parent / place).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", READERS)
def test_loss(golden: Path, name: str) -> None:
    compare(archive(golden, name), READERS[name])


@pytest.mark.parametrize("name", STATE)
def test_state(golden: Path, name: str) -> None:
    found = archive(golden, name)
    STATE[name](found)
    assert not found.unread, f"never compared: {sorted(found.unread)[:5]}"


def test_a_wrong_loss_is_noticed(golden: Path) -> None:
    found = archive(golden, "loss_an.npz")
    wrong: Reader = lambda run, logits: READERS["loss_an.npz"](run, logits) * 1.0001  # noqa: E731
    with pytest.raises(AssertionError, match="differs by"):
        compare(found, wrong)


def written(folder: Path, name: str, loss: Callable[[Tensor, Tensor], Tensor], **more: object) -> Path:
    """A file of the same form, with shapes of its own and logits up to ±60: naive arithmetic, traced."""
    arrays: dict[str, object] = {"cases": np.array(["q_B3_L7"]), "runs": np.array(["q_B3_L7/only"]), **more}
    rng = np.random.default_rng(77)
    logits, labels = rng.normal(0, 30, (3, 7)).astype(np.float32).clip(-60, 60), rng.choice([0, 0, 1], (3, 7))
    arrays |= {"q_B3_L7/logits": logits, "q_B3_L7/labels": labels.astype(np.int8)}
    for kind, dtype in (("f64", torch.float64), ("f32", torch.float32)):
        s = torch.from_numpy(logits).to(dtype).requires_grad_()
        value = loss(s, torch.from_numpy(labels))
        arrays[f"q_B3_L7/only/loss_{kind}"] = value.detach().numpy()
        arrays[f"q_B3_L7/only/grad_{kind}"] = torch.autograd.grad(value, s)[0].numpy()
    np.savez(folder / name, **arrays)  # type: ignore[arg-type]
    return folder


def naive_em(s: Tensor, z: Tensor) -> Tensor:
    p = torch.sigmoid(s)
    plus, minus = -torch.log(p + COLE), -torch.log(1 - p + COLE)
    return torch.where(z == 1, plus, -0.3 * (p * plus + (1 - p) * minus)).mean()


def test_another_folder_of_the_same_form(tmp_path: Path) -> None:
    alpha = {"q_B3_L7/only/alpha": np.array(0.3)}
    folder = written(tmp_path, "loss_em.npz", naive_em, **alpha)
    test_every_file_has_one_reader(folder)
    test_loss(folder, "loss_em.npz")
    written(folder, "loss_em.npz", naive_em, **alpha, **{"q_B3_L7/only/surprise": np.array(1)})
    with pytest.raises(AssertionError, match=r"never compared.*surprise"):
        test_loss(folder, "loss_em.npz")
    written(folder, "loss_of_tomorrow.npz", naive_em)
    with pytest.raises(AssertionError, match=r"no reader for .*tomorrow"):
        test_every_file_has_one_reader(folder)
