"""Figures as part of a page: only shapes and text, with ids of their own and a description."""

from __future__ import annotations

import re
from xml.etree import ElementTree

_SVG, _LINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_ELEMENTS = {
    "svg", "g", "defs", "clipPath", "pattern", "path", "rect", "circle", "ellipse", "line", "polyline",
    "polygon", "use", "text", "tspan", "title", "desc",
}  # fmt: skip
_REFERENCE = re.compile(r"url\(\s*([^)]*)\)|^(#.*)$")


def inline_svg(svg: str, alt: str, prefix: str) -> str:
    """Return an SVG image ready to stand in a page.

    Args:
        svg: one ``<svg>`` element as text.
        alt: what it shows, for those who do not see it.
        prefix: begins its ids, so that two figures of a page share none.

    Raises:
        ValueError: it holds something other than shapes and text, or points outside itself.

    Example:
        >>> print(inline_svg('<svg xmlns="http://www.w3.org/2000/svg"><g id="a"/></svg>', "nothing", "f1-"))
        <svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="nothing"><g /></svg>
    """
    if "<!" in re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL):
        raise ValueError("a figure must not declare anything")
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", _LINK)
    root = ElementTree.fromstring(svg)
    used = {
        target for element in root.iter() for value in element.attrib.values() for target in _targets(value)
    }
    for element in root.iter():
        _check(element)
        if element.get("id") not in used:
            element.attrib.pop("id", None)
        for name, value in element.items():
            element.set(name, prefix + value if name == "id" else _renamed(value, prefix))
    root.set("role", "img")
    root.set("aria-label", alt)
    return ElementTree.tostring(root, encoding="unicode").strip()


def _targets(value: str) -> list[str]:
    return [(a or b).strip("\"' ").removeprefix("#") for a, b in _REFERENCE.findall(value)]


def _renamed(value: str, prefix: str) -> str:
    if value.startswith("#") and not re.fullmatch(r"#[0-9a-fA-F]{3,8}", value):
        return f"#{prefix}{value[1:]}"
    return re.sub(r"url\(#", f"url(#{prefix}", value)


def _check(element: ElementTree.Element) -> None:
    if element.tag not in {f"{{{_SVG}}}{name}" for name in _ELEMENTS}:
        raise ValueError(f"a figure must not hold {element.tag}")
    for name, value in element.items():
        local = name.rpartition("}")[2]
        outside = local == "href" and not value.startswith("#")
        if local.startswith("on") or outside or re.search(r"url\((?!#)", value):
            raise ValueError(f"a figure must not hold the attribute {name}={value!r}")
