"""Help and versions: there at once, with examples, without torch."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from importlib.util import find_spec
from inspect import signature

import pytest

import onelabel
from onelabel.cli import COMMANDS, function_of, main, module_of
from onelabel.methods.registry import catalogue, load

LIGHT = """
import sys, time
from onelabel.cli import main
code = main(sys.argv[1:])
heavy = {"torch", "torchvision", "timm", "open_clip", "lightning", "PIL"} & sys.modules.keys()
assert not heavy, heavy
sys.exit(code)
"""


def run_light(*arguments: str) -> str:
    """Run a command in a fresh interpreter that ends badly if anything heavy was imported."""
    done = subprocess.run(
        [sys.executable, "-c", LIGHT, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_overview_is_light_and_quick() -> None:
    began = time.perf_counter()
    out = run_light("--help")
    seconds = time.perf_counter() - began
    assert all(name in out and summary in out for name, summary in COMMANDS.items())
    assert seconds < 1


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_is_light_and_has_examples(name: str) -> None:
    out = run_light(name, "--help")
    module = module_of(name)
    assert "examples:" in out
    for line in filter(None, module.EXAMPLES.splitlines()):
        assert f"  {line}\n" in out
        assert line.startswith("onelabel ")
    assert "Args:" not in out and "Raises:" not in out
    assert "null" not in out and "type:" not in out


@pytest.mark.parametrize("name", [entry.name for entry in catalogue()])
def test_help_of_a_method_says_what_its_parameters_are(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["train", "--method", name, "--help"])
    assert ended.value.code == 0
    options = capsys.readouterr().out.partition("options:")[2].split("\n  --method.")[1:]
    head = re.compile(r"\A([\w-]+)\S* ?\S*\s+(.+)\Z", re.DOTALL)
    found = dict(head.findall(option)[0] for option in options)
    parameters = signature(load(name)).parameters.keys() - {"expected"}  # that is --expected-positives
    assert found.keys() == {"name", *(key.replace("_", "-") for key in parameters)}
    assert not [key for key, text in found.items() if text.startswith("(default")]


def test_every_command_has_a_file() -> None:
    assert all(find_spec(f"onelabel.cli.{function_of(name)}") for name in COMMANDS)


@pytest.mark.parametrize("arguments", [[], ["-h"], ["help"]])
def test_other_ways_to_ask_for_help(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    assert "usage: onelabel COMMAND" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"onelabel {onelabel.__version__}\n"


def test_the_catalogue_lists_every_method_without_torch() -> None:
    out = run_light("methods")
    assert all(f"\n{name} " in f"\n{out}" for name in ("bce", "an", "an-ls", "em", "vlpl"))
