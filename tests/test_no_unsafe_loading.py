"""The package calls nothing that runs code from a file, under whatever name: found in the syntax tree."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "onelabel"
MODULES = {
    "pickle",
    "cPickle",
    "_pickle",
    "cloudpickle",
    "dill",
    "joblib",
    "marshal",
    "shelve",
    "code",
    "runpy",
}
BUILTINS = {"eval", "exec", "compile", "__import__"}
LOADERS = {"load", "load_all", "unsafe_load", "unsafe_load_all", "full_load", "full_load_all"}
SAFE = {"SafeLoader", "CSafeLoader", "yaml.SafeLoader", "yaml.CSafeLoader"}
ALLOWED = {"pickle.loads(pickle.dumps("}
"""A copy in memory reads no file."""


def aliases(tree: ast.Module) -> dict[str, str]:
    """Return what each name of an import stands for."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.asname or alias.name.partition(".")[0]: alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return found


def unsafe(text: str) -> list[str]:
    """Return the calls and uses that could run code from a file."""
    tree = ast.parse(text)
    names, found = aliases(tree), []
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in BUILTINS and node.id not in names:
            found.append(f"line {node.lineno}: {node.id}")  # also where it is only handed on
        if not isinstance(node, ast.Call):
            continue
        first, dot, rest = ast.unparse(node.func).partition(".")
        name = names.get(first, first) + dot + rest
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        module, last = name.partition(".")[0], name.rpartition(".")[2]
        wrong = (
            (module in MODULES and not any(ast.unparse(node).startswith(text) for text in ALLOWED))
            or (module == "torch" and last == "load" and given.get("weights_only") != "True")
            or (
                module == "numpy"
                and last in {"load", "fromfile"}
                and given.get("allow_pickle", "False") != "False"
            )
            or (module == "numpy" and last == "load" and "allow_pickle" not in given)
            or (module == "yaml" and last in LOADERS and given.get("Loader") not in SAFE)
            or (module in {"builtins", "__builtins__"} and last in BUILTINS)
            or (module == "os" and last in {"system", "popen"})
            or (module == "subprocess" and given.get("shell", "False") != "False")
        )
        if wrong and "pickle.dumps" not in name:
            found.append(f"line {node.lineno}: {ast.unparse(node)[:80]}")
    return found


@pytest.mark.parametrize("file", sorted(SOURCE.rglob("*.py")), ids=lambda file: str(file.relative_to(SOURCE)))
def test_no_file(file: Path) -> None:
    assert not unsafe(file.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "text",
    [
        "eval('1')", "exec(x)", "f = eval", "compile('1', 'a', 'eval')", "__import__('os')",
        "import builtins\nbuiltins.exec(x)", "import builtins as b\nb.eval(x)",
        "import pickle\npickle.load(f)",
        "import pickle as p\np.loads(d)", "from pickle import Unpickler as U\nU(f)",
        "import torch\ntorch.load(p)",
        "from torch import load\nload(p, weights_only=False)", "import torch as t\nt.load(p)",
        "import numpy as np\nnp.load(p)", "import numpy as np\nnp.load(p, allow_pickle=True)",
        "import yaml\nyaml.load(s)", "import yaml\nyaml.load(s, Loader=yaml.Loader)",
        "import yaml\nyaml.full_load(s)",
        "from yaml import unsafe_load\nunsafe_load(s)", "import os\nos.system(c)",
        "import subprocess\nsubprocess.run(c, shell=True)",
    ],
)  # fmt: skip
def test_what_is_unsafe_is_found(text: str) -> None:
    assert unsafe(text)


def test_what_is_safe_is_not() -> None:
    assert not unsafe(
        "import re\nre.compile('a')\nmodel.eval()\nimport torch\ntorch.load(p, weights_only=True)"
    )
    assert not unsafe("import numpy as np\nnp.load(p, allow_pickle=False)\nimport yaml\nyaml.safe_load(s)")
    assert not unsafe("import pickle\nx = pickle.loads(pickle.dumps(y))")
