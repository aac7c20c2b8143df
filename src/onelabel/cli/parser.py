"""From a typed function to a command: its arguments are the options, the YAML keys and the Python API."""

from __future__ import annotations

import inspect
import itertools
import re
import sys
from argparse import Action, ArgumentError, RawDescriptionHelpFormatter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Optional

from docstring_parser import parse as parse_docstring
from jsonargparse import ArgumentParser, DefaultHelpFormatter

from onelabel.cli.mistakes import explain
from onelabel.io.errors import OneLabelError
from onelabel.io.yaml_file import read_yaml

_TYPE_AND_DEFAULT = re.compile(r" \((?:(?:required, )?type: .*?)?(?:(?:, )?default: (.*?))?\)$")
_SWITCH_TYPES = (bool, bool | None, Optional[bool])  # noqa: UP045 - the last two are not equal


@dataclass(frozen=True)
class Choice:
    """An option such as ``--method NAME`` whose value brings parameters ``--method.PARAMETER``.

    Args:
        key: name of the option.
        resolve: gives the class whose constructor holds the parameters; raises for an unknown name.
        skip: parameters that the program itself fills in.
        usual: gives the name that holds where none is given, from the names chosen so far by key; None for
            no such name.
    """

    key: str
    resolve: Callable[[str], type]
    skip: frozenset[str] = frozenset()
    usual: Callable[[Mapping[str, str | None]], str | None] = lambda _chosen: None


class _HelpFormatter(DefaultHelpFormatter, RawDescriptionHelpFormatter):
    """Keeps the line ends of descriptions, so that examples can be copied; shows defaults without types."""

    def _expand_help(self, action: Action) -> str:
        return re.sub(_TYPE_AND_DEFAULT, _default_only, super()._expand_help(action)).replace("``", "")

    def _format_action_invocation(self, action: Action) -> str:
        return super()._format_action_invocation(action).replace(" ,", ",").rstrip()


def _default_only(found: re.Match[str]) -> str:
    return "" if found[1] in (None, "null", "False") else f" (default: {found[1]})"


def parse(name: str, module: ModuleType, argv: Sequence[str]) -> dict[str, Any]:
    """Turn the arguments of one command into the keyword arguments of its function.

    Args:
        name: the command; ``module`` has a function of that name (with _ for -), ``EXAMPLES`` (text) and,
            optionally, ``CHOICES`` (:class:`Choice` objects) and ``OPTIONAL`` (names of arguments without a
            flag that may be left out).
        module: the command's module.
        argv: arguments after the command's name.

    Raises:
        OneLabelError: an unknown or missing option or key, or a value of the wrong type.
    """
    arguments = list(argv)
    parser = _base_parser(name, module)
    files = {path: _read_yaml(path) for path in _values("--config", arguments)}
    chosen: dict[str, str | None] = {}
    for choice in getattr(module, "CHOICES", ()):
        chosen[choice.key] = _chosen(choice.key, arguments, files) or choice.usual(chosen)
        arguments = _add_choice(parser, choice, chosen[choice.key], arguments)
    switches = _spell_as_flags(parser)
    try:
        values = parser.parse_args([_switch(argument, switches) for argument in arguments])
    except ArgumentError as error:
        raise OneLabelError(explain(name, parser._actions, error.message)) from None
    result: dict[str, Any] = values.as_dict()
    result.pop("config", None)
    for key in getattr(module, "OPTIONAL", ()):
        # Left out of the command line, it would be None whatever a file says.
        result[key] = result[key] or next((file[key] for file in files.values() if key in file), None)
    return result


def _base_parser(name: str, module: ModuleType) -> ArgumentParser:
    function = getattr(module, name.replace("-", "_"))
    text = parse_docstring(inspect.getdoc(function) or "")
    description = f"{text.description}\n\nexamples:\n{inspect.cleandoc(module.EXAMPLES)}"
    parser = ArgumentParser(
        prog=f"onelabel {name}",
        description=re.sub(r"(?m)^(?=onelabel )", "  ", description),
        allow_abbrev=False,
        exit_on_error=False,
        formatter_class=_HelpFormatter,
    )
    parser.add_argument("--config", action="config", help="YAML file with any of these options")
    parameters = inspect.signature(function).parameters
    many = [p.name for p in parameters.values() if p.default is p.empty and "list[" in str(p.annotation)]
    optional = getattr(module, "OPTIONAL", ())
    skip = {"class_ids", *many, *optional, *(choice.key for choice in getattr(module, "CHOICES", ()))}
    parser.add_function_arguments(function, as_group=False, as_positional=True, skip=skip)
    descriptions = {parameter.arg_name: parameter.description for parameter in text.params}
    for key in many:
        parser.add_argument(key, nargs="+", type=str, help=descriptions[key])
    for key in optional:
        number = "*" if "list[" in str(parameters[key].annotation) else "?"
        parser.add_argument(key, nargs=number, type=str, default=None, help=descriptions[key])
    return parser


def _add_choice(parser: ArgumentParser, choice: Choice, name: str | None, argv: list[str]) -> list[str]:
    """Add ``--key`` and the parameters of the chosen class; return ``argv`` with ``--key X`` made plain."""
    flag = f"--{choice.key}"
    help_text = f"name, or module:Class of your own; see its parameters with {flag} NAME --help"
    if name is None:
        if any(argument.startswith(f"{flag}.") for argument in argv):
            raise OneLabelError(f"give {flag} NAME beside its parameters")
        parser.add_argument(flag, default=None, help=help_text)
        return argv
    parser.add_argument(f"{flag}.name", default=name, help=help_text)
    kind = choice.resolve(name)
    try:
        parser.add_class_arguments(kind, choice.key, as_group=False, instantiate=False, skip=set(choice.skip))
        _describe(parser, choice.key, kind)
    except ValueError as error:
        raise OneLabelError(f"the parameters of {choice.key} {name!r} cannot be read: {error}") from None
    return [
        argument.replace(flag, f"{flag}.name", 1)
        if argument == flag or argument.startswith(f"{flag}=")
        else argument
        for argument in argv
    ]


def _describe(parser: ArgumentParser, key: str, kind: type) -> None:
    """Say what a parameter is where the class leaves that to the function beside it, as losses do."""
    functions = inspect.getmembers(sys.modules[kind.__module__], inspect.isfunction)
    documented = [parse_docstring(inspect.getdoc(function) or "").params for _, function in functions]
    texts = {f"{key}.{found.arg_name}": found.description for found in itertools.chain(*documented)}
    for action in parser._actions:
        if action.dest in texts and not (action.help or "").strip():
            action.help = texts[action.dest]


def _spell_as_flags(parser: ArgumentParser) -> set[str]:
    """Spell options with dashes, as ``--val-fraction``; return the names of those that are true or false."""
    switches = set()
    for action in parser._actions:
        for old in action.option_strings:
            parser._option_string_actions[old.replace("_", "-")] = parser._option_string_actions.pop(old)
        action.option_strings = [old.replace("_", "-") for old in action.option_strings]
        if action.option_strings and getattr(action, "_typehint", None) in _SWITCH_TYPES:
            name = action.option_strings[0]
            switches.add(name)
            action.metavar = ""
            action.option_strings = [name, f"--no-{name[2:]}"]
    return switches


def _switch(argument: str, switches: set[str]) -> str:
    """Write ``--strict`` as ``--strict=true`` and ``--no-strict`` as ``--strict=false``."""
    if argument in switches:
        return f"{argument}=true"
    positive = argument.replace("--no-", "--", 1)
    return f"{positive}=false" if argument.startswith("--no-") and positive in switches else argument


def _chosen(key: str, argv: Sequence[str], files: Mapping[str, Mapping[str, Any]]) -> str | None:
    """Find the value of ``--key`` before parsing, on the command line or in the YAML files named there."""
    for name in _values(f"--{key}", argv) + _values(f"--{key}.name", argv):
        return name
    for path, content in files.items():
        value = content.get(key)
        if isinstance(value, dict) and isinstance(value.get("name"), str):
            return str(value["name"])
        if value is not None:
            raise OneLabelError(f"{path}: {key} must be written as {key}: {{name: NAME, parameter: value}}")
    return None


def _values(flag: str, argv: Sequence[str]) -> list[str]:
    """List the values given to ``flag``, last first, as the last one wins."""
    found = [argument.split("=", 1)[1] for argument in argv if argument.startswith(f"{flag}=")]
    found += [value for argument, value in itertools.pairwise(argv) if argument == flag]
    return found[::-1]


def _read_yaml(path: str) -> dict[str, Any]:
    content = read_yaml(path, "--config")
    if not isinstance(content, dict):
        raise OneLabelError(f"--config {path} must hold keys and values, such as 'epochs: 10'")
    return content
