"""A folder where commands are tried out with short names, and what to expect of one that must fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from onelabel.cli import main

BASICS = {
    "check": "check labels.csv --images photos --workers 0 --json out.json",
    "simulate": "simulate full.csv --exhaustive --out out.csv",
    "embed": "embed labels.csv --images photos --backbone local-dir:net --workers 0 --out out",
    "embed --vlm": "embed labels.csv --images photos --vlm local-dir:clip --workers 0 --out out",
    "train": "train labels.csv --features features --method an --select full --epochs 1 --out out",
    "train --backbone": "train labels.csv --images photos --backbone local-dir:net --method an --select full "
    "--epochs 1 --workers 0 --out out",
    "train --val": "train single.csv --features features --method an --select full "
    "--epochs 1 --val val.csv --out out",
    "evaluate": "evaluate run full.csv --exhaustive --features features --json out.json",
    "evaluate --images": "evaluate run full.csv --exhaustive --images photos --json out.json",
    "predict": "predict run photos --out out.csv",
}
"""Every command in every way to use it: right as it stands."""


class Desk:
    """The current folder, with everything in it that the commands of ``BASICS`` read.

    Args:
        path: the folder.
        capsys: what is printed.
    """

    def __init__(self, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.path = path
        self.capsys = capsys

    def write(self, name: str, content: str | bytes) -> Path:
        """Write a file, without touching another one that it is linked to."""
        path = self.path / name
        path.unlink(missing_ok=True)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def listing(self) -> dict[str, tuple[int, ...]]:
        """Return for each file on the desk and beside it what changes when it is written; () for folders."""
        found: dict[str, tuple[int, ...]] = {}
        for path in self.path.parent.rglob("*"):
            stat = path.stat()
            found[str(path)] = (stat.st_ino, stat.st_size, stat.st_mtime_ns) if path.is_file() else ()
        return found

    def complaint(self, *arguments: str) -> str:
        """Run a command that must fail as a mistake of the user does; return what it says."""
        before = self.listing()
        self.capsys.readouterr()
        code = main(arguments)
        said = self.capsys.readouterr()
        assert code == 2, said.out
        assert self.listing() == before
        assert "Traceback" not in said.out + said.err
        lines = said.err.splitlines()
        assert len(lines) == 1 and lines[0].startswith("onelabel: error: "), said.err
        print(lines[0])
        return lines[0].removeprefix("onelabel: error: ")


def words(text: str) -> list[str]:
    """Split a command at its blanks; ``~`` stands for a blank in a name."""
    return [word.replace("~", " ") for word in text.split()]


def label_file(arguments: list[str]) -> str:
    """Return the label file that a command reads last."""
    return [word for word in arguments if word in ("labels.csv", "full.csv", "val.csv")][-1]
