"""Commands in documents: every one is understood by the command line of today."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from onelabel.cli import COMMANDS, module_of
from onelabel.cli.parser import parse

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def commands(document: Path) -> list[str]:
    """Every line of a code block that begins with ``onelabel``, continued lines joined."""
    blocks = BLOCK.findall(document.read_text(encoding="utf-8"))
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [line for line in lines if line.startswith("onelabel ")]


CASES = [(document.name, line) for document in DOCUMENTS for line in commands(document)]


def test_there_are_commands_to_try() -> None:
    assert {"README.md", "tutorial.md"} <= {name for name, _ in CASES}


@pytest.mark.parametrize(("document", "line"), CASES)
def test_a_command_of_a_document_is_understood(document: str, line: str) -> None:
    name, *arguments = shlex.split(line, comments=True)[1:]
    assert name in COMMANDS, document
    values = parse(name, module_of(name), arguments)
    assert values
