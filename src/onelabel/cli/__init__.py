"""The ``onelabel`` command: one light file a command, heavy imports inside its function."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from io import TextIOWrapper
from types import ModuleType

import onelabel
from onelabel.cli.several import follows, hush_torch
from onelabel.io.errors import OneLabelError, unknown_name

COMMANDS = {
    "demo": "the embedded example, start to finish",
    "check": "what is known, what is broken in labels and photos",
    "simulate": "hide labels: one known positive per image from complete labels",
    "embed": "encode photos once, into a store",
    "pseudo": "a named set of pseudo-labels, graded",
    "methods": "the catalogue of training methods",
    "train": "train a classifier from partial labels",
    "calibrate": "thresholds and probabilities from labelled photos",
    "evaluate": "score a trained run on labelled photos",
    "predict": "name what is on photos",
    "compare": "which method suits my data: many, one budget, several seeds",
    "report": "a page about a run, for the browser",
    "benchmark": "published methods on published data sets, beside the published numbers",
    "ablate": "the ablations of the VLPL paper, as table and figure",
    "diagnose": "how a model sees missing labels, where the truth is known",
    "probabilities": "what two models say of the same photos, side by side",
    "import-checkpoint": "a checkpoint of a released code, as a model",
}
"""Name and summary of each command; its code is ``onelabel.cli.NAME``, with _ for -."""

USAGE_ERROR = 2
INTERRUPTED = 130
_UNTIL_SAID = 10  # seconds


def overview() -> str:
    """Return what ``onelabel --help`` prints."""
    width = max(map(len, COMMANDS))
    rows = "\n".join(f"  {name:<{width}} {summary}" for name, summary in COMMANDS.items())
    return (
        f"onelabel {onelabel.__version__}: multi-label image classifiers from one known label per image\n\n"
        f"usage: onelabel COMMAND [options]\n\ncommands:\n{rows}\n\n"
        "examples:\n"
        "  onelabel demo\n"
        "  onelabel check labels.csv --images photos\n"
        "  onelabel train labels.csv --images photos --backbone resnet50.tv_in1k --out run\n\n"
        "onelabel COMMAND --help shows the options of a command."
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: arguments after the program's name; those of the process by default.

    Returns:
        Exit code: 0 well, 1 findings of ``check --strict``, 2 a mistake in the input, 130 interrupted.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        # A terminal or pipe in an old encoding gets \xfc for ü instead of an exception.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        try:
            return _run(arguments)
        finally:
            sys.stdout.flush()  # here, where a broken pipe is still caught
    except KeyboardInterrupt:
        print("onelabel: interrupted; finished files are intact", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output (`| head`) has gone; Python would complain once more on exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (OneLabelError, OSError) as error:
        if follows(arguments):
            time.sleep(_UNTIL_SAID)  # a launcher that saw this process end would end the one that speaks
        else:
            complain(mistake(error) or "")
        return USAGE_ERROR


def function_of(name: str) -> str:
    """Return the name of the function of a command, which is also that of its module.

    Example:
        >>> function_of("import-checkpoint")
        'import_checkpoint'
    """
    return name.replace("-", "_")


def module_of(name: str) -> ModuleType:
    """Import the module of a command."""
    return import_module(f"onelabel.cli.{function_of(name)}")


def mistake(error: BaseException) -> str | None:
    """Return what the user, or the machine, did wrong; None for a mistake of ours.

    Example:
        >>> mistake(OneLabelError("no such file")), mistake(PermissionError(13, "denied", "a.csv"))
        ('no such file', 'a.csv: denied')
    """
    if isinstance(error, OneLabelError):
        return str(error)
    if isinstance(error, OSError):  # permission, full disk, too many open files
        return f"{error.filename or 'cannot go on'}: {error.strerror or error}"
    return None


def complain(message: str) -> None:
    """Print an error as one line of printable characters, whatever names the user's files have."""
    line = "".join(c if c.isprintable() else repr(c)[1:-1] for c in " ".join(message.splitlines()))
    print(f"onelabel: error: {line}", file=sys.stderr)


def _run(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(overview())
        return 0
    if arguments[0] in ("-V", "--version"):
        print(f"onelabel {onelabel.__version__}")
        return 0
    name = arguments[0]
    if name not in COMMANDS:
        raise unknown_name("command", name, [*COMMANDS, "--help", "--version"])
    hush_torch()
    from onelabel.cli.parser import parse

    module = module_of(name)
    values = parse(name, module, arguments[1:])
    result = getattr(module, function_of(name))(**values)
    return result if isinstance(result, int) else 0
