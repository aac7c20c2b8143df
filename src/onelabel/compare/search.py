"""Which settings a method tries: the same grid for all, or as many trials of Optuna for all."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from onelabel.compare.plan import HEAD_INITS, Plan
from onelabel.io.errors import OneLabelError

HeadInit = Literal["zero", "prior"]


@dataclass(frozen=True)
class Setting:
    """One setting to try.

    Args:
        lr: learning rate.
        head_init: start of the head's bias.
    """

    lr: float
    head_init: HeadInit

    def __str__(self) -> str:
        return f"lr {self.lr:.3g}, head {self.head_init}"


class Search(Protocol):
    """Proposes settings one after the other, and hears how well each did."""

    def ask(self, number: int) -> Setting:
        """Return the setting of a trial; numbers count from 0."""

    def tell(self, setting: Setting, score: float | None) -> None:
        """Take the selection score of the setting asked for last; None where the run failed."""


class Grid:
    """Every learning rate with both starts of the head.

    Example:
        >>> [str(Grid((0.01, 0.1)).ask(number)) for number in range(3)]
        ['lr 0.01, head zero', 'lr 0.01, head prior', 'lr 0.1, head zero']
    """

    def __init__(self, lrs: tuple[float, ...]) -> None:
        self._settings = [Setting(lr, _init(index)) for lr in lrs for index in range(len(HEAD_INITS))]

    def ask(self, number: int) -> Setting:
        """Return a setting."""
        return self._settings[number]

    def tell(self, setting: Setting, score: float | None) -> None:
        """Do nothing: the grid is the same whatever comes out."""


class Tuner:
    """Trials of Optuna's TPE over learning rate and start of the head.

    The first two trials take the middle of the range with both starts, for every method. What is asked is a
    function of the seed and the scores told before, so that an interrupted search goes on as it would have.

    Args:
        journal: file for Optuna's own tools; written anew.
        low: least learning rate.
        high: largest.
        seed: of the search.

    Raises:
        OneLabelError: Optuna is not installed.
    """

    def __init__(self, journal: Path, low: float, high: float, seed: int) -> None:
        self._optuna = _optuna()
        journal.parent.mkdir(parents=True, exist_ok=True)
        for stale in (journal, journal.with_name(f"{journal.name}.lock")):  # of a killed search
            stale.unlink(missing_ok=True)
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        storage = JournalStorage(JournalFileBackend(str(journal)))
        self._study = self._optuna.create_study(
            storage=storage, study_name=journal.stem, direction="maximize"
        )
        self._space = {
            "lr": self._optuna.distributions.FloatDistribution(low, high, log=True),
            "head_init": self._optuna.distributions.CategoricalDistribution(HEAD_INITS),
        }
        self._middle, self._seed = math.sqrt(low * high), seed
        self._open: Any = None

    def ask(self, number: int) -> Setting:
        """Return the setting of a trial."""
        if number < len(HEAD_INITS):
            self._study.enqueue_trial({"lr": self._middle, "head_init": HEAD_INITS[number]})
        self._study.sampler = self._optuna.samplers.TPESampler(
            n_startup_trials=5, seed=1000 * self._seed + number
        )
        self._open = self._study.ask(self._space)
        return Setting(self._open.params["lr"], self._open.params["head_init"])

    def tell(self, setting: Setting, score: float | None) -> None:
        """Take the selection score of what was asked."""
        assert self._open is not None and self._open.params["lr"] == setting.lr
        failed = self._optuna.trial.TrialState.FAIL
        self._study.tell(self._open, score, state=failed if score is None else None)


def _init(index: int) -> HeadInit:
    return "prior" if HEAD_INITS[index] == "prior" else "zero"


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise OneLabelError("--tune needs Optuna: pip install 'onelabel[tune]'") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    return optuna


def require_tuner(plan: Plan) -> None:
    """Check, before any run, that what ``--tune`` needs is installed.

    Raises:
        OneLabelError: it is not.
    """
    if plan.tune:
        _optuna()


def make_search(plan: Plan, journal: Path, seed: int) -> Search:
    """Return the search that a plan asks for."""
    if not plan.tune:
        return Grid(plan.lrs)
    return Tuner(journal, plan.lrs[0], plan.lrs[1], seed)
