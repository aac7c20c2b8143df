"""Train, fine-tune, evaluate and predict in a process in which no socket can be made."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from workshop import Workshop, build_workshop

WITHOUT_SOCKETS = """
import socket, sys, traceback
from pathlib import Path

def refuse(*arguments, **more):
    # Written down, for the case that somebody catches the error and goes on.
    Path("touched").write_text("".join(traceback.format_stack()))
    raise OSError("this process has no network")

class Refused(socket.socket):
    __init__ = refuse

socket.socket = socket.SocketType = Refused
socket.create_connection = socket.getaddrinfo = socket.gethostbyname = socket.socketpair = refuse
import _socket
_socket.socket = Refused
try:
    socket.socket()
except OSError:
    Path("touched").unlink()

from onelabel.cli import main

for command in Path("commands").read_text().splitlines():
    if main(command.split("|")) != 0:
        sys.exit(command)
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, tiny_clip: Path) -> Workshop:
    return build_workshop(tmp_path_factory.mktemp("offline"), tiny_clip)


def run_without_sockets(folder: Path, commands: list[list[str]]) -> subprocess.CompletedProcess[str]:
    (folder / "commands").write_text("\n".join("|".join(command) for command in commands))
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        env.pop(name, None)
    call = [sys.executable, "-c", WITHOUT_SOCKETS]
    return subprocess.run(call, cwd=folder, env=env, capture_output=True, text=True, check=False)


def test_nothing_needs_the_network(shop: Workshop, tmp_path: Path) -> None:
    photos = ["--images", str(shop.photos)]
    short = ["--select", "full", "--epochs", "1"]
    fine = ["train", str(shop.single), *photos, "--backbone", shop.backbone, "--workers", "0"]
    source = ["--source", "vlpl", "--vlm-store", str(shop.clip_store)]
    found = run_without_sockets(
        tmp_path,
        [
            [*shop.basics[:4], *short, "--method", "an", "--out", "heads"],
            [*fine, *short, "--method", "an", "--out", "fine"],
            [
                "train",
                str(shop.single),
                "--features",
                str(shop.clip_store),
                *source,
                *short,
                "--method",
                "em-pl",
                "--out",
                "words",
            ],
            ["evaluate", "heads", str(shop.full), "--exhaustive", "--features", str(shop.features)],
            ["predict", "fine", str(shop.photos), "--out", "tags.csv"],
        ],
    )
    assert found.returncode == 0, found.stderr[-3000:]
    touched = tmp_path / "touched"
    assert not touched.exists(), touched.read_text()[-3000:]
    assert (tmp_path / "tags.csv").is_file()
