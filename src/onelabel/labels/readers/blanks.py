"""Whether a blank in the cells of a list stands between labels, or inside names of several words.

``clear primary water`` is three labels, ``polar bear`` may be one. Labels come back in other company; most
words of a name do not.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from onelabel.io.errors import LabelFileError
from onelabel.labels.readers.tables import Table

_MOST_CELLS = 10_000


class Blanks:
    """Looks at the cells of a list: each once, and no more than the first 10,000 different ones.

    Example:
        >>> blanks = Blanks()
        >>> for line, cell in enumerate(["clear primary", "clear water", "primary water"], start=2):
        ...     blanks.add(cell, line)
        >>> blanks.separate()
        True
    """

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._sets: set[frozenset[str]] = set()
        self._cells_with: Counter[str] = Counter()
        self._cells_with_pair: Counter[tuple[str, str]] = Counter()
        self._first: tuple[str, int] = ("", 0)

    def add(self, cell: str, line: int) -> None:
        """Look at a cell, without blanks around it."""
        if cell in self._seen or len(self._seen) >= _MOST_CELLS:
            return
        self._seen.add(cell)
        words = [word.strip() for word in cell.split(" ") if word.strip()]
        if len(words) < 2 or (whole := frozenset(words)) in self._sets:
            return
        self._first = self._first if self._sets else (cell, line)
        self._sets.add(whole)
        self._cells_with.update(whole)
        self._cells_with_pair.update(set(pairwise(words)))

    def separate(self) -> bool:
        """Say whether blanks plainly stand between labels.

        They do if at least half of the words in company stand in two or more cells that differ in more than
        order. A cell of one word is no evidence: ``dog`` beside ``hot dog``.
        """
        again = sum(cells > 1 for cells in self._cells_with.values())
        return 2 * again >= len(self._cells_with)

    def unclear(self, file: Table, column: str) -> LabelFileError:
        """Build the error for a file that can be read in both ways."""
        cell, line = self._first
        shown = cell if len(cell) <= 60 else f"{cell[:60]}..."
        text = (
            f"{shown!r} may be several labels or one name of several words: add --delimiter ' ' if these are"
            " several labels, or --delimiter '|' if it is one name (in Python: ReadOptions(delimiter=...))"
        )
        return LabelFileError(file.path, text, line=line, column=column)

    def always_together(self) -> str | None:
        """Return two words that are in several cells and never without one another, if there are such."""
        of = self._cells_with
        pairs = self._cells_with_pair.items()
        return next((f"{a} {b}" for (a, b), cells in pairs if cells > 1 and of[a] == of[b] == cells), None)
