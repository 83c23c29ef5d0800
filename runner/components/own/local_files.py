"""A file of own code with the local modules that it imports: their bytes, and one digest of them.

The bytes are read once: settings are read from them, they are hashed, and they are what is run.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

from runner.components.own.permission import Root
from runner.components.own.problems import CodeProblem
from runner.core.errors import SourcePosition
from runner.core.keys import content_key
from runner.core.source import read_source

MAX_BYTES = 1 << 22
"""Of a file; the largest of Python's own library has a tenth of it."""
MAX_FILES = 1000

NOT_KEYED = frozenset({"torch", "torchvision", "numpy", "runner"})
"""Packages whose versions are recorded with each attempt, as they are of every run."""

UNREADABLE = frozenset({"exec", "eval", "compile", "__import__", "open"})
"""Calls whose effect cannot be read from a text."""
HIDING = frozenset({"importlib", "runpy", "ctypes", "pickle"})
"""Modules that bring in what cannot be read from a text."""


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A module.

    Attributes:
        path: of the file, resolved.
        shown: the same for people.
        text: its bytes, as they were read once.
        package: in which it lies, or which it is.
    """

    path: Path
    shown: str
    text: bytes
    package: str


@dataclass(frozen=True)
class LocalFiles:
    """A file and the local modules that it imports, themselves or by others.

    Attributes:
        main: name of the module that was asked for.
        modules: all of them by name.
        digest: of what they mean: comments, docstrings and layout do not count.
        unreadable: the first thing whose effect no digest holds, with its position; or None.
    """

    main: str
    modules: Mapping[str, LocalFile]
    digest: str
    unreadable: tuple[str, SourcePosition] | None

    @property
    def file(self) -> LocalFile:
        """The file that was asked for."""
        return self.modules[self.main]


def read_local_files(root: Root, path: Path) -> LocalFiles:
    """Return a file and what it imports below the folder of ``root``.

    Raises:
        CodeProblem: when one cannot be read or parsed, or leads outside of the folder.
    """
    inner = path.relative_to(root.folder).with_suffix("").parts
    main = ".".join(inner[:-1] if inner[-1] == "__init__" and len(inner) > 1 else inner)
    modules: dict[str, LocalFile] = {}
    digests: dict[str, str] = {}
    others: set[str] = set()
    hidden: list[tuple[str, SourcePosition]] = []
    left = [main]
    while left:
        name = left.pop()
        if name in modules:
            continue
        there = _module_file(root, name)
        if there is None:
            others.add(name.partition(".")[0])
            continue
        if len(modules) == MAX_FILES:
            raise CodeProblem(f"{root.shown} imports more than {MAX_FILES} modules")
        file = modules[name] = _read(root, there, name)
        tree = parsed(file)
        source = read_source(file.text, file.package)
        digests[name] = source.digest
        hidden += _hidden(tree, file, root)
        left += [each for one in source.imports for each in _with_packages(one)]
    if main not in modules:  # a package of that name hides the file
        raise CodeProblem(f"{path} is hidden by a folder of its name")
    others -= {name.partition(".")[0] for name in modules}
    versions = {name: version for name in others if (version := _version(name)) is not None}
    key = content_key("code", [main, sorted(digests.items()), sorted(versions.items())])
    first = min(hidden, key=lambda each: each[1], default=None)
    return LocalFiles(main, modules, key[:32], first)


def _with_packages(name: str) -> Iterator[str]:
    """Yield a module and the packages that it lies in, which are imported before it."""
    parts = name.split(".")
    yield from (".".join(parts[:end]) for end in range(1, len(parts) + 1) if all(parts))


def _module_file(root: Root, name: str) -> Path | None:
    base = root.folder.joinpath(*name.split("."))
    for path in (base / "__init__.py", base.with_name(f"{base.name}.py")):
        try:
            if path.is_file():
                return path
        except (OSError, ValueError):
            return None
    return None


def _read(root: Root, path: Path, name: str) -> LocalFile:
    resolved = path.resolve()
    if not resolved.is_relative_to(root.folder):
        found = f"{path} leads outside of {root.folder}, to {resolved}"
        raise CodeProblem(found, hint="copy it here, or allow a folder that holds both")
    try:
        with resolved.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise CodeProblem(f"{path} cannot be read: {error.strerror}") from None
    if len(text) > MAX_BYTES:
        raise CodeProblem(f"{path} has more than {MAX_BYTES} bytes")
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    shown = path.relative_to(root.folder).as_posix()
    return LocalFile(resolved, shown, text, package)


def parsed(file: LocalFile) -> ast.Module:
    """Return the syntax tree of a file.

    Raises:
        CodeProblem: when it is no Python, with the position.
    """
    try:
        return ast.parse(file.text)
    except SyntaxError as error:
        position = SourcePosition(file.shown, error.lineno or 1, error.offset or 1)
        raise CodeProblem(f"no Python: {error.msg}", position=position) from None
    except (ValueError, RecursionError, MemoryError) as error:
        position = SourcePosition(file.shown, 1, 1)
        raise CodeProblem(f"no Python: {error}", position=position) from None


def position_in(file: LocalFile, node: ast.AST) -> SourcePosition:
    """Return where a part of a file stands."""
    line, column = getattr(node, "lineno", 1), getattr(node, "col_offset", 0)
    return SourcePosition(file.shown, line, column + 1)


def _hidden(tree: ast.Module, file: LocalFile, root: Root) -> Iterator[tuple[str, SourcePosition]]:
    """Yield what of a module cannot be read from its text."""
    for node in ast.walk(tree):
        word = ""
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            word = node.func.id if node.func.id in UNREADABLE else ""
        elif isinstance(node, ast.Import):
            tops = [alias.name.partition(".")[0] for alias in node.names]
            word = next((top for top in tops if top in HIDING), "")
        elif isinstance(node, ast.ImportFrom):
            top = "" if node.level else (node.module or "").partition(".")[0]
            is_local = node.level > 0 or _module_file(root, top) is not None
            if is_local and any(alias.name == "*" for alias in node.names):
                word = "import *"
            elif top in HIDING:
                word = top
        if word:
            yield word, position_in(file, node)


@cache
def _version(top: str) -> str | None:
    """Return the version of a package that is no part of Python, "" where it is not installed."""
    if not top or top in sys.stdlib_module_names or top in NOT_KEYED:
        return None
    try:
        return metadata.version(top)
    except (metadata.PackageNotFoundError, ValueError):
        names = metadata.packages_distributions().get(top, ())
        return metadata.version(names[0]) if names else ""
