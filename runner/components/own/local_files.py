"""A file of own code with the local modules that it imports: their bytes, and one digest of them.

The bytes are read once: settings are read from them, they are hashed, and they are what is run.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.machinery import BYTECODE_SUFFIXES, EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

from runner.components.own.declared_files import DeclaredFile, read_declared_files
from runner.components.own.installed import Installed
from runner.components.own.limits import without_limits_in
from runner.components.own.local_file import LocalFile, parsed, position_in
from runner.components.own.other_packages import is_keyed, version_of
from runner.components.own.permission import Root
from runner.components.own.problems import CodeProblem
from runner.components.own.unreadable import reads_a_file, unreadable
from runner.core.errors import SourcePosition
from runner.core.keys import content_key
from runner.core.source import Source, read_tree

MAX_BYTES = 1 << 22
"""Of a file; the largest of Python's own library has a tenth of it."""
MAX_FILES = 1000


@dataclass(frozen=True)
class LocalFiles:
    """A file and the local modules that it imports, themselves or by others.

    Attributes:
        main: name of the module that was asked for.
        modules: all of them by name.
        declared: the files that they say they read.
        digest: of what they mean: comments, docstrings and layout do not count; and of the bytes of
            declared files.
        unreadable: the first thing whose effect no digest holds, with its position; or None.
        release: name and version of the package that they are installed as; or nothing.
    """

    main: str
    modules: Mapping[str, LocalFile]
    declared: tuple[DeclaredFile, ...]
    digest: str
    unreadable: tuple[str, SourcePosition] | None
    release: tuple[str, ...] = ()
    beyond_files: tuple[str, SourcePosition] | None = None

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
    _check_main(path, _module_file(root, main), main)
    return _read_all(root, main)


def read_package_files(package: Installed) -> LocalFiles:
    """Return the module that an installed package names, and what it imports of the package.

    What cannot be read from the text is held by the package's version, unless it can be edited.

    Raises:
        CodeProblem: when a module has no source, or it cannot be read or parsed.
    """
    if _module_file(package.root, package.module) is None:
        _check_source(package.root, package.module)
        found = f"{package.shown} has no source of {package.module} in {package.root.folder}"
        raise CodeProblem(found, hint="its entry point may be wrong, or be for another version")
    release = (package.distribution, package.version)
    files = _read_all(package.root, package.module, release)
    return files if package.is_editable else replace(files, unreadable=None)


def _read_all(root: Root, main: str, release: tuple[str, ...] = ()) -> LocalFiles:
    modules: dict[str, LocalFile] = {}
    digests: dict[str, str] = {}
    others: set[str] = set()
    declared: list[DeclaredFile] = []
    hidden: list[tuple[str, SourcePosition]] = []
    left = [main]

    def is_local(top: str) -> bool:
        is_there = _module_file(root, top) is not None or (root.folder / top).is_dir()
        return is_there and (top in root.tops or not root.tops)

    while left:
        name = left.pop()
        if name in modules:
            continue
        top = name.partition(".")[0]
        is_own = top in root.tops or not root.tops
        there = _module_file(root, name) if is_own else None
        if there is None:
            others.add(top)
            if root.tops and is_own:
                _check_source(root, name)
            continue
        if len(modules) == MAX_FILES:
            raise CodeProblem(f"{root.shown} imports more than {MAX_FILES} modules")
        file = modules[name] = _read(root, there, name)
        tree = parsed(file)
        reads = read_declared_files(root, file, tree)
        found = unreadable(tree, is_local, declares=bool(reads))
        hidden += [(word, position_in(file, node)) for word, node in found]
        declared += reads
        source = _source(file, tree)
        digests[name] = source.digest
        left += [each for one in source.imports for each in _with_packages(one)]
    others -= {name.partition(".")[0] for name in modules}
    versions = {name: version_of(name) for name in others if is_keyed(name)}
    parts: list[Any] = [main, sorted(digests.items()), sorted(versions.items())]
    if declared:
        parts.append(sorted({each.shown: each.digest for each in declared}.items()))
    if release:
        parts.append(["package", *release])
    hidden.sort(key=lambda each: each[1])
    beyond = [each for each in hidden if not reads_a_file(each[0].partition("(")[0])]
    digest = content_key("code", parts)[:32]
    first, other = (next(iter(each), None) for each in (hidden, beyond))
    return LocalFiles(main, modules, tuple(declared), digest, first, release, other)


def _source(file: LocalFile, tree: ast.Module) -> Source:
    try:
        return read_tree(without_limits_in(tree), file.package)
    except RecursionError:
        position = SourcePosition(file.shown, 1, 1)
        raise CodeProblem("expressions lie too deep within each other", position=position) from None


def _check_main(path: Path, found: Path | None, name: str) -> None:
    """Check that what is imported by a file's name is that file.

    Raises:
        CodeProblem: when it is something else, or nothing can be imported by that name.
    """
    if found is None:
        hint = "name it as Python's modules are, by letters, digits and _"
        raise CodeProblem(f"{path} cannot be imported as {name}", hint=hint)
    if found.resolve() != path:
        hint = "give one of them another name"
        raise CodeProblem(f"{path} is hidden: {found} is imported by its name", hint=hint)


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


def _check_source(root: Root, name: str) -> None:
    """Check that a module of a package, if it is one, is not compiled.

    Raises:
        CodeProblem: when it is.
    """
    base = root.folder.joinpath(*name.split("."))
    for suffix in (*EXTENSION_SUFFIXES, *BYTECODE_SUFFIXES):
        if base.with_name(f"{base.name}{suffix}").is_file():
            found = f"{name} of {root.shown} is compiled: its source is not there to be read"
            raise CodeProblem(
                found, hint="name a class of a package whose modules are Python files"
            )


def _read(root: Root, path: Path, name: str) -> LocalFile:
    resolved = root.resolved(path)
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
