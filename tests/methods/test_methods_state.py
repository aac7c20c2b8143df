"""Per-image state: reference vectors, the joint optimiser, memory, and what is refused."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from golden_archive import Archive, Run
from onelabel.io.errors import OneLabelError
from onelabel.labels.table import LabelTable
from onelabel.losses import functional
from onelabel.methods.base import Batch, Context
from onelabel.methods.dense_adam import DenseAdam
from onelabel.methods.em_apl import EMAPLMethod
from onelabel.methods.ll_cp import LLCpMethod
from onelabel.methods.registry import create
from onelabel.methods.role import ROLELinearInitMethod, ROLEMethod, initial_logits


def table_of(labels: Any) -> LabelTable:
    matrix = np.asarray(labels)
    ids = [f"{row}.jpg" for row in range(len(matrix))]
    return LabelTable.from_dense(ids, [f"c{column}" for column in range(matrix.shape[1])], matrix)


def archive(golden: Path, name: str) -> Archive:
    if not (golden / name).is_file():
        pytest.skip(f"{name} is not in this folder")
    return Archive(golden / name)


# -- em-apl ---


def released_matrix(labels: np.ndarray, soft: np.ndarray) -> np.ndarray:
    """The label matrix as the released code keeps it: a soft label t is -t."""
    return np.where((labels == 0) & (soft >= 0), -soft, labels)


def test_em_apl_writes_what_the_released_code_writes(golden: Path) -> None:
    """All runs of a case, one after the other, on one method."""
    found = archive(golden, "apl_relabel.npz")
    runs: dict[str, list[Run]] = {}
    for run in found.runs():
        runs.setdefault(run.case, []).append(run)
    for sequence in runs.values():
        follow(sequence)


def follow(runs: list[Run]) -> None:
    labels, epochs = runs[0]["labels"], int(runs[0]["num_epochs"])
    warmup = int(runs[0]["warmup_epoch"])
    method = EMAPLMethod(
        neg_proportion=runs[0].number("neg_proportion"), warmup_epoch=warmup, as_released=True
    )
    method.start(Context(table_of(labels), epochs))
    if len(labels) <= int(runs[0]["batch_size"]):
        return  # the released loop does nothing when there is a single batch; ours labels
    for epoch, run in enumerate(runs, warmup):
        method.start_epoch(epoch)
        order = torch.from_numpy(run["order"].astype(np.int64))
        probs = run.tensor("preds")
        method.end_epoch(lambda _view, order=order, probs=probs: [(o, probs[o]) for o in order.split(7)])  # type: ignore[misc]
        ours = released_matrix(labels, method.state()["soft"].numpy().astype(np.float64))
        wanted = run["labels_after"]
        if bool(run["ties"]):
            # Which of equal scores is taken is left to an unstable sort there.
            np.testing.assert_array_equal(np.sort(ours, axis=0), np.sort(wanted, axis=0))
            return
        np.testing.assert_array_equal(ours, wanted, err_msg=f"{run.case}/{run.variant}")


def scores(probs: Tensor) -> Any:
    return lambda _view: [(torch.arange(len(probs)), probs)]


def test_em_apl_never_touches_what_is_observed_and_keeps_what_it_wrote() -> None:
    labels = np.array([[1, 0], [-1, 0], [0, 1], [0, 0]])
    method = EMAPLMethod(neg_proportion=1.0, warmup_epoch=0)
    method.start(Context(table_of(labels), epochs=2))
    probs = torch.rand(4, 2)
    for epoch in (1, 2):
        method.start_epoch(epoch)
        method.end_epoch(scores(probs / epoch))
        soft = method.state()["soft"].numpy()
        assert (soft[labels != 0] == -1).all()
        assert ((soft >= 0).sum(axis=0) == [epoch, epoch if epoch < 2 else 2]).all()
    first = probs.numpy()[labels == 0]
    assert np.isin(soft[labels == 0][soft[labels == 0] >= 0], [*first, *(first / 2)]).all()


def test_a_probability_of_zero_is_a_soft_label_unless_as_released() -> None:
    for as_released, wanted in ((False, [0.0, 0.5]), (True, [-1.0, 0.5])):
        method = EMAPLMethod(neg_proportion=1.0, warmup_epoch=0, as_released=as_released)
        method.start(Context(table_of([[0], [0]]), epochs=1))
        method.start_epoch(1)
        method.end_epoch(scores(torch.tensor([[0.0], [0.5]])))
        assert method.state()["soft"].flatten().tolist() == wanted


def test_em_apl_leaves_rows_alone_that_are_not_scored() -> None:
    method = EMAPLMethod(neg_proportion=1.0, warmup_epoch=0)
    method.start(Context(table_of(np.zeros((5, 2))), epochs=1))
    method.start_epoch(1)
    method.end_epoch(lambda _: [(torch.tensor([4, 1]), torch.full((2, 2), 0.25))])
    assert (method.state()["soft"] >= 0).nonzero()[:, 0].tolist() == [1, 1, 4, 4]


def test_em_apl_by_default_begins_half_way_and_refuses_a_late_beginning() -> None:
    method = EMAPLMethod()
    method.start(Context(table_of([[1, 0]]), epochs=10))
    assert method.first == 5
    method.start(Context(table_of([[1, 0]]), epochs=1))
    assert method.first == 0
    with pytest.raises(OneLabelError, match=r"after epoch 5 and the run has 5.*warmup_epoch"):
        EMAPLMethod(warmup_epoch=5).start(Context(table_of([[1, 0]]), epochs=5))


def test_em_apl_keeps_four_bytes_per_image_and_class() -> None:
    method = EMAPLMethod()
    method.start(Context(table_of(np.zeros((30, 7))), epochs=2))
    assert bytes_of(method.state()) == 4 * 30 * 7


def bytes_of(state: dict[str, Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in state.values() if tensor.dim())


# -- large loss ---


def run_large(method: LLCpMethod, labels: np.ndarray, epochs: int, seed: int) -> list[Tensor]:
    """The labels that the loss saw, for random scores: one batch of all images an epoch."""
    method.start(Context(table_of(labels), epochs))
    seen: list[Tensor] = []
    method.criterion.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[1].clone()))
    draw = torch.Generator().manual_seed(seed)
    for epoch in range(1, epochs + 1):
        method.start_epoch(epoch)
        logits = torch.randn(labels.shape, generator=draw, requires_grad=True)
        method.loss(Batch(torch.arange(len(labels)), torch.from_numpy(labels), logits))
        method.end_epoch(scores(torch.sigmoid(logits)))
    return seen


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 12), st.integers(1, 6), st.floats(0.1, 40), st.booleans(), st.integers(0, 99))
def test_ll_cp_remembers_for_good(images: int, classes: int, delta: float, strict: bool, seed: int) -> None:
    labels = np.random.RandomState(seed).randint(-1, 2, (images, classes)).astype(np.int8)
    method = LLCpMethod(delta, as_released=strict)
    seen = run_large(method, labels, 5, seed)
    table = torch.from_numpy(labels)
    assert torch.equal(seen[0], table) and torch.equal(seen[1], table), "nothing is flipped before epoch 2"
    count = functional.large_loss_count(labels.size, delta / 100)
    for before, after in pairwise(seen[1:]):
        changed = (before != after).sum()
        assert (before[before != 0] == after[before != 0]).all(), "only unknown entries change"
        assert ((after == 1) | (after == before)).all(), "they become present"
        assert changed <= count - strict, "no more than K of them"
    flipped = method.state()["flipped"]
    assert set(((seen[-1] == 1) & (table == 0)).flatten().nonzero().flatten().tolist()) <= set(
        flipped.tolist()
    )
    assert flipped.diff().gt(0).all(), "sorted and distinct"


def test_ll_cp_keeps_eight_bytes_per_flip() -> None:
    method, labels = LLCpMethod(delta=5.0), np.zeros((40, 10), np.int8)
    run_large(method, labels, 4, seed=0)
    assert 0 < bytes_of(method.state()) <= 3 * 8 * 20


def test_ll_cp_flips_k_by_default_and_one_less_as_released() -> None:
    for as_released, wanted in ((False, 4), (True, 3)):
        method = LLCpMethod(delta=10.0, as_released=as_released)
        run_large(method, np.zeros((8, 5), np.int8), 2, seed=1)
        assert len(method.state()["flipped"]) == wanted


def test_an_image_that_comes_twice_is_flipped_once() -> None:
    method = LLCpMethod(delta=50.0)
    method.start(Context(table_of([[0, 0]]), epochs=3))
    method.start_epoch(2)
    for logits in ([[1.0, 0.0]], [[1.0, 0.5]]):
        method.loss(Batch(torch.tensor([0]), torch.zeros(1, 2, dtype=torch.int8), torch.tensor(logits)))
    assert method.state()["flipped"].tolist() == [0]


# -- role ---


def test_role_begins_with_the_estimates_of_the_released_code(golden: Path) -> None:
    found = archive(golden, "role_estimator.npz")
    for case in found.cases():
        labels, seed = found[f"{case}/labels"], int(found[f"{case}/torch_seed"])
        logits = initial_logits(table_of(labels), seed)
        np.testing.assert_array_equal(logits.numpy(), found[f"{case}/logits"], err_msg=case)
    for run in found.runs():
        estimate = run.tensor("estimate")
        method = ROLELinearInitMethod(expected=1.0)
        method.start(Context(table_of(run["labels"]), epochs=3, estimates=estimate))
        # The reference clips in float32, where 1 - 1e-5 has five digits left.
        np.testing.assert_allclose(method.state()["values"].numpy(), run["logits"], rtol=2e-4)


def test_many_rows_begin_as_few_do() -> None:
    labels = np.random.RandomState(0).randint(-1, 2, (9001, 3))
    uniform = torch.rand(9001, 3, generator=torch.Generator().manual_seed(4))
    wanted = functional.role_initial_logits(torch.from_numpy(labels), uniform)
    assert torch.equal(initial_logits(table_of(labels), 4), wanted)


def test_role_is_one_step_of_a_joint_optimiser() -> None:
    """Classifier and estimator in one torch Adam, its gradient dense, against the method."""
    torch.manual_seed(0)
    images, classes, lr, expected = 12, 4, 0.02, 1.5
    x, labels = torch.randn(images, 3), torch.zeros(images, classes, dtype=torch.int8)
    labels[torch.arange(images), torch.randint(classes, (images,))] = 1
    table, start = table_of(labels.numpy()), torch.randn(3, classes)
    method = ROLEMethod(eps=1e-5)
    method.start(Context(table, epochs=3, seed=1, learning_rate=lr, expected_positives=expected))
    ours, theirs = (start.clone().requires_grad_() for _ in range(2))
    estimator = initial_logits(table, 1).requires_grad_()
    alone = torch.optim.Adam([ours], lr=lr)
    groups: list[dict[str, Any]] = [{"params": [theirs]}, {"params": [estimator], "lr": 10 * lr}]
    joint = torch.optim.Adam(groups, lr=lr)
    for step in range(60):
        rows = torch.randperm(images)[:3]
        alone.zero_grad()
        torch.autograd.backward(method.loss(Batch(rows, labels[rows], x[rows] @ ours)))
        alone.step()
        joint.zero_grad(set_to_none=False)
        value = functional.role(
            x[rows] @ theirs, labels[rows], estimator[rows], expected=expected, eps=1e-5
        ).mean()
        torch.autograd.backward(value)
        joint.step()
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5, msg=f"classifier, step {step}")
        torch.testing.assert_close(
            method.state()["values"], estimator.detach(), rtol=1e-4, atol=1e-4, msg=f"estimator, step {step}"
        )


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 9), st.integers(1, 4), st.integers(0, 99), st.sampled_from([1, 4, 1 << 20]))
def test_dense_adam_is_torchs(rows: int, columns: int, seed: int, at_once: int) -> None:
    """Also where a row is named twice, and whatever is moved at once."""
    draw = torch.Generator().manual_seed(seed)
    values = torch.randn(rows, columns, generator=draw)
    reference = values.clone().requires_grad_()
    ours, theirs = DenseAdam(values, 0.1), torch.optim.Adam([reference], lr=0.1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("onelabel.methods.dense_adam._CELLS_AT_ONCE", at_once)
        for _ in range(6):
            index = torch.randint(rows, (3,), generator=draw)
            gradient = torch.randn(3, columns, generator=draw)
            reference.grad = torch.zeros_like(reference).index_add(0, index, gradient)
            ours.step(index, gradient)
            theirs.step()
            torch.testing.assert_close(ours.values, reference.detach(), rtol=1e-4, atol=1e-5)


def test_role_refuses_a_state_that_is_too_large_before_it_is_made() -> None:
    classes = 12_000
    table = LabelTable.from_entries(
        [str(i) for i in range(2000)], [f"c{i}" for i in range(classes)], [], [], []
    )
    method = ROLEMethod(expected=1.5, max_gigabytes=0.25)
    with pytest.raises(
        OneLabelError, match=r"0.3 GB for 2000 images and 12000 classes.*max_gigabytes = 0.25"
    ):
        method.start(Context(table, epochs=1))
    assert not hasattr(method, "adam")


def test_role_keeps_twelve_bytes_per_image_and_class() -> None:
    method = ROLEMethod(expected=1.5)
    method.start(Context(table_of(np.zeros((30, 7))), epochs=2))
    assert bytes_of(method.state()) == 12 * 30 * 7


def test_role_li_refuses_the_estimates_of_other_images() -> None:
    method = ROLELinearInitMethod(expected=1.0)
    with pytest.raises(OneLabelError, match=r"shape \(3, 2\), this run needs \(1, 2\)"):
        method.start(Context(table_of([[1, 0]]), epochs=5, estimates=torch.rand(3, 2)))


@pytest.mark.parametrize(("epochs", "wanted"), [(35, 25), (25, 17), (7, 5), (2, 1), (1, 0)])
def test_role_li_has_a_linear_phase_of_the_published_share(epochs: int, wanted: int) -> None:
    method = ROLELinearInitMethod(expected=1.0)
    method.start(Context(table_of([[1, 0]]), epochs=epochs))
    assert method.linear_epochs == wanted


@pytest.mark.parametrize("name", ["role-li", "gr", "gpr", "gr-pl"])
def test_a_linear_phase_may_not_take_the_whole_run(name: str) -> None:
    context = Context(table_of([[1, 0]]), epochs=4, expected_positives=1.5)
    method = create(name, linear_epochs=3)
    method.start(context)
    assert method.linear_epochs == 3
    with pytest.raises(OneLabelError, match="linear_epochs is 4 and the run has 4 epochs"):
        create(name, linear_epochs=4).start(context)


# -- schedules ---


def test_gr_schedules_of_the_four_data_sets(golden: Path) -> None:
    found = archive(golden, "schedules.npz")
    for key in found.keys("/epoch_w_b_mu_sigma"):
        data_set, _, linear = key.removesuffix("/epoch_w_b_mu_sigma").rpartition("/init")
        shape = {name: tuple(found[f"{data_set}/{name}"].tolist()) for name in ("beta", "alpha")}
        q2, q3 = found[f"{data_set}/q2q3"].tolist()
        for name in ("gr", "gpr", "gr-pl"):
            method: Any = create(name, **shape, q2=q2, q3=q3, linear_epochs=int(linear))
            method.start(Context(table_of([[1, 0]]), int(found[f"{data_set}/num_epochs"])))
            for epoch, *wanted in found[key].tolist():
                method.start_epoch(int(epoch))
                assert list(method.criterion.state) == wanted, f"{name}, {key}, epoch {epoch}"


def test_large_loss_schedules(golden: Path) -> None:
    found = archive(golden, "schedules.npz")
    for key in found.keys("/clean_rate"):
        delta = float(key.removesuffix("/clean_rate").rpartition("delta")[2])
        methods: dict[str, Any] = {name: create(name, delta=delta) for name in ("ll-r", "ll-ct", "ll-cp")}
        for name, method in methods.items():
            method.start(Context(table_of([[1, 0]]), 10))
            for epoch, rate in enumerate(found[key].tolist(), 1):
                method.start_epoch(epoch)
                wanted = (delta / 100 if epoch > 1 else 0.0) if name == "ll-cp" else 1.0 - rate
                assert method.criterion.fraction == wanted, f"{name}, epoch {epoch}"


def test_splc_corrects_from_the_second_epoch() -> None:
    method: Any = create("splc")
    method.start(Context(table_of([[1, 0]]), 3))
    found = []
    for epoch in (1, 2, 3):
        method.start_epoch(epoch)
        found.append(method.criterion.active)
    assert found == [False, True, True]


# -- saved state ---


@pytest.mark.parametrize("name", ["em-apl", "ll-cp", "role", "role-li"])
def test_the_state_of_another_table_is_refused(name: str) -> None:
    states = {}
    for images, classes in ((3, 4), (4, 3)):
        method = create(name)
        method.start(Context(table_of(np.zeros((images, classes))), 2, expected_positives=1.0))
        states[images] = method.state()
    if name == "ll-cp":
        states[3]["flipped"] = torch.tensor([[1]])
    with pytest.raises(OneLabelError, match=r"the saved state has .* with other images or classes"):
        method.load_state(states[3])
