"""Which Python files may be read and run in an invocation, and where a name leads among them.

What is installed as a package needs no permission: see `installed`.

Owns permission. It is given on the command line or by a caller of the API, and holds within a
``with``; nothing that is read from a spec, a database, a checkpoint or an archive adds to it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner.components.own.names import CodeName, PackageName
from runner.components.own.problems import CodeProblem
from runner.core.errors import UsageError, nearest

SHOWN = 6
"""Files that a message lists at most."""


@dataclass(frozen=True, slots=True)
class Root:
    """A file or folder that is allowed.

    Attributes:
        shown: as it was given.
        name: of the file, as a spec names it; "" of a folder.
        path: absolute, links resolved.
        given: as it was given, absolute.
        tops: top-level modules that are own code there; none: all are.
    """

    shown: str
    name: str
    path: Path
    given: str
    tops: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """Where its modules lie: what own code imports is looked for here first."""
        return self.path.parent if self.name else self.path

    def resolved(self, path: Path) -> Path:
        """Return an absolute path whose links are resolved, but for those of a package.

        Installers may link a package's files to where they keep them.
        """
        return Path(os.path.abspath(path)) if self.tops else path.resolve()


@dataclass(frozen=True)
class Permission:
    """What an invocation may run.

    Attributes:
        roots: files and folders, each once.
        classes: what was read of them in this invocation, by kind and name.
        modules: what is run of them in this invocation, by file and digest: each module once, so
            that classes of one file share what stands in it.
    """

    roots: tuple[Root, ...] = ()
    classes: dict[tuple[Any, CodeName | PackageName], Any] = field(
        default_factory=dict, compare=False
    )
    modules: dict[tuple[Path, str], Any] = field(default_factory=dict, compare=False)

    @property
    def paths(self) -> tuple[str, ...]:
        """The files and folders, absolute, as another process may be given them."""
        return tuple(root.given for root in self.roots)

    def find(self, name: CodeName) -> tuple[Root, Path]:
        """Return where the file of a name lies: the root that allows it, and its resolved path.

        Raises:
            CodeProblem: when it is not allowed, not there, or two files may be meant.
        """
        if not self.roots:
            file = name.file
            raise CodeProblem(f"'{name}' is Python code; allow it with --code {file}")
        found = {path: root for root in self.roots if (path := _below(root, name)) is not None}
        if len(found) > 1:
            listed = ", ".join(map(str, found))
            raise CodeProblem(f"'{name}' may be one of several files: {listed}", hint="allow one")
        if found:
            path, root = next(iter(found.items()))
            return root, path
        told = ", ".join(root.shown for root in self.roots)
        raise CodeProblem(
            f"'{name}' is in no file that is allowed (--code {told})",
            hint=f"allow it with --code {name.file}, or a folder that holds it",
            suggestion=nearest(name.file, _files(self.roots)),
        )


def _below(root: Root, name: CodeName) -> Path | None:
    """Return the resolved path of a name's file at a root, None where it is not there."""
    if root.name:
        return root.path if root.name == name.file else None
    path = root.path / name.file
    try:
        resolved = path.resolve()
        if not resolved.is_file():
            return None
    except (OSError, RuntimeError, ValueError):  # too long, or links that lead to each other
        return None
    if not resolved.is_relative_to(root.path):
        found = f"{path} leads outside of {root.shown}, to {resolved}"
        raise CodeProblem(found, hint=f"allow it by itself: --code {resolved}")
    return resolved


def _files(roots: Iterable[Root]) -> list[str]:
    """Return the names of some files that are allowed."""
    names = [root.name for root in roots if root.name]
    for root in roots:
        names += [] if root.name else sorted(path.name for path in root.path.glob("*.py"))
    return names[:100]


NOTHING = Permission()
_CURRENT: ContextVar[Permission] = ContextVar("code that may be run", default=NOTHING)


def permission() -> Permission:
    """Return what may be run now; nothing unless somebody has allowed it."""
    return _CURRENT.get()


def forget_packages() -> None:
    """Read the classes of packages anew that are named next; those that are in use stay.

    What is allowed by ``--code`` is read once for as long as it is allowed.
    """
    NOTHING.classes.clear()


@contextmanager
def allow_code(*paths: str | Path) -> Iterator[None]:
    """Allow Python files, or all in folders, to be run where a spec or a record names them.

    A file is named by its file name, one in a folder by its path below it; with a file, the modules
    beside it that it imports are allowed too. What was allowed outside stays allowed.

    Raises:
        UsageError: for a path that is not there, or is neither a Python file nor a folder.
    """
    outer = permission()
    roots = tuple(dict.fromkeys([*outer.roots, *(_root(Path(path)) for path in paths)]))
    if roots == outer.roots:
        yield
        return
    token = _CURRENT.set(Permission(roots))
    try:
        yield
    finally:
        _CURRENT.reset(token)


def _root(path: Path) -> Root:
    try:
        resolved = path.resolve(strict=True)
    except (OSError, RuntimeError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        hint = "give a Python file, or a folder of them"
        raise UsageError(f"--code {path}: {why}", hint=hint) from None
    if resolved.is_dir():
        return Root(str(path), "", resolved, str(path.absolute()))
    if path.suffix != ".py" or not resolved.is_file():
        raise UsageError(f"--code {path} is no Python file", allowed="a .py file, or a folder")
    return Root(str(path), path.name, resolved, str(path.absolute()))
