"""From names of sources and rules to one source."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from onelabel.io.errors import OneLabelError
from onelabel.labels.table import ClassInfo, LabelTable
from onelabel.sources.base import Source
from onelabel.sources.file import FileSource
from onelabel.sources.rules import MixedSource, RuledSource
from onelabel.sources.several import SeveralSource
from onelabel.training import opening
from onelabel.training.encoders import open_source
from onelabel.training.opening import Wanted, open_wanted, read_rules

CLASSES = tuple(ClassInfo(name, name) for name in ("cat", "dog", "cow"))


@pytest.fixture
def tags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    np.savez(
        "tags.npz", ids=["a.jpg"], classes=["cat", "dog", "cow"], pseudo=[[1, 0, -1]], score=[[0.9, 0.6, 0]]
    )
    np.savez("bare.npz", ids=["a.jpg"], classes=["cat", "dog", "cow"], score=[[0.9, 0.6, 0]])
    return tmp_path


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the sources that are opened on a store, which is not really read."""
    found: list[str] = []

    def fake(given: Mapping[str, Any], store: str | None, *rest: Any) -> Source:
        if store is None:
            return open_source(given, store, *rest)
        assert store == "clip" and rest == (CLASSES, ("a {}",), 3)
        found.append(str(given["name"]))
        return FileSource("tags.npz")

    monkeypatch.setattr(opening, "open_source", fake)
    return found


def ask(source: Source) -> list[int]:
    source.start(LabelTable.from_dense(["a.jpg"], ["cat", "dog", "cow"], [[0, 0, 0]]))
    nothing, never = torch.zeros(1, 3, dtype=torch.int8), torch.tensor([False])
    answer: list[int] = source.pseudo(torch.tensor([0]), nothing, never, 1)[0][0].tolist()
    return answer


def rules(text: str) -> str:
    Path("rules.yaml").write_text(text, encoding="utf-8")
    return "rules.yaml"


@pytest.mark.usefixtures("tags")
def test_a_source_alone_decides_itself_and_a_rule_decides_otherwise() -> None:
    source = open_wanted(Wanted({"name": "tags.npz"}), CLASSES)
    assert isinstance(source, FileSource) and ask(source) == [1, 0, -1]
    low = {"name": "threshold", "positive": 0.5}
    source = open_wanted(Wanted({"name": "bare.npz"}, rule=low), CLASSES)
    assert isinstance(source, RuledSource) and ask(source) == [1, 1, 0]
    source = open_wanted(Wanted({"name": "tags.npz"}, rules=rules("dog: {name: top, most: 3}")), CLASSES)
    assert ask(source) == [1, 1, -1], "classes without a rule keep the decisions of the source"
    with pytest.raises(OneLabelError, match=r"'bare.npz' has scores and no decisions"):
        open_wanted(Wanted({"name": "bare.npz"}, rules=rules("dog: none")), CLASSES)


@pytest.mark.usefixtures("tags")
def test_rules_on_cosines_and_on_scores_go_together(opened: list[str]) -> None:
    wanted = Wanted(
        {"name": "bare.npz"}, {"name": "threshold", "positive": 0.95}, rules("cat: vlpl\ncow: vlpl"),
        "clip", ("a {}",), 3,
    )  # fmt: skip
    source = open_wanted(wanted, CLASSES)
    assert isinstance(source, MixedSource) and opened == ["vlpl"], "the store is opened once for both"
    assert ask(source) == [1, 0, -1]
    assert wanted.described() == {
        "source": {"name": "file", "path": "bare.npz"}, "rule": {"name": "threshold", "positive": 0.95},
        "rules": "rules.yaml", "template": "a {}",
    }  # fmt: skip


@pytest.mark.usefixtures("tags")
def test_several_sources_share_the_store(opened: list[str]) -> None:
    parts = ["vlpl", {"name": "damp", "eta": 0.1}, "tags.npz"]
    source = open_wanted(
        Wanted({"name": "several", "of": parts, "combine": "all"}, None, None, "clip", ("a {}",), 3), CLASSES
    )
    assert isinstance(source, SeveralSource) and opened == ["vlpl", "damp"]
    assert source.combine == "all" and ask(source) == [1, 0, -1]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"name": "several", "of": ["tags.npz", 3]}, "each of several sources is a name, a file, or"),
        ({"name": "several", "of": ["tags.npz"]}, "combines two or more"),
        ({"name": "several"}, "combines two or more"),
        ({"name": "several", "of": ["tags.npz", "tags.npz"], "combin": "all"}, "did you mean 'combine'"),
        ({"name": "tags.npz", "pth": 1}, "source 'file' has no parameter 'pth'"),
    ],
)
@pytest.mark.usefixtures("tags")
def test_sources_that_cannot_be(source: dict[str, Any], message: str) -> None:
    with pytest.raises(OneLabelError, match=message):
        open_wanted(Wanted(source), CLASSES)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cat: [", r"--rules rules.yaml, line 1 is not YAML"),
        ("cat: &a {name: none}\ndog: *a", r"--rules rules.yaml, line 2: \*a is an alias"),
        pytest.param("cat: " + 300_000 * "[", "line 1 is not YAML: too deeply nested", id="deep"),
        ("", "must hold a rule for each class"),
        ("- cat", "must hold a rule for each class"),
        ("cat: 3", r"the rule of 'cat' must be \{name: NAME, parameter: value\}"),
        ("cat: {positive: 0.5}", "the rule of 'cat' must be"),
        ("cat: {name: treshold}", "unknown rule 'treshold'"),
        ("cat: {name: threshold, positiv: 1}", r"no parameter 'positiv' \(did you mean 'positive'"),
        ("cat: {name: threshold, positive: high}", "rule 'threshold': "),
        ("cat: threshold", "rule 'threshold': .*missing .*positive"),
        ("ctt: none", r"'ctt' is no class of the labels \(did you mean 'cat'"),
    ],
)
@pytest.mark.usefixtures("tags")
def test_rules_that_cannot_be(text: str, message: str) -> None:
    with pytest.raises(OneLabelError, match=message):
        open_wanted(Wanted({"name": "tags.npz"}, rules=rules(text)), CLASSES)


@pytest.mark.usefixtures("tags")
def test_class_names_in_rules_are_read_as_in_labels() -> None:
    Path("rules.yaml").write_bytes("cafe\u0301: none\n12: none\n".encode())
    assert read_rules("rules.yaml", ("caf\u00e9", "12")) == {
        "caf\u00e9": {"name": "none"},
        "12": {"name": "none"},
    }
