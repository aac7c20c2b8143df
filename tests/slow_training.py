"""The training procedures of the released codes, written out slowly: numpy, float64, one label matrix.

Each procedure is what its training script does to the label matrix, the schedules and the estimator; the loss
is a function of complex logits, and its derivative is the imaginary part after a step of 1e-30 i in one
logit, which is exact. ``stop`` holds the logits that the parts without derivative see. Nothing here is shared
with the package.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[Any]
STEP = 1e-30


def sigmoid(s: Matrix) -> Matrix:
    return np.asarray(1.0 / (1.0 + np.exp(-s)))


def nl(p: Matrix, eps: float) -> Matrix:
    return np.asarray(-np.log(p + eps))


def entropy(p: Matrix, eps: float) -> Matrix:
    return np.asarray(p * nl(p, eps) + (1 - p) * nl(1 - p, eps))


class Procedure:
    """One training script; ``z`` is its label matrix (1 present, 0 unknown), changed as the script does."""

    def __init__(self, eps: float = 0.0) -> None:
        self.eps = eps

    def start(self, z: Matrix, epochs: int, lr: float) -> None:
        self.z, self.epochs, self.lr = z.astype(float), epochs, lr

    def epoch(self, t: int) -> None:
        self.t = t

    def loss(self, s: Matrix, stop: Matrix, rows: Matrix) -> complex:
        raise NotImplementedError

    def after_step(self, s: Matrix, rows: Matrix) -> None:
        """Called with the logits that the step was computed from."""

    def after_epoch(self, score: Callable[[], Matrix]) -> None:
        pass


class EM(Procedure):
    def __init__(self, alpha: float, eps: float) -> None:
        super().__init__(eps)
        self.alpha = alpha

    def loss(self, s: Matrix, stop: Matrix, rows: Matrix) -> complex:  # noqa: ARG002
        p, z = sigmoid(s), self.z[rows]
        total = np.where(z == 1, nl(p, self.eps), 0) + np.where(z == 0, -self.alpha * entropy(p, self.eps), 0)
        return complex(total.mean())


class EMAPL(EM):
    """Soft labels t are written into the matrix as -t."""

    def __init__(self, alpha: float, beta: float, theta: float, warmup: int, eps: float) -> None:
        super().__init__(alpha, eps)
        self.beta, self.theta, self.warmup = beta, theta, warmup

    def start(self, z: Matrix, epochs: int, lr: float) -> None:
        super().start(z, epochs, lr)
        self.unlabelled = (z == 0).sum(axis=0)

    def loss(self, s: Matrix, stop: Matrix, rows: Matrix) -> complex:
        p, z = sigmoid(s), self.z[rows]
        soft = -z * nl(p, self.eps) + (1 + z) * nl(1 - p, self.eps)
        return super().loss(s, stop, rows) + complex(np.where(z < 0, self.beta * soft, 0).mean())

    def after_epoch(self, score: Callable[[], Matrix]) -> None:
        if self.t < self.warmup:
            return
        probs = score()
        for i in range(self.z.shape[1]):
            count = int(self.theta * self.unlabelled[i] / (self.epochs - self.warmup))
            unknown = [n for n in range(len(self.z)) if self.z[n, i] == 0]
            lowest = np.argsort(probs[unknown, i], kind="stable")[:count]
            for n in np.asarray(unknown, int)[lowest]:
                self.z[n, i] = -probs[n, i]


class LargeLoss(Procedure):
    """``scheme`` R, Ct or Cp; flips of Cp are entries above (strictly, or not) the K-th largest loss."""

    def __init__(self, scheme: str, delta: float, strict: bool = False) -> None:
        super().__init__()
        self.scheme, self.delta, self.strict, self.clean = scheme, delta / 100, strict, 1.0

    def epoch(self, t: int) -> None:
        if t > 1:
            self.clean -= self.delta
        super().epoch(t)

    def threshold(self, stop: Matrix, rows: Matrix) -> tuple[Matrix, float]:
        unknown = np.where(self.z[rows] == 0, np.log1p(np.exp(stop)), 0.0)
        share = self.delta if self.scheme == "Cp" else 1 - self.clean
        count = math.ceil(stop.size * share)
        return unknown, sorted(unknown.flatten(), reverse=True)[count - 1]

    def loss(self, s: Matrix, stop: Matrix, rows: Matrix) -> complex:
        present, absent = np.log(1 + np.exp(-s)), np.log(1 + np.exp(s))
        entries = np.where(self.z[rows] == 1, present, absent)
        if self.clean < 1:
            unknown, least = self.threshold(stop, rows)
            instead = np.zeros_like(entries) if self.scheme == "R" else present
            entries = np.where((self.z[rows] == 0) & (unknown >= least), instead, entries)
        return complex(entries.mean())

    def after_step(self, s: Matrix, rows: Matrix) -> None:
        if self.scheme == "Cp" and self.clean < 1:
            unknown, least = self.threshold(s, rows)
            large = unknown > least if self.strict else unknown >= least
            for n, i in zip(*np.nonzero(large & (self.z[rows] == 0)), strict=True):
                self.z[rows[n], i] = 1


class ROLE(Procedure):
    """The estimator ``phi`` is one more parameter of one Adam, with ten times the learning rate."""

    def __init__(self, phi: Matrix, k: float, linear: int, eps: float) -> None:
        super().__init__(eps)
        self.phi, self.k, self.linear = phi.astype(float), k, linear
        self.adam = Adam(self.phi, 10.0)

    def epoch(self, t: int) -> None:
        if self.linear and t == self.linear + 1:
            theta = np.clip(sigmoid(self.phi), 1e-5, 1 - 1e-5)
            self.phi[:] = np.log(theta / (1 - theta))
            self.adam = Adam(self.phi, 10.0)
        super().epoch(t)

    def half(self, p: Matrix, teacher: Matrix, z: Matrix) -> complex:
        taught = teacher * nl(p, self.eps) + (1 - teacher) * nl(1 - p, self.eps)
        known = np.where(z == 1, nl(p, self.eps), 0)
        gap = p.sum(axis=1).mean() - self.k
        return complex(known.mean() + taught.mean() + gap**2 / z.shape[1] ** 2)

    def loss(self, s: Matrix, stop: Matrix, rows: Matrix) -> complex:  # noqa: ARG002
        return 0.5 * self.half(sigmoid(s), sigmoid(self.phi[rows]), self.z[rows])

    def after_step(self, s: Matrix, rows: Matrix) -> None:
        def taught(phi: Matrix, _stop: Matrix, rows: Matrix) -> complex:
            return 0.5 * self.half(sigmoid(phi), sigmoid(s), self.z[rows])

        gradient = np.zeros_like(self.phi)
        gradient[rows] = slope(taught, self.phi[rows], rows)
        self.adam.step(gradient, self.lr)


class GR(Procedure):
    """``guided``: GPR, with pseudo-labels, λ, ρ and the regulariser; else GR."""

    def __init__(self, beta: Matrix, alpha: Matrix, q2: float, q3: float, linear: int, eps: float) -> None:
        super().__init__(eps)
        self.beta, self.alpha, self.q2, self.q3, self.linear = beta, alpha, q2, q3, linear

    def epoch(self, t: int) -> None:
        n, span = self.linear, self.epochs - self.linear
        late, step = max(t - n - 1, 0) / span, max(t - n, 0) / span
        self.w = self.beta[0] + (self.beta[1] - self.beta[0]) * late
        self.b = self.beta[2] + (self.beta[3] - self.beta[2]) * late
        self.mu = self.alpha[0] + (self.alpha[2] - self.alpha[0]) * step
        self.sigma = self.alpha[1] + (self.alpha[3] - self.alpha[1]) * step
        super().epoch(t)

    def parts(self, s: Matrix, stop: Matrix) -> tuple[Matrix, Matrix]:
        """V, and the loss of unknown entries."""
        p, still = sigmoid(s), sigmoid(stop)
        k, v = sigmoid(self.w * still + self.b), np.exp(-((still - self.mu) ** 2) / (2 * self.sigma**2))
        unknown = k * (1 - p**self.q2) / self.q2 + (1 - k) * (1 - (1 - p) ** self.q3) / self.q3
        return v, v * unknown

    def loss(self, s: Matrix, stop: Matrix, rows: Matrix) -> complex:
        _, unknown = self.parts(s, stop)
        return complex(np.where(self.z[rows] == 1, nl(sigmoid(s), self.eps), unknown).mean())


@dataclass
class Guides:
    """Pseudo-labels and the constants of GPR."""

    pseudo: Matrix
    lam1: float
    lam2: float
    rho: float
    reg: float
    k: float


class GPR(GR):
    def __init__(self, guides: Guides, *rest: Any) -> None:
        super().__init__(*rest)
        self.guides = guides

    def loss(self, s: Matrix, stop: Matrix, rows: Matrix) -> complex:
        g, p, z = self.guides, sigmoid(s), self.z[rows]
        pseudo = np.where(z == 0, g.pseudo[rows], 0)
        v, entries = self.parts(s, stop)
        trust = 1 - np.clip(v, 1 - g.lam1, 1 - g.lam2)
        smooth = g.rho * nl(p, self.eps) + (1 - g.rho) * nl(1 - p, self.eps)
        entries = np.where(pseudo == 1, trust * smooth, entries)
        entries = np.where(pseudo == -1, v * nl(1 - p, self.eps), entries)
        entries = np.where(z == 1, nl(p, self.eps), entries)
        gap = p.sum(axis=1).mean() - g.k
        return complex(entries.mean() + g.reg * gap**2 / z.shape[1] ** 2)


class SPLC(Procedure):
    """Focal loss with a margin; from the second epoch confident unknown entries are positives."""

    def loss(self, s: Matrix, stop: Matrix, rows: Matrix) -> complex:
        z = self.z[rows]
        p = sigmoid(np.where(z == 1, s - 1, s))
        positive = (z == 1) | ((sigmoid(stop) > 0.6) if self.t > 1 else False)
        entries = np.where(positive, -((1 - p) ** 2) * np.log(p), -(p**2) * np.log(1 - p))
        return complex(entries.mean())


class VLPL(EM):
    def __init__(self, pseudo: Matrix, alpha: float, eps: float) -> None:
        super().__init__(alpha, eps)
        self.pseudo = pseudo

    def loss(self, s: Matrix, stop: Matrix, rows: Matrix) -> complex:
        p, guided = sigmoid(s), (self.z[rows] == 0) & (self.pseudo[rows] == 1)
        smooth = 0.7 * (0.9 * nl(p, self.eps) + 0.1 * nl(1 - p, self.eps))
        ignored = (self.z[rows] == 0) & (self.pseudo[rows] == -1)
        without = np.where(guided | ignored, self.alpha * entropy(p, self.eps), 0)
        instead = np.where(guided, smooth, 0) + without
        return super().loss(s, stop, rows) + complex(instead.mean())


class Adam:
    """Adam on one array, in place, with ``factor`` times the learning rate."""

    def __init__(self, values: Matrix, factor: float = 1.0) -> None:
        self.values, self.factor = values, factor
        self.m, self.v, self.t = np.zeros_like(values), np.zeros_like(values), 0

    def step(self, gradient: Matrix, lr: float) -> None:
        self.t += 1
        self.m = 0.9 * self.m + 0.1 * gradient
        self.v = 0.999 * self.v + 0.001 * gradient**2
        mean, square = self.m / (1 - 0.9**self.t), self.v / (1 - 0.999**self.t)
        self.values -= self.factor * lr * mean / (np.sqrt(square) + 1e-8)


def slope(loss: Callable[[Matrix, Matrix, Matrix], complex], s: Matrix, rows: Matrix) -> Matrix:
    """The derivative of a scalar in every logit."""
    gradient = np.zeros(s.shape)
    for place in np.ndindex(*s.shape):
        moved = s.astype(complex)
        moved[place] += STEP * 1j
        gradient[place] = loss(moved, s, rows).imag / STEP
    return gradient


@dataclass
class Problem:
    """Features (N, D), labels (N, C), pseudo-labels, first weights, and the batches of each epoch."""

    x: Matrix
    z: Matrix
    pseudo: Matrix
    weight: Matrix
    bias: Matrix
    epochs: list[list[Matrix]]
    lr: float = 0.05


def make_problem(seed: int = 0, images: int = 26, classes: int = 5, dim: int = 4, epochs: int = 8) -> Problem:
    rng = np.random.RandomState(seed)
    x = rng.randn(images, dim)
    truth = x @ rng.randn(dim, classes) + 0.5 * rng.randn(images, classes)
    z = np.zeros((images, classes), np.int8)
    z[np.arange(images), truth.argmax(axis=1)] = 1
    pseudo = np.where(z == 0, (truth > 0.5).astype(np.int8) - (truth < -2.5).astype(np.int8), 0)
    batches = [np.array_split(rng.permutation(images), 4) for _ in range(epochs)]
    weight = 0.5 * rng.randn(dim, classes)
    return Problem(x, z, pseudo.astype(np.int8), weight, np.zeros(classes), batches)


def slow_train(procedure: Procedure, problem: Problem) -> list[Matrix]:
    """Weights and biases, (D + 1, C), after every step."""
    weight, bias, trail = problem.weight.copy(), problem.bias.copy(), []
    optimisers = Adam(weight), Adam(bias)
    procedure.start(problem.z, len(problem.epochs), problem.lr)
    for t, batches in enumerate(problem.epochs, 1):
        procedure.epoch(t)
        for rows in batches:
            s = problem.x[rows] @ weight + bias
            gradient = slope(procedure.loss, s, rows)
            procedure.after_step(s, rows)
            optimisers[0].step(problem.x[rows].T @ gradient, problem.lr)
            optimisers[1].step(gradient.sum(axis=0), problem.lr)
            trail.append(np.vstack([weight, bias]))
        procedure.after_epoch(lambda: sigmoid(problem.x @ weight + bias))
    return trail
