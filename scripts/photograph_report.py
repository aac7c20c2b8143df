"""Photograph a report: ``python scripts/photograph_report.py PAGE.html TARGET.webp``, with Chromium.

``docs/pictures/report.webp`` is the report of the demo: figures on a wide screen, examples on a phone.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

DESK, PHONE, HEIGHT = 1000, 390, 1330
GAP = 20


def photograph(page: Path, width: int, titles: Sequence[str], head: str) -> Image.Image:
    """Return what a window of some width shows of a page, of which only some sections are left."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        sys.exit("no Chromium to photograph with")
    text = page.read_text(encoding="utf-8")
    kept = [
        text[: text.index(f"<h2>{title}</h2>")].rpartition('id="')[2].partition('"')[0] for title in titles
    ]
    others = "".join(f":not(#{section})" for section in kept)
    rules = f"section{others}, footer {{ display: none }} header {{ display: {head} }}"
    with tempfile.TemporaryDirectory() as folder:
        copy, target = Path(folder) / "page.html", Path(folder) / "page.png"
        copy.write_text(text.replace("</head>", f"<style>{rules}</style></head>"), encoding="utf-8")
        subprocess.run(
            [
                browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars",
                "--disable-sync", "--disable-background-networking", "--disable-component-update",
                f"--user-data-dir={folder}/profile", f"--screenshot={target}",
                f"--window-size={width},{HEIGHT}", copy.as_uri(),
            ],
            check=True, capture_output=True,
        )  # fmt: skip
        with Image.open(target) as image:
            return image.convert("RGB")


def main(page: Path, target: Path) -> None:
    """Put the two windows side by side."""
    whole = Image.new("RGB", (DESK + GAP + PHONE, HEIGHT), "white")
    whole.paste(photograph(page, DESK, ("How good it is", "Thresholds"), "block"), (0, 0))
    whole.paste(photograph(page, PHONE, ("Examples",), "none"), (DESK + GAP, 0))
    small = whole.resize((whole.width * 7 // 10, whole.height * 7 // 10), Image.Resampling.LANCZOS)
    small.save(target, quality=85, method=6)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
