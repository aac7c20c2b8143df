"""The work of one method with one seed, and many of those in several processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from onelabel.compare.contenders import CHANCE, Contender
from onelabel.compare.folder import Folder
from onelabel.compare.measure import chance, measure, plain
from onelabel.compare.plan import Plan
from onelabel.compare.problem import Data, Problem, make_problem
from onelabel.compare.search import Setting, make_search
from onelabel.compare.train import Score, alone, make_run, make_trainer, open_for
from onelabel.io.errors import OneLabelError
from onelabel.labels.table import LabelTable
from onelabel.sources.base import Source

Trial = dict[str, Any]


@dataclass(frozen=True)
class Unit:
    """One method with one seed: all its trials.

    Args:
        contender: the method.
        seed: the seed.
    """

    contender: Contender
    seed: int


def trials_of(contender: Contender, plan: Plan) -> int:
    """Return how many trials a contender has with each seed."""
    return plan.trials if contender.method else 1


class Worker:
    """Does units, one after the other.

    Args:
        plan: settings.
        data: labels.
        folder: where results go.

    Raises:
        OneLabelError: the features cannot be read.
    """

    def __init__(self, plan: Plan, data: Data, folder: Folder) -> None:
        self.plan, self.data, self.folder = plan, data, folder
        self.trainer = make_trainer(plan)
        self._seed = -1
        self._problem: Problem | None = None
        self._sources: dict[str, Source] = {}

    def problem(self, seed: int) -> Problem:
        """Return what the methods of a seed share; that of the last seed is kept."""
        if self._problem is None or seed != self._seed:
            self._problem, self._seed, self._sources = make_problem(self.data, self.plan, seed), seed, {}
        return self._problem

    def source(self, name: str, seed: int) -> Source | None:
        """Return an open source, or None for no name."""
        if not name:
            return None
        problem = self.problem(seed)
        if name not in self._sources:
            self._sources[name] = open_for(self.plan, name, problem.parts.train.classes, seed)
        return self._sources[name]

    def do(self, unit: Unit) -> list[Trial]:
        """Return all trials of a unit, those that were finished earlier from their files."""
        contender, seed = unit.contender, unit.seed
        search = None
        if contender.method:
            search = make_search(self.plan, self.folder.journal(contender, seed), seed)
        trials = []
        for number in range(trials_of(contender, self.plan)):
            setting = None if search is None else search.ask(number)
            trial = self.folder.trial(contender, seed, number)
            trial = trial or self._try(contender, seed, number, setting)
            trials.append(trial)
            if search is not None and setting is not None:
                search.tell(setting, trial["selection"])
        return trials

    def _try(self, contender: Contender, seed: int, number: int, setting: Setting | None) -> Trial:
        """Do one trial; one that fails says why, and leaves no file, so that it is tried again next time."""
        began = time.perf_counter()
        head = {"method": contender.key, "seed": seed, "number": number}
        head["setting"] = None if setting is None else asdict(setting)
        try:
            found, checked = self._outcome(contender, seed, setting)
        except (Exception, SystemExit) as error:  # methods and sources may be a third party's
            reason = str(error) if isinstance(error, OneLabelError) else f"{type(error).__name__}: {error}"
            return {**head, "selection": None, "error": reason}
        trial = {**head, **found, "error": None, "seconds": round(time.perf_counter() - began, 3)}
        self.folder.keep(contender, seed, number, trial, checked)
        return trial

    def lost(self, unit: Unit) -> list[Trial]:
        """Return the trials of a unit whose process died, finished ones from their files."""
        reason = "its process ended abruptly, perhaps for lack of memory"
        head = {"method": unit.contender.key, "seed": unit.seed, "setting": None}
        numbers = range(trials_of(unit.contender, self.plan))
        return [
            self.folder.trial(unit.contender, unit.seed, number)
            or {**head, "number": number, "selection": None, "error": reason}
            for number in numbers
        ]

    def _outcome(
        self, contender: Contender, seed: int, setting: Setting | None
    ) -> tuple[Trial, NDArray[np.float32] | None]:
        problem = self.problem(seed)
        if contender.key == CHANCE:
            both = (problem.test, problem.checked)
            found = dict(zip(("test", "checked"), (table and chance(table) for table in both), strict=True))
            return {"selection": None, "epoch": None, **found}, None
        source = self.source(contender.source, seed)
        if setting is None:
            assert source is not None
            return self._judged({"selection": None, "epoch": None}, lambda table: alone(source, table), seed)
        trained, score = self.trainer.train(make_run(contender, setting, problem, self.plan, seed, source))
        return self._judged({"selection": plain(trained.score), "epoch": trained.epoch}, score, seed)

    def _judged(self, found: Trial, score: Score, seed: int) -> tuple[Trial, NDArray[np.float32] | None]:
        problem = self.problem(seed)
        checked: NDArray[np.float32] | None = None
        found["test"], found["checked"] = measure(score(problem.test), problem.test), None
        if isinstance(problem.checked, LabelTable):
            checked = score(problem.checked)
            found["checked"] = measure(checked, problem.checked)
        return found, checked


def work(units: Sequence[Unit], worker: Worker, jobs: int) -> Iterator[tuple[Unit, list[Trial]]]:
    """Do all units, in ``jobs`` processes with one thread each; yield each as it is done.

    A process that dies takes the others with it. What they were at is then done again, each in a process of
    its own, so that the one that dies again is known.
    """
    if jobs == 1 or len(units) < 2:
        yield from ((unit, worker.do(unit)) for unit in units)
        return
    waiting = deque(units)
    while waiting:
        for unit in (yield from _until_broken(waiting, worker, jobs)):
            again = yield from _until_broken(deque([unit]), worker, 1)
            yield from ((lost, worker.lost(lost)) for lost in again)


def _until_broken(
    waiting: deque[Unit], worker: Worker, jobs: int
) -> Generator[tuple[Unit, list[Trial]], None, list[Unit]]:
    """Do units until none is left or a process dies; return those that were under way."""
    before = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(
        min(jobs, len(waiting)), multiprocessing.get_context("spawn"), _begin,
        (worker.plan, worker.data, worker.folder),
    )  # fmt: skip
    under_way: dict[Future[list[Trial]], Unit] = {}
    try:
        while waiting or under_way:
            while waiting and len(under_way) < jobs:
                under_way[pool.submit(_do, waiting[0])] = waiting[0]
                waiting.popleft()
            for done in wait(under_way, return_when=FIRST_COMPLETED).done:
                found = done.result()
                yield under_way.pop(done), found
        return []
    except BrokenProcessPool:
        return list(under_way.values())
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in set(multiprocessing.active_children()) - before:
            child.terminate()


_worker: Worker | None = None


def _begin(plan: Plan, data: Data, folder: Folder) -> None:
    """Get a process ready; it ends when the one that started it ends, however that ends."""
    global _worker  # what a process of the pool keeps between units
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one that started it
    torch.set_num_threads(1)
    _worker = Worker(plan, data, folder)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _do(unit: Unit) -> list[Trial]:
    assert _worker is not None
    return _worker.do(unit)
