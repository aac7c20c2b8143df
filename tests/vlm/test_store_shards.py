"""A store made by several processes: at once, one after the other, killed, begun twice."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from onelabel.io.errors import OneLabelError
from onelabel.io.ids import IdTable
from onelabel.io.lock import locked
from onelabel.io.shares import Share, local_number, share_of
from onelabel.vlm.layout import Plan
from onelabel.vlm.store import EmbeddingStore, UnfinishedStoreError

FORK = multiprocessing.get_context("fork")
COUNT, SHARDS = 53, 11
DONE, UNFINISHED = 0, 3


@pytest.fixture
def many(tmp_path: Path, make_photos: Any) -> Any:
    """53 photos: 10 shards of 5 and one of 3."""
    return make_photos(tmp_path / "photos", COUNT)


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def start(
    photos: Any, path: Path, part: str, before: Callable[[], object] = lambda: None, **more: Any
) -> Any:
    """Embed a part in a process of its own; its exit code says whether the store was finished then."""

    def work() -> None:
        torch.set_num_threads(1)  # waiting for the parent's threads, which a fork has not, is for ever
        before()
        try:
            photos.write(path, share=share_of(part, {}), **more)
        except UnfinishedStoreError:
            os._exit(UNFINISHED)
        os._exit(DONE)

    process = FORK.Process(target=work)
    process.start()
    return process


def ends(processes: Sequence[Any]) -> list[int]:
    for process in processes:
        process.join(60)
    return [process.exitcode for process in processes]


def kill_at(sync: int) -> Callable[[], None]:
    """SIGKILL at a call of fsync, in the middle of writing."""

    def arrange() -> None:
        real, count = os.fsync, 0

        def fsync(handle: int) -> None:
            nonlocal count
            count += 1
            if count == sync:
                os.kill(os.getpid(), signal.SIGKILL)
            real(handle)

        os.fsync = fsync  # type: ignore[assignment]

    return arrange


# -- the plan ---


@given(st.integers(0, 10**9), st.integers(1, 5000), st.integers(1, 300))
def test_shares_are_contiguous_and_nearly_equal(images: int, world: int, shard_rows: int) -> None:
    ids = IdTable(np.empty(0, np.uint8), np.broadcast_to(np.int64(0), images + 1))
    shards = Plan(ids, 1, {}, True, shard_rows).num_shards
    shares = [Share(number, world).range(shards) for number in range(world)]
    assert [share.start for share in shares] == [0, *(share.stop for share in shares[:-1])]
    assert shares[-1].stop == shards
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


ARRAY = {"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_COUNT": "4", "SLURM_ARRAY_TASK_MIN": "5"}
SRUN = {"SLURM_JOB_ID": "1", "SLURM_STEP_ID": "0", "SLURM_PROCID": "1", "SLURM_NTASKS": "2"}


@pytest.mark.parametrize(
    ("part", "environment", "expected"),
    [
        (None, {}, (0, 1)),
        (None, {"RANK": "3"}, (0, 1)),
        (None, {"RANK": "3", "WORLD_SIZE": "8"}, (3, 8)),
        ("2/5", {"RANK": "3", "WORLD_SIZE": "8"}, (1, 5)),
        (None, ARRAY, (2, 4)),
        (None, ARRAY | {"SLURM_ARRAY_TASK_STEP": "2"}, (1, 4)),
        (None, SRUN, (1, 2)),
        (None, {"SLURM_PROCID": "1", "SLURM_NTASKS": "2"}, (1, 2)),
        (
            None,
            {key: value for key, value in SRUN.items() if key != "SLURM_STEP_ID"},
            (0, 1),
        ),  # sbatch script
        (None, SRUN | {"RANK": "0", "WORLD_SIZE": "3"}, (0, 3)),
        (None, ARRAY | SRUN, (5, 8)),
        (None, ARRAY | {"RANK": "2", "WORLD_SIZE": "3"}, (8, 12)),
    ],
)
def test_who_says_which_part(
    part: str | None, environment: dict[str, str], expected: tuple[int, int]
) -> None:
    share = share_of(part, environment)
    assert (share.number, share.of) == expected
    assert bool(share.said_by) == (part is not None or share.of > 1)


@pytest.mark.parametrize(
    ("part", "environment", "message"),
    [
        *((part, {}, "--part must be I/N") for part in ("0/3", "4/3", "3", "1/", "-1/3", "1/0", "1/3/4", "")),
        (None, {"RANK": "8", "WORLD_SIZE": "8"}, "RANK is 8 and WORLD_SIZE is 8"),
        (None, {"RANK": "x", "WORLD_SIZE": "8"}, "RANK is 'x', not a number"),
        (None, ARRAY | {"SLURM_ARRAY_TASK_ID": "9"}, "the numbers have gaps"),
        (None, ARRAY | {"SLURM_ARRAY_TASK_ID": "4"}, "the numbers have gaps"),
        (None, ARRAY | {"SLURM_ARRAY_TASK_STEP": "3"}, "the numbers have gaps"),
    ],
)
def test_a_part_that_cannot_be_is_refused(
    part: str | None, environment: dict[str, str], message: str
) -> None:
    with pytest.raises(OneLabelError, match=message):
        share_of(part, environment)


def test_the_number_on_this_machine() -> None:
    assert [local_number(e) for e in ({}, {"LOCAL_RANK": "2"}, {"SLURM_LOCALID": "1"})] == [0, 2, 1]


# -- the work ---


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 1, 2)])
def test_parts_in_any_order_give_the_bytes_of_one_process(
    many: Any, tmp_path: Path, order: tuple[int, ...]
) -> None:
    many.write(tmp_path / "whole")
    for part in order[:2]:
        with pytest.raises(UnfinishedStoreError, match=rf"part {part} of 3 is finished; \d of 11 shards are"):
            many.write(tmp_path / "store", share=Share(part - 1, 3))
        with pytest.raises(OneLabelError, match="not finished"):
            EmbeddingStore.open(tmp_path / "store")
    store = many.write(tmp_path / "store", share=Share(order[2] - 1, 3))
    assert contents(tmp_path / "store") == contents(tmp_path / "whole")
    assert store.digest == EmbeddingStore.open(tmp_path / "whole", verify=True).digest
    assert many.encoder.images == 2 * 2 * COUNT  # nothing twice
    assert {entry.name for entry in tmp_path.iterdir()} == {"photos", "whole", "store"}


def test_all_at_once_and_each_part_twice(many: Any, tmp_path: Path) -> None:
    many.write(tmp_path / "whole")
    codes = ends([start(many, tmp_path / "store", f"{n % 3 + 1}/3") for n in range(6)])
    assert set(codes) <= {DONE, UNFINISHED} and DONE in codes, codes
    assert contents(tmp_path / "store") == contents(tmp_path / "whole")
    assert {entry.name for entry in tmp_path.iterdir()} == {"photos", "whole", "store"}


@pytest.mark.parametrize("seed", range(4))
def test_one_is_killed_and_begun_again(many: Any, tmp_path: Path, seed: int) -> None:
    many.write(tmp_path / "whole")
    path, victim = tmp_path / "store", Random(seed).randrange(1, 4)
    # The killed one comes first, so that its writes begin with ids and manifest: 6 calls, then 6 a shard.
    sync = Random(seed).randrange(1, 6 + 6 * 3)
    assert ends([start(many, path, f"{victim}/3", kill_at(sync))]) == [-signal.SIGKILL]
    others = [start(many, path, f"{part}/3") for part in range(1, 4) if part != victim]
    assert ends(others) == [UNFINISHED, UNFINISHED]
    many.encoder.images = 0
    many.write(path, share=Share(victim - 1, 3))
    assert contents(path) == contents(tmp_path / "whole")
    finished, shards = max(0, sync // 6 - 1), Share(victim - 1, 3).range(SHARDS)
    left = [min(COUNT, 5 * number + 5) - 5 * number for number in shards][finished:]
    assert many.encoder.images == 2 * sum(left)  # finished shards are not embedded again
    assert {entry.name for entry in tmp_path.iterdir()} == {"photos", "whole", "store"}


def test_killed_while_the_store_gets_its_name(many: Any, tmp_path: Path) -> None:
    many.write(tmp_path / "whole")
    path = tmp_path / "store"
    assert ends([start(many, path, "1/2")]) == [UNFINISHED]
    assert ends([start(many, path, "2/2", kill_at(6 * 6 + 1))]) == [-signal.SIGKILL]
    many.encoder.images = 0
    many.write(path, share=Share(0, 2))  # any part finds that all are finished
    assert many.encoder.images == 0
    assert contents(path) == contents(tmp_path / "whole")


@pytest.mark.parametrize("share", [Share(), Share(0, 1, "SLURM_ARRAY_TASK_ID"), Share(1, 5)])
def test_processes_of_another_number_go_on(many: Any, tmp_path: Path, share: Share) -> None:
    many.write(tmp_path / "whole")
    for number in (0, 2):
        with pytest.raises(UnfinishedStoreError):
            many.write(tmp_path / "store", share=Share(number, 3))
    many.encoder.images = 0
    if share.of == 1:
        many.write(tmp_path / "store", share=share)
        assert many.encoder.images == 2 * 20  # shards 3 to 6
        assert contents(tmp_path / "store") == contents(tmp_path / "whole")
    else:
        with pytest.raises(UnfinishedStoreError, match="part 2 of 5 is finished; 3 of 11"):
            many.write(tmp_path / "store", share=share)
        assert many.encoder.images == 2 * 5


def test_a_part_of_a_finished_store_has_nothing_to_do(many: Any, tmp_path: Path) -> None:
    many.write(tmp_path / "store")
    before = contents(tmp_path / "store")
    many.encoder.images = 0
    for overwrite in (False, True):
        store = many.write(tmp_path / "store", share=Share(1, 3), overwrite=overwrite)
        assert len(store) == COUNT and many.encoder.images == 0
    assert contents(tmp_path / "store") == before
    Image.new("RGB", (12, 10)).save(many.root / many.ids.text(20))  # of part 2
    with pytest.raises(OneLabelError, match=r"020\.png has changed since"):
        many.write(tmp_path / "store", share=Share(1, 3))


def test_more_processes_than_shards(many: Any, tmp_path: Path) -> None:
    many.write(tmp_path / "whole")
    for number in range(20):
        with pytest.raises(UnfinishedStoreError) if number < 19 else nullcontext():
            many.write(tmp_path / "store", share=Share(number, 20))
    assert contents(tmp_path / "store") == contents(tmp_path / "whole")


# -- who does not belong together ---


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"fingerprint": {"weights": "w2", "views": "global"}}, "weights"),
        ({"mirrored": False}, "mirrored"),
        ({"batch_size": 3}, "batch size"),
    ],
)
def test_processes_begun_for_something_else_refuse_each_other(
    many: Any, tmp_path: Path, changes: dict[str, Any], part: str
) -> None:
    with pytest.raises(UnfinishedStoreError):
        many.write(tmp_path / "store", share=Share(0, 3))
    before = contents(tmp_path / "store.partial")
    with pytest.raises(OneLabelError, match=rf"store\.partial was begun with other {part}: .*--overwrite"):
        many.write(tmp_path / "store", share=Share(1, 3), **changes)
    assert contents(tmp_path / "store.partial") == before


def test_a_store_of_something_else_is_replaced_when_the_last_part_is_finished(
    many: Any, tmp_path: Path
) -> None:
    many.write(tmp_path / "store", mirrored=False)
    with pytest.raises(OneLabelError, match="exists already"):
        many.write(tmp_path / "store", share=Share(0, 2))
    with pytest.raises(UnfinishedStoreError):
        many.write(tmp_path / "store", share=Share(0, 2), overwrite=True)
    assert not EmbeddingStore.open(tmp_path / "store").mirrored
    assert many.write(tmp_path / "store", share=Share(1, 2), overwrite=True).mirrored
    many.encoder.images = 0
    many.write(tmp_path / "store", share=Share(0, 2), overwrite=True)  # begun again: not from the start
    assert many.encoder.images == 0


def test_work_begun_anew_is_not_touched_by_who_worked_on_the_old(many: Any, tmp_path: Path) -> None:
    path, count = tmp_path / "store", 0

    def encoder(images: Any) -> Any:
        nonlocal count
        count += 1
        if count == 3:
            with pytest.raises(UnfinishedStoreError):
                many.write(path, share=Share(1, 2), overwrite=True, fingerprint={"weights": "w2"})
        return many.encoder(images)

    with pytest.raises(OneLabelError, match="has been begun anew by another process"):
        many.write(path, share=Share(0, 2), encoder=encoder)
    with pytest.raises(UnfinishedStoreError, match="part 2 of 2 is finished; 5 of 11"):
        many.write(path, share=Share(1, 2), fingerprint={"weights": "w2"})


def test_a_folder_that_was_removed_is_said(many: Any, tmp_path: Path) -> None:
    def encoder(images: Any) -> Any:
        shutil.rmtree(tmp_path / "store.partial", ignore_errors=True)
        return many.encoder(images)

    with pytest.raises(OneLabelError, match=r"store\.partial has been removed while we worked in it"):
        many.write(tmp_path / "store", share=Share(0, 2), encoder=encoder)
    assert not list(tmp_path.glob("store*"))


# -- the lock ---


def test_a_lock_keeps_others_out_until_its_holder_dies(tmp_path: Path) -> None:
    reading, writing = os.pipe()

    def hold() -> None:
        with locked(tmp_path, needed=True):
            os.write(writing, b"x")
            signal.pause()

    holder = FORK.Process(target=hold)
    holder.start()
    os.read(reading, 1)
    waiter = FORK.Process(target=lambda: locked(tmp_path, needed=True).__enter__())
    waiter.start()
    waiter.join(0.3)
    assert waiter.is_alive()
    holder.kill()
    assert ends([waiter]) == [0]


def test_who_waits_for_a_folder_that_goes_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    reading, writing = os.pipe()

    def wait() -> None:
        os.read(reading, 1)
        try:
            with locked(folder, needed=True):
                os._exit(1)
        except FileNotFoundError:
            os._exit(7)

    waiter = FORK.Process(target=wait)
    waiter.start()  # before we have the lock, which a fork would share
    with locked(folder, needed=True):
        os.write(writing, b"x")
        waiter.join(0.3)
        folder.rename(tmp_path / "b")
        (tmp_path / "b" / ".lock.tmp").unlink()
    assert ends([waiter]) == [7]
