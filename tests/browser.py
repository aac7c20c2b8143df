"""A page seen by a real browser: what it asked for, what it complained of, whether it fits, what it ran."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
from dataclasses import dataclass
from html import unescape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
HOSTILE = (
    "<script>top.hacked=1</script>",
    "<img src=http://example.invalid/leak onerror='top.hacked=2'>",
    "\"' onmouseover='top.hacked=3' x=\"",
    "</style></title></svg><svg onload=top.hacked=4>",
    "bell\x07 and \x1b[31m",
    "\u202egnp.exe",
    "שלום עולם",
    "$x^2$ & <b>bold</b> {{ 7 * 7 }}",
    "x" * 300,
    "many words " * 30,
)
"""Names that a class or a file might have. The first four run code where they are not escaped."""

_POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
_HARNESS = """<!DOCTYPE html><link rel="icon" href="data:,">
<iframe id="phone" src="/page.html" width="390" height="800"></iframe>
<iframe id="desk" src="/page.html" width="1100" height="800"></iframe>
<iframe id="bare" src="/bare.html" width="390" height="800"></iframe>
<iframe src="/control.html"></iframe>
<pre id="result"></pre>
<script>
onload = () => {
  const acts = (element) => element.getAttributeNames().some(name => /^on/i.test(name));
  const look = (id) => {
    const frame = document.getElementById(id), page = frame.contentDocument;
    return {
      requests: frame.contentWindow.performance.getEntriesByType("resource").map(entry => entry.name),
      width: page.documentElement.scrollWidth,
      scripts: page.querySelectorAll("script").length,
      handlers: [...page.querySelectorAll("*")].filter(acts).length,
      broken: [...page.images].filter(image => !image.naturalWidth).length,
      images: page.images.length,
      figures: [...page.querySelectorAll("svg")].map(svg => svg.getBoundingClientRect().width),
      text: page.body.innerText,
    };
  };
  const found = {phone: look("phone"), desk: look("desk"), bare: look("bare")};
  found.hacked = window.hacked || 0;
  found.control = window.control || 0;
  document.getElementById("result").textContent = JSON.stringify(found);
};
</script>"""
_CONTROL = "<img src=/leak onerror='top.control = 1'><script>console.error('control')</script>"
"""A page that does all that a page of ours must not do, to see that it would be noticed."""


@dataclass(frozen=True)
class Look:
    """One window on the page.

    Args:
        requests: addresses of what the page fetched, or tried to.
        width: pixels that the page takes.
        scripts: number of script elements.
        handlers: number of elements with an ``on…`` attribute.
        broken: number of pictures that did not load.
        images: number of pictures.
        figures: width of each drawing in pixels.
        text: what can be read.
    """

    requests: list[str]
    width: int
    scripts: int
    handlers: int
    broken: int
    images: int
    figures: list[float]
    text: str


@dataclass(frozen=True)
class Visit:
    """What came of opening a page.

    Args:
        phone: in a window of 390 pixels.
        desk: in a window of 1100 pixels.
        bare: on a phone, without the page's own policy against scripts.
        hacked: not 0 if a name was run as code.
        console: lines that the browser wrote to its console.
    """

    phone: Look
    desk: Look
    bare: Look
    hacked: int
    console: list[str]


def visit(page: Path, profile: Path) -> Visit:
    """Open a page in headless Chromium; skips the test where there is none.

    Args:
        page: the HTML file.
        profile: an empty folder for the browser.
    """
    browser = next(filter(None, map(shutil.which, NAMES)), None)
    if browser is None:
        pytest.skip(f"no browser: looked for {', '.join(NAMES)}")
    text = page.read_text(encoding="utf-8")
    bare, found = _POLICY.subn("", text)
    assert found == 1, "the page states no policy"
    server, asked = _serve(
        {"/harness.html": _HARNESS, "/page.html": text, "/bare.html": bare, "/control.html": _CONTROL}
    )
    host = f"127.0.0.1:{server.server_port}"
    try:
        done = subprocess.run(
            [
                browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync",
                "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
                f"--user-data-dir={profile}", "--enable-logging=stderr", "--dump-dom",
                f"http://{host}/harness.html",
            ],
            capture_output=True, text=True, timeout=90, check=True,
        )  # fmt: skip
    finally:
        server.shutdown()
    result = re.search(r'<pre id="result">(.*?)</pre>', done.stdout, re.DOTALL)
    assert result and result[1], done.stderr
    seen = json.loads(unescape(result[1]))
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert seen["control"] == 1 and "/leak" in asked and any("control" in line for line in console)
    looks = {name: Look(**seen[name]) for name in ("phone", "desk", "bare")}
    return Visit(**looks, hacked=seen["hacked"], console=[line for line in console if "control" not in line])


def _serve(pages: dict[str, str]) -> tuple[ThreadingHTTPServer, list[str]]:
    """Serve pages; return the server and what it is asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            body = pages.get(self.path, "").encode()
            self.send_response(200 if body else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Write nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, asked


def require_harmless(found: Visit) -> None:
    """Check what holds for every page: nothing ran, nothing was asked for, it fits, all of it is seen."""
    assert found.hacked == 0
    assert found.console == []
    for look in (found.phone, found.desk, found.bare):
        assert (look.requests, look.scripts, look.handlers, look.broken) == ([], 0, 0, 0)
        assert all(width > 100 for width in look.figures)
    assert found.phone.width <= 390 and found.bare.width <= 390
    assert found.desk.width <= 1100
