"""All own code that may be named: classes in allowed files, and those of installed packages.

For who lists or completes names; nothing is imported. What cannot be read is left out.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import Path

from runner.components.own.component import Own, own_class
from runner.components.own.installed import installed_names
from runner.components.own.local_files import MAX_BYTES, MAX_FILES
from runner.components.own.permission import Root, permission
from runner.components.own.problems import CodeProblem


def offered_classes(kind: type[Own]) -> Iterator[type[Own]]:
    """Yield the settings classes of the own code that can be of a kind."""
    for root in permission().roots:
        for name in _names_in(root):
            yield from _of_kind(kind, name)
    for offered in installed_names():
        yield from _of_kind(kind, str(offered))


def _of_kind(kind: type[Own], name: str) -> Iterator[type[Own]]:
    try:
        yield own_class(kind, name)
    except CodeProblem:
        return


def _names_in(root: Root) -> Iterator[str]:
    """Yield the names of the public classes of a file, or of the files in a folder."""
    paths = [root.path] if root.name else sorted(_files_below(root.path))[:MAX_FILES]
    for path in paths:
        try:
            if path.stat().st_size > MAX_BYTES:
                continue
            tree = ast.parse(path.read_bytes())
        except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        file = root.name or path.relative_to(root.path).as_posix()
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                yield f"{file}:{node.name}"


def _files_below(folder: Path) -> Iterator[Path]:
    """Yield the Python files in a folder, also while others add and remove some."""
    for home, _, names in os.walk(folder):
        yield from (Path(home, name) for name in names if name.endswith(".py"))
