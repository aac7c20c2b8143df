"""The toy scenes: repeatable, disjoint, and their labels say what is to be seen."""

from __future__ import annotations

from collections import Counter
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from onelabel.demo import scenes
from onelabel.demo.drawing import OBJECTS
from onelabel.demo.drawing.pen import Pen
from onelabel.demo.scenes import CLASSES, MIN_VISIBLE, PARTS, THEMES, Canvas, make_scene, part_seed

PROMISED = (
    "sun, house, tree, car, fish, boat, cloud, flower, "
    "star, umbrella, person, cup, clock, key, mushroom, bird"
)


def digest(seed: int, index: int) -> bytes:
    return make_scene(seed, index)[0].tobytes()


def test_the_sixteen_objects_are_the_ones_promised() -> None:
    assert ", ".join(CLASSES) == PROMISED


def test_a_scene_depends_on_its_seed_and_index_only() -> None:
    first = [make_scene(7, index) for index in range(20)]
    make_scene(8, 0)
    again = [make_scene(7, index) for index in reversed(range(20))][::-1]
    assert [(p.tobytes(), names) for p, names in first] == [(p.tobytes(), names) for p, names in again]
    assert all(p.mode == "RGB" and p.size == (96, 96) for p, _ in first)


def test_size_changes_the_resolution_and_nothing_else() -> None:
    for index in range(20):
        large, names = make_scene(3, index, size=96)
        small, same_names = make_scene(3, index, size=48)
        assert names == same_names
        assert np.abs(np.asarray(large.reduce(2), float) - np.asarray(small, float)).max() <= 2  # rounding


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_no_two_parts_share_a_seed(a: int, b: int) -> None:
    seeds_a = {part_seed(part, a) for part in PARTS}
    seeds_b = {part_seed(part, b) for part in PARTS}
    assert len(seeds_a) == len(PARTS)
    assert seeds_a == seeds_b if a == b else not seeds_a & seeds_b


def test_the_parts_show_different_pictures() -> None:
    pictures = [digest(part_seed(part, 0), index) for part in PARTS for index in range(300)]
    assert len(set(pictures)) == len(pictures)


def test_counts_and_classes_are_as_described() -> None:
    labels = [make_scene(11, index, size=8)[1] for index in range(1500)]
    counts = np.array([len(names) for names in labels])
    assert counts.min() == 1 and counts.max() == 6
    assert counts.mean() == pytest.approx(2.7, abs=0.12)  # standard error of 1500 scenes is 0.034
    seen = Counter(name for names in labels for name in names)
    assert min(seen[name] for name in CLASSES) > 1500 * 0.07


def test_objects_occur_together_by_theme_but_not_for_certain() -> None:
    labels = [set(make_scene(12, index, size=8)[1]) for index in range(1500)]

    def share(name: str, given_name: str) -> float:
        with_given = [names for names in labels if given_name in names]
        return sum(name in names for names in with_given) / len(with_given)

    assert share("fish", "boat") > 2 * share("fish", "house")
    assert share("fish", "house") > 0
    assert all(sum(name in theme.objects for theme in THEMES.values()) >= 2 for name in CLASSES)


@pytest.mark.parametrize("name", CLASSES)
def test_an_object_alone_is_seen_large_enough_and_varies(name: str) -> None:
    shapes = set()
    for number in range(8):
        pen = Pen(96)
        OBJECTS[name].draw(pen, Random(f"{name} {number}"))
        cut = pen.cut()
        assert 0.08 < cut.getchannel("A").histogram()[255] / 96**2 < 0.9
        assert max(cut.size) > 0.6 * 96
        shapes.add(cut.tobytes())
    assert len(shapes) == 8


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32), st.lists(st.sampled_from(CLASSES), min_size=1, max_size=8))
def test_what_is_added_stays_visible_and_what_is_refused_leaves_no_trace(seed: int, kinds: list[str]) -> None:
    rng = Random(seed)
    canvas = Canvas(Image.new("RGB", (120, 120), (1, 2, 3)))
    drawn = 0
    for kind in kinds:
        before = canvas.image.tobytes()
        added = canvas.add(kind, rng, largest=0.7)
        assert added == (canvas.image.tobytes() != before)
        drawn += added
    visible = canvas.visible()
    assert len(visible) == drawn >= 1
    assert min(visible) >= MIN_VISIBLE


def test_the_names_of_a_scene_are_those_of_the_objects_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    added: list[str] = []

    class Spy(Canvas):
        def add(self, kind: str, rng: Random, largest: float) -> bool:
            placed = super().add(kind, rng, largest)
            added.extend([kind] * placed)
            return placed

    monkeypatch.setattr(scenes, "Canvas", Spy)
    for index in range(60):
        added.clear()
        _, names = make_scene(5, index)
        assert names == [name for name in CLASSES if name in added]


def test_an_object_that_finds_no_place_is_not_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Canvas, "_place", lambda *_: False)
    assert make_scene(1, 0)[1] == []
