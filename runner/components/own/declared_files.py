"""Files that own code says it reads: ``READS = ["palette.json"]`` at the top level of a module.

Names are read from the text, and are relative to the module's file. The bytes are part of the
code's digest, so that such code needs no number that is raised by hand.
"""

from __future__ import annotations

import ast
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG

from runner.artifacts.hashes import RACY_NS, file_digest, stamp_of
from runner.components.own.local_file import LocalFile, position_in
from runner.components.own.permission import Root
from runner.components.own.problems import CodeProblem, OwnCodeFailed

NAME = "READS"
FORM = f'{NAME} = ["palette.json", "weights/teacher.pt"], names of files beside the module'
MAX_FILES = 1000

_KNOWN: dict[tuple[Path, str], str] = {}
"""What this process has hashed, by what the file system said of it."""


@dataclass(frozen=True, slots=True)
class DeclaredFile:
    """A file that a module reads.

    Attributes:
        path: of the file, resolved.
        shown: below the folder of the code, for people.
        digest: its SHA-256.
        size: bytes.
        stamp: what the file system said of it when it was hashed.
    """

    path: Path
    shown: str
    digest: str
    size: int
    stamp: str


def read_declared_files(root: Root, file: LocalFile, tree: ast.Module) -> list[DeclaredFile]:
    """Return the files that a module declares, hashed; none where it declares nothing.

    Args:
        root: what is allowed; they must lie below its folder.
        file: the module.
        tree: of its text.

    Raises:
        CodeProblem: when the declaration cannot be read from the text; when a file is not there, or
            lies elsewhere.
    """
    assigned = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and node.id == NAME and isinstance(node.ctx, ast.Store)
    ]
    if not assigned:
        return []
    value = next(
        (
            node.value
            for node in tree.body
            if isinstance(node, ast.Assign | ast.AnnAssign) and _targets(node) == [assigned[0]]
        ),
        None,
    )
    if len(assigned) > 1 or value is None:
        found = f"{NAME} must be assigned once, at the top level of the file"
        raise CodeProblem(found, FORM, position=position_in(file, assigned[-1]))
    items = value.elts if isinstance(value, ast.List | ast.Tuple) else []
    if not 0 < len(items) <= MAX_FILES:
        found = f"{NAME} is {ast.unparse(value)[:60]}, which is no list of 1 to {MAX_FILES:,} names"
        raise CodeProblem(found, FORM, position=position_in(file, value))
    return [_declared(root, file, item) for item in items]


def _targets(node: ast.Assign | ast.AnnAssign) -> list[ast.expr]:
    return node.targets if isinstance(node, ast.Assign) else [node.target]


def _declared(root: Root, file: LocalFile, item: ast.expr) -> DeclaredFile:
    position = position_in(file, item)
    name = item.value if isinstance(item, ast.Constant) else None
    if not isinstance(name, str) or not name or Path(name).is_absolute():
        found = (
            f"{NAME} holds {ast.unparse(item)[:60]}, which is no name of a file beside the module"
        )
        raise CodeProblem(found, FORM, position=position)
    try:
        path = root.resolved(file.path.parent / name)
        if not path.is_relative_to(root.folder):
            found = f"{name!r} in {NAME} leads outside of {root.folder}, to {path}"
            hint = "copy it here, or allow a folder that holds both"
            raise CodeProblem(found, hint=hint, position=position)
        stat = path.stat()
        if not S_ISREG(stat.st_mode):
            hint = "name each file by itself"
            raise CodeProblem(f"{name!r} in {NAME} is no file", hint=hint, position=position)
        stamp = stamp_of(stat)
        digest = _digest(path, stamp, stat.st_ctime_ns)
    except (OSError, RuntimeError, ValueError) as error:  # a name with a zero byte is a ValueError
        why = getattr(error, "strerror", None) or error
        found = f"{name!r} in {NAME} cannot be read: {why}"
        hint = f"it is looked for at {file.path.parent / name}"
        raise CodeProblem(found, hint=hint, position=position) from None
    return DeclaredFile(path, path.relative_to(root.folder).as_posix(), digest, stat.st_size, stamp)


def _digest(path: Path, stamp: str, changed_ns: int) -> str:
    if (path, stamp) in _KNOWN:
        return _KNOWN[path, stamp]
    began = time.time_ns()
    digest = file_digest(path)
    if changed_ns < began - RACY_NS:
        _KNOWN[path, stamp] = digest
    return digest


def check_unchanged(files: Iterable[DeclaredFile]) -> None:
    """Check that declared files are what they were when they were hashed.

    Raises:
        OwnCodeFailed: when one is not.
    """
    for file in files:
        try:
            stamp = stamp_of(file.path.stat())
        except OSError:
            stamp = ""
        if stamp != file.stamp:
            hint = "its digest is in the run's key: begin again"
            raise OwnCodeFailed(f"{file.shown} has changed since it was hashed", hint=hint)
