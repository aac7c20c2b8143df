"""What holds for the whole source tree: the direction of imports, no unsafe loading, size, docstrings."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "onelabel"
FLOORS = {
    "io": 0,
    "images": 1,
    "labels": 2,
    "losses": 3,
    "vlm": 3,
    "models": 3,
    "evaluation": 3,
    "sources": 4,
    "methods": 5,
    "training": 6,
    "report": 7,
    "compare": 8,
    "recipes": 8,
    "demo": 9,
    "cli": 10,
}
ABOVE_ALL = {"testing", "__main__"}
"""Modules beside the rooms that may import every room, and that no room may import."""

MOST_LINES = 400
UNSAFE_MODULES = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
MODULE_NAME = re.compile(r"onelabel(\.\w+)+(:\w+)?")
MACHINE_PATH = re.compile(r"(?<![\w.~:/}])/(work|tmp|home|root|Users|mnt)/")

FILES = sorted(SOURCE.rglob("*.py"))


def room_of(file: Path) -> str:
    """The room of a file under ``src/onelabel``; ``__init__`` for the package's own file."""
    return file.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports_of(tree: ast.Module, package: str) -> Iterator[tuple[int, str]]:
    """(line, module) of every import, at any depth, and of every text that is the name of one of our modules.

    Registries name modules in texts such as ``onelabel.losses.em:EM``, which are imported later.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = (
                ".".join(package.split(".")[: len(package.split(".")) - node.level + 1]) if node.level else ""
            )
            module = ".".join(part for part in (base, node.module) if part)
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and MODULE_NAME.fullmatch(node.value)
        ):
            yield node.lineno, node.value.partition(":")[0]


def wrong_imports(text: str, room: str, package: str) -> list[str]:
    """The imports that go up or sideways."""
    wrong = []
    for line, module in imports_of(ast.parse(text), package):
        parts = module.split(".")
        if parts[0] != "onelabel" or len(parts) < 2 or parts[1] in {room, "__version__"}:
            continue
        if parts[1] not in FLOORS or FLOORS[parts[1]] >= FLOORS[room]:
            wrong.append(f"line {line}: {room} imports {module}")
    return wrong


def unsafe_calls(text: str) -> list[str]:
    """Everything that could run code from a file. A copy by ``pickle.loads(pickle.dumps(x))`` reads none."""
    rest = text.replace("pickle.loads(pickle.dumps(", "copy((").replace("\nimport pickle\n", "\n\n")
    text = text if re.search(r"\bpickle\.", rest) else rest
    tree, found = ast.parse(text), []
    for line, module in imports_of(tree, "x"):
        if module.split(".")[0] in UNSAFE_MODULES:
            found.append(f"line {line}: import of {module}")
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = ast.unparse(call.func)
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        if (
            name in {"eval", "exec", "builtins.eval", "builtins.exec", "yaml.load", "yaml.unsafe_load"}
            or (name.endswith("torch.load") and given.get("weights_only") != "True")
            or given.get("allow_pickle", "False") != "False"
        ):
            found.append(f"line {call.lineno}: {ast.unparse(call)}")
    return found


def without_docstring(text: str) -> list[str]:
    """The module, and its public functions and classes, where they have none."""
    tree = ast.parse(text)
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    public = [node for node in tree.body if isinstance(node, kinds) and not node.name.startswith("_")]
    return [
        *([] if ast.get_docstring(tree) else ["the module"]),
        *(node.name for node in public if not ast.get_docstring(node)),
    ]


def each(check: str, findings: dict[str, list[str]]) -> None:
    assert not any(findings.values()), "\n".join(
        [check, *(f"  {file}: {finding}" for file, found in findings.items() for finding in found)]
    )


def name(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def test_there_is_source_to_check() -> None:
    assert len(FILES) > 20


def test_every_room_has_a_floor() -> None:
    rooms = {room_of(file) for file in FILES} - {"__init__"} - ABOVE_ALL
    assert rooms <= set(FLOORS), f"give these a floor in FLOORS: {sorted(rooms - set(FLOORS))}"


def test_imports_run_one_way() -> None:
    inside = [file for file in FILES if room_of(file) in FLOORS]
    packages = {file: ".".join(("onelabel", *file.relative_to(SOURCE).parts[:-1])) for file in inside}
    each(
        "a room imports rooms on lower floors only",
        {name(f): wrong_imports(f.read_text("utf-8"), room_of(f), packages[f]) for f in inside},
    )


def test_the_package_itself_imports_no_room() -> None:
    modules = [
        module for _, module in imports_of(ast.parse((SOURCE / "__init__.py").read_text("utf-8")), "onelabel")
    ]
    assert not [module for module in modules if module.split(".")[0] == "onelabel"]


def test_nothing_from_a_file_is_executed() -> None:
    each("loading must not run code", {name(file): unsafe_calls(file.read_text("utf-8")) for file in FILES})


def test_files_stay_small() -> None:
    lines = {name(file): len(file.read_text("utf-8").splitlines()) for file in FILES}
    assert not {file: count for file, count in lines.items() if count > MOST_LINES}


def test_public_functions_and_classes_have_docstrings() -> None:
    each("without docstring", {name(file): without_docstring(file.read_text("utf-8")) for file in FILES})


def test_no_path_of_one_machine_is_written_down() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    files = [ROOT / entry for entry in listed.stdout.split("\0") if entry] or FILES
    ends = {".py", ".md", ".toml", ".yaml", ".yml", ".json", ".csv", ".txt", ".sh", ""}
    each(
        "paths of one machine",
        {
            name(file): [
                f"line {number}: {line.strip()}"
                for number, line in enumerate(file.read_text("utf-8").splitlines(), 1)
                if MACHINE_PATH.search(line)
            ]
            for file in files
            if file.suffix in ends and file.is_file() and file != Path(__file__)
        },
    )


def test_importing_the_package_is_light() -> None:
    code = "import sys, onelabel; sys.exit(bool({'torch', 'numpy', 'lightning'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    "text",
    [
        "from onelabel.models.heads import LinearHead",
        "def f():\n    import onelabel.cli",
        "from onelabel import training",
        "from ..models import heads",
        "from ... import vlm",
        "ENTRY = 'onelabel.methods.em:EM'",
        "from onelabel.testing import check_loss",
    ],
)
def test_a_wrong_import_is_found(text: str) -> None:
    assert wrong_imports(text, "losses", "onelabel.losses.asl" if "..." in text else "onelabel.losses")


@pytest.mark.parametrize(
    "text",
    [
        "from onelabel.labels.table import LabelTable",
        "from .papers import Paper",
        "import onelabel",
        "from onelabel import __version__",
        "import torch",
        "KIND = 'onelabel-store'",
    ],
)
def test_a_right_import_is_not(text: str) -> None:
    assert not wrong_imports(text, "losses", "onelabel.losses")


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "import os\nimport pickle\nx = pickle.loads(pickle.dumps(y))\nz = pickle.loads(data)",
        "def f():\n    from pickle import loads",
        "eval('1')",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)",
        "np.load(path, allow_pickle=flag)",
    ],
)
def test_unsafe_loading_is_found(text: str) -> None:
    assert unsafe_calls(text)


def test_safe_loading_is_not() -> None:
    assert not unsafe_calls("import os\nimport pickle\nx = pickle.loads(pickle.dumps(y))")
    assert not unsafe_calls("model.eval()\ntorch.load(p, weights_only=True)\nnp.load(p, allow_pickle=False)")


def test_a_missing_docstring_and_a_machine_path_are_found() -> None:
    assert without_docstring("def f(): ...\ndef _g(): ...") == ["the module", "f"]
    assert MACHINE_PATH.search("open('/" + "tmp/x')")
    assert not MACHINE_PATH.search("https://a.org/mnt/x and ./tmp/x")
