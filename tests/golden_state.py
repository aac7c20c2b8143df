"""Schedules, relabelling and label estimates against their reference files."""

from __future__ import annotations

import numpy as np
import torch

from golden_archive import EXACT, Archive, Run, assert_close
from onelabel.losses import functional


def compare_schedules(archive: Archive) -> None:
    for key in archive.keys("/epoch_w_b_mu_sigma"):
        compare_gr_schedule(archive, key.removesuffix("/epoch_w_b_mu_sigma"))
    shapes = archive["ll/k_shapes"]
    for key in archive.keys("/clean_rate"):
        stem = key.removesuffix("/clean_rate")
        delta = float(stem.rpartition("delta")[2])
        rates = [functional.clean_rate(epoch + 1, delta) for epoch in range(len(archive[key]))]
        np.testing.assert_array_equal(rates, archive[key], err_msg=key)
        counts = [[functional.large_loss_count(int(b * c), 1.0 - rate) for rate in rates] for b, c in shapes]
        np.testing.assert_array_equal(counts, archive[f"{stem}/k"], err_msg=stem)


def compare_gr_schedule(archive: Archive, stem: str) -> None:
    name, _, tail = stem.rpartition("/")
    beta, alpha = archive[f"{name}/beta"].tolist(), archive[f"{name}/alpha"].tolist()
    epochs, linear = int(archive[f"{name}/num_epochs"]), int(tail.removeprefix("init"))
    archive[f"{name}/q2q3"]  # constants of the data set, not of the schedule
    probs = torch.from_numpy(archive["p_grid"])
    table, k, v = archive[f"{stem}/epoch_w_b_mu_sigma"], archive[f"{stem}/K"], archive[f"{stem}/V"]
    for row, (epoch, *wanted) in enumerate(table.tolist()):
        state = functional.gr_schedule(int(epoch), epochs, beta=beta, alpha=alpha, linear_epochs=linear)
        assert list(state) == wanted, f"{stem}, epoch {epoch}"
        assert_close(functional.gr_k(probs, state.w, state.b), k[row], EXACT, f"{stem}/K")
        assert_close(functional.gr_v(probs, state.mu, state.sigma), v[row], EXACT, f"{stem}/V")


def compare_relabelling(archive: Archive) -> None:
    """Every run begins from the labels that the reference left."""
    before: dict[str, np.ndarray] = {}
    for run in archive.runs():
        start = before.get(run.case, run["labels"])
        before[run.case] = run["labels_after"]
        images, batch = start.shape[0], int(run["batch_size"])
        run["order"], run["logits"]  # the order of visits decides only between ties
        counts = functional.apl_counts(
            run.tensor("unlabel_num"),
            proportion=run.number("neg_proportion"),
            epochs=int(run["num_epochs"]),
            warmup=int(run["warmup_epoch"]),
        )
        np.testing.assert_array_equal(counts.numpy(), run["neg_num"])
        if images <= batch:
            # The released loop does nothing when there is a single batch; ours labels.
            np.testing.assert_array_equal(start, run["labels_after"])
            continue
        compare_selection(run, start, counts)


def compare_selection(run: Run, start: np.ndarray, counts: torch.Tensor) -> None:
    probs = run.tensor("preds")
    chosen = functional.apl_select(probs, torch.from_numpy(start == 0), counts)
    found = np.where(chosen.numpy(), -probs.numpy().astype(np.float64), start)
    if bool(run["ties"]):
        # Which of equal scores is taken is left to an unstable sort: only the scores taken are determined.
        found, wanted = np.sort(found, axis=0), np.sort(run["labels_after"], axis=0)
    else:
        wanted = run["labels_after"]
    np.testing.assert_array_equal(found, wanted, err_msg=f"{run.case}/{run.variant}")


def compare_estimates(archive: Archive) -> None:
    constants = {0.995: "logit_0995", 0.005: "logit_0005", 0.6: "logit_06"}
    for probability, key in constants.items():
        np.testing.assert_allclose(archive[key], np.log(probability / (1 - probability)), rtol=1e-12)
    for case in archive.cases():
        torch.manual_seed(int(archive[f"{case}/torch_seed"]))
        labels = torch.from_numpy(archive[f"{case}/labels"])
        uniform = torch.rand(labels.shape)
        np.testing.assert_array_equal(uniform.numpy(), archive[f"{case}/uniform01"])
        logits = functional.role_initial_logits(labels, uniform)
        np.testing.assert_array_equal(logits.numpy(), archive[f"{case}/logits"], err_msg=case)
        # The last bit of a sigmoid depends on the processor; the state, the logits, is compared exactly.
        estimated = torch.sigmoid(logits).numpy()
        np.testing.assert_allclose(estimated, archive[f"{case}/estimated"], rtol=1e-6)
        rows = archive[f"{case}/indices"]
        np.testing.assert_allclose(estimated[rows], archive[f"{case}/forward"], rtol=1e-6)
    for run in archive.runs():
        found = functional.role_logits_of(run.tensor("estimate"))
        # The reference clips in float32, where 1 - 1e-5 has five digits left.
        np.testing.assert_allclose(found.numpy(), run["logits"], rtol=2e-4)
        np.testing.assert_allclose(torch.sigmoid(found).numpy(), run["estimated"], rtol=2e-4)


STATE = {
    "schedules.npz": compare_schedules,
    "apl_relabel.npz": compare_relabelling,
    "role_estimator.npz": compare_estimates,
}
