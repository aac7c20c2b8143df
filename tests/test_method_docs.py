"""``onelabel methods`` and ``docs/methods.md`` say what the registry and the docstrings say now."""

from __future__ import annotations

import runpy
from dataclasses import replace
from pathlib import Path

import pytest

from onelabel.cli import main
from onelabel.cli.methods import about, cite, details, listing, parameters
from onelabel.methods import registry
from onelabel.methods.registry import MethodInfo, catalogue, info

ROOT = Path(__file__).parents[1]
NAMES = [entry.name for entry in catalogue()]


def test_the_committed_document_is_what_the_script_makes_now() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "write_method_docs.py"))
    committed = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    assert committed == script["document"](), (
        "docs/methods.md is not up to date: run make docs, and commit it"
    )


@pytest.mark.parametrize("width", [80, 100])
def test_the_list_fits_a_terminal_and_tells_everything(width: int) -> None:
    text = listing(width)
    assert max(map(len, text.splitlines())) <= width
    words = " ".join(text.split())
    for entry in catalogue():
        for fact in (entry.summary, cite(entry), entry.state, entry.needs):
            assert fact in words
    heads = [line.split()[0] for line in text.splitlines() if line[:1].isalnum()]
    assert heads == NAMES


@pytest.mark.parametrize("entry", catalogue(), ids=lambda entry: entry.name)
def test_one_method(
    entry: MethodInfo, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["methods", entry.name]) == 0
    out = capsys.readouterr().out
    source = [entry.paper.url, entry.paper.code] if entry.paper else []
    for piece in (*source, "Source" if entry.name != "role-li" else "LinearInit"):
        assert piece in out
    assert about(entry)[:40] in out
    found = parameters(entry)
    assert {"eps", "reduction"} <= {each.name for each in found}
    for each in found:
        assert each.meaning, f"{entry.name}: {each.name} is not described"
        assert f"\n  {each.name} " in out
    assert ":func:" not in out and "``" not in out


def test_a_method_without_a_paper_names_none(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = replace(info("em"), paper=None)
    monkeypatch.setattr(registry, "catalogue", lambda: (entry,))
    assert listing(80).splitlines()[1:] == [f"em          {entry.summary}"]
    script = runpy.run_path(str(ROOT / "scripts" / "write_method_docs.py"))
    for text in (details(entry, 80), script["section"](entry)):
        assert "paper" not in text.lower() and "None" not in text and "\n\n\n" not in text


def test_a_misspelt_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["methods", "emm"]) == 2
    assert "did you mean 'em'?" in capsys.readouterr().err
