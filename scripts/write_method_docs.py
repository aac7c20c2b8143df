"""Write docs/methods.md from the registry: ``make docs``, or ``python scripts/write_method_docs.py``."""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path

from onelabel.cli.methods import about, cite, parameters
from onelabel.methods.registry import MethodInfo, catalogue

TARGET = Path(__file__).parents[1] / "docs" / "methods.md"
HEAD = """# Methods

Written by `make docs` from the registry and the docstrings; do not edit.

`onelabel methods` lists them, `onelabel methods NAME` shows one, and
`onelabel train … --method NAME --method.PARAMETER VALUE` trains with one. In equations p is the predicted
probability of a class, and `+1:`, `0:`, `-1:` stand before the loss of an entry that is known to be present,
unknown, known to be absent. Where papers, their code and these methods differ:
[paper-vs-code.md](paper-vs-code.md). What many of the losses have in common:
[gr-framework.md](gr-framework.md).
"""


def document() -> str:
    """Return the whole document."""
    entries = catalogue()
    sections = [HEAD, "## All\n\n" + table(entries)]
    for family, members in groupby(entries, key=lambda entry: entry.family):
        sections.append(f"## {family.capitalize()}\n")
        sections += [section(entry) for entry in members]
    return "\n".join(sections)


def table(entries: tuple[MethodInfo, ...]) -> str:
    rows = [
        f"| [`{e.name}`](#{e.name}) | {e.family} | {cell(e.summary)} | {cite(e)} | {e.state} | {e.needs} |"
        for e in entries
    ]
    head = ["| method | family | what it does | paper | keeps | needs |", "|---|---|---|---|---|---|"]
    return "\n".join([*head, *rows]) + "\n"


def section(entry: MethodInfo) -> str:
    said = {
        "Paper": f"[{entry.paper}]({entry.paper.url})" if entry.paper else "",
        "Code": entry.paper.code if entry.paper else "",
        "Keeps": entry.state,
        "Needs": entry.needs,
    }
    facts = "\n".join(f"- {word}: {text}" for word, text in said.items() if text)
    rows = "\n".join(
        f"| `{each.name}` | {f'`{each.default}`' if each.default else ''} | {cell(each.meaning)} |"
        for each in parameters(entry)
    )
    head = "| parameter | default | |\n|---|---|---|"
    blocks = [f"### {entry.name}", markdown(about(entry, quote="`")), facts, f"{head}\n{rows}\n"]
    return "\n\n".join(filter(None, blocks))


def cell(text: str) -> str:
    return text.replace("|", "\\|")


def markdown(text: str) -> str:
    """Tables keep their lines; outside of code, characters with a meaning in Markdown lose it."""
    return "\n\n".join(
        f"```\n{each}\n```" if each.startswith("=") else escaped(each) for each in text.split("\n\n")
    )


def escaped(text: str) -> str:
    return "`".join(
        each if place % 2 else re.sub(r"(?<=\S)([*_<|])", r"\\\1", each)
        for place, each in enumerate(text.split("`"))
    )


if __name__ == "__main__":
    TARGET.write_text(document(), encoding="utf-8")
