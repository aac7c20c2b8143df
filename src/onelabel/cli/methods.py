"""``onelabel methods``."""

from __future__ import annotations

import inspect
import re
import shutil
import textwrap
from dataclasses import dataclass
from itertools import groupby, zip_longest
from typing import TYPE_CHECKING

from onelabel.io.errors import OneLabelError

if TYPE_CHECKING:
    from onelabel.methods.registry import MethodInfo

EXAMPLES = """
onelabel methods
onelabel methods em
onelabel train labels.csv --method em --help
"""
OPTIONAL = ("name",)

_INDENT, _INDENT_OF_PARAMETERS = 12, 18
_WIDEST = 100
_SECTION = re.compile(r"^(Args|Returns|Raises|Example|Attributes):\s*$", re.MULTILINE)


def methods(name: str | None = None) -> None:
    """List the training methods: what each does, where it comes from, what it keeps and needs.

    Args:
        name: one method, to be described in full: equation, source and parameters.
    """
    from onelabel.methods.registry import info

    width = min(shutil.get_terminal_size().columns, _WIDEST)
    print(listing(width) if name is None else details(info(name), width))


def listing(width: int) -> str:
    """Return the catalogue by family, in lines of at most ``width`` characters."""
    from onelabel.methods.registry import catalogue

    lines: list[str] = []
    for family, entries in groupby(catalogue(), key=lambda entry: entry.family):
        lines.append(f"{chr(10) if lines else ''}-- {family}")
        for entry in entries:
            lines.append(_hang(entry.name, entry.summary, width))
            if said := "; ".join(filter(None, [cite(entry), *facts(entry)])):
                lines.append(_hang("", said, width))
    return "\n".join(lines)


def cite(entry: MethodInfo) -> str:
    """Return the paper in short: authors and year; "" where there is none."""
    return f"{entry.paper.authors} {entry.paper.year}" if entry.paper else ""


def facts(entry: MethodInfo) -> list[str]:
    """Return what a method keeps and what it needs, in words, where there is any."""
    said = {"keeps": entry.state, "needs": entry.needs}
    return [f"{verb} {what}" for verb, what in said.items() if what]


def _hang(head: str, text: str, width: int, indent: int = _INDENT) -> str:
    lines = textwrap.wrap(text, max(width - indent, 20), break_long_words=False, break_on_hyphens=False)
    return "\n".join(f"{start:<{indent}}{line}" for start, line in zip_longest([head], lines, fillvalue=""))


@dataclass(frozen=True)
class Parameter:
    """A parameter of a method: its name, its default as Python writes it, what it means."""

    name: str
    default: str
    meaning: str


def parameters(entry: MethodInfo) -> list[Parameter]:
    """Return the parameters that ``--method.NAME`` sets, described where the code describes them."""
    from docstring_parser import parse

    from onelabel.methods.registry import load

    kind = load(entry.name)
    meanings: dict[str, str] = {}
    for documented in (kind, *_functions(entry), *kind.__mro__):
        for found in parse(inspect.getdoc(documented) or "").params:
            meanings.setdefault(found.arg_name, plain(" ".join((found.description or "").split())))
    return [
        Parameter(p.name, "" if p.default is p.empty else repr(p.default), meanings.get(p.name, ""))
        for p in inspect.signature(kind).parameters.values()
    ]


def _functions(entry: MethodInfo) -> list[object]:
    """The function under the loss of a method, where it has a loss of the catalogue."""
    from onelabel.losses import functional, info

    try:
        return [getattr(functional, info(entry.loss or entry.name).function)]
    except OneLabelError:
        return []


def about(entry: MethodInfo, quote: str = "") -> str:
    """Return what the documentation in the code says of a method, equation and source included.

    Args:
        entry: the method.
        quote: what stands around equations and names.
    """
    from onelabel.methods.registry import load

    kind = load(entry.name)
    documented = [*_functions(entry), *([] if entry.loss else [kind])]
    texts = (_SECTION.split(inspect.getdoc(each) or "")[0].strip() for each in documented)
    return plain("\n\n".join(texts), quote)


def plain(text: str, quote: str = "") -> str:
    """Return the text of a docstring with ``quote`` in place of its markup.

    Example:
        >>> plain("As :func:`~onelabel.losses.em.em`, with ``alpha``.")
        'As em, with alpha.'
    """
    text = re.sub(r":\w+:`~?(?:[\w.]+\.)?(\w+)`", r"`\1`", text)
    return re.sub("``?", quote, text)


def details(entry: MethodInfo, width: int) -> str:
    """Return one method in full, in lines of at most ``width`` characters."""
    paper = entry.paper
    source = {"paper": str(paper), "at": paper.url, "code": paper.code} if paper else {}
    said = {"family": entry.family, **source, "keeps": entry.state, "needs": entry.needs}
    rows = [
        _hang(f"  {each.name}", f"{each.meaning} ({default(each)})", width, _INDENT_OF_PARAMETERS)
        for each in parameters(entry)
    ]
    blocks = [
        _hang(entry.name, entry.summary, width),
        *_wrapped(about(entry), width),
        "\n".join(_hang(head, text, width) for head, text in said.items() if text),
        "parameters, as --method.NAME VALUE:\n" + "\n".join(rows),
    ]
    return "\n\n".join(blocks)


def default(parameter: Parameter) -> str:
    """Return the default of a parameter, in words.

    Example:
        >>> default(Parameter("alpha", "0.1", "")), default(Parameter("expected", "", ""))
        ('default 0.1', 'no default')
    """
    return f"default {parameter.default}" if parameter.default else "no default"


def _wrapped(text: str, width: int) -> list[str]:
    """Paragraphs filled to ``width``; tables and lists keep their lines."""
    paragraphs = text.split("\n\n")
    kept = ("=", "*", "-")
    return [
        each if each.lstrip().startswith(kept) else textwrap.fill(" ".join(each.split()), width)
        for each in paragraphs
    ]
