"""The code that runs are made with: digests of the modules of components and of the engine.

Owns which modules a run uses: those that define the classes of its settings, and what these import
among components. Files are parsed, not imported, and what was parsed is remembered by its text.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from pydantic import BaseModel

import runner
from runner.artifacts.folder import code_file
from runner.artifacts.memory import recall, remember
from runner.core.source import Source, read_source

COMPONENTS, ENGINE = "runner.components", "runner.engine"

FETCHING = frozenset(
    {
        f"{COMPONENTS}.data.archives",
        f"{COMPONENTS}.data.hub",
        f"{COMPONENTS}.download",
        f"{COMPONENTS}.settings",
    }
)
"""Modules that bring files to the disk, or list the settings: what they say is in every key."""

READING = f"{COMPONENTS}.own."
"""Modules that read own code: its digest is in the keys."""

FORMAT = 1
MOST_REMEMBERED = 4000

_PARSED: dict[str, Source] = {}
"""What this process has parsed, by the digest of the text."""


class Sources:
    """What the modules' files say now. What was parsed before is taken from ``.runner/``."""

    def __init__(self, folder: Path) -> None:
        """Take ``.runner/``; nothing is read yet."""
        self._path = code_file(folder)
        self._there: dict[str, Source] | None = None
        self._is_new = False
        self._known: dict[str, Source | None] = {}
        self._files: dict[str, Path | None] = {}

    def digests(self, names: Iterable[str]) -> dict[str, str]:
        """Return the digests of those modules that have a source file, by name."""
        found = {name: source for name in names if (source := self._source(name)) is not None}
        self._remember()
        return {name: source.digest for name, source in sorted(found.items())}

    def used(self, modules: Iterable[str]) -> frozenset[str]:
        """Return modules and all that they import within the package of each."""
        found: set[str] = set()
        left = list(modules)
        while left:
            name = left.pop()
            is_left_out = name in FETCHING or name.startswith(READING)
            if name in found or is_left_out or self._source(name) is None:
                continue
            found.add(name)
            left += self._next(name)
        self._remember()
        return frozenset(found)

    def _next(self, name: str) -> Iterator[str]:
        """Yield the modules that one uses, of its own package."""
        source = self._source(name)
        assert source is not None
        yield f"{name}_net"
        home = _home(name)
        for imported in source.imports:
            # a package of the program's components only collects what a spec may name
            is_collecting = home == COMPONENTS and self._is_package(imported)
            if (imported == home or imported.startswith(f"{home}.")) and not is_collecting:
                yield imported

    def _file(self, name: str) -> Path | None:
        if name not in self._files:
            self._files[name] = source_file(name)
        return self._files[name]

    def _is_package(self, name: str) -> bool:
        path = self._file(name)
        return path is not None and path.name == "__init__.py"

    def _source(self, name: str) -> Source | None:
        if name not in self._known:
            path = self._file(name)
            self._known[name] = None if path is None else self._read(path, name)
        return self._known[name]

    def _read(self, path: Path, name: str) -> Source | None:
        try:
            text = path.read_bytes()
        except OSError:
            return None
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        key = hashlib.sha256(package.encode() + b"\n" + text).hexdigest()
        if self._there is None:
            self._there = _remembered(self._path)
        if key not in self._there:
            if key not in _PARSED:
                _PARSED[key] = read_source(text, package)
            self._there[key] = _PARSED[key]
            self._is_new = True
        return self._there[key]

    def _remember(self) -> None:
        """Write what was parsed anew; a folder that cannot be written is no error."""
        if not self._is_new or self._there is None:
            return
        newest = list(self._there.items())[-MOST_REMEMBERED:]
        known = {key: [source.digest, source.imports] for key, source in newest}
        self._is_new = not remember(self._path, FORMAT, {"known": known})


def _remembered(path: Path) -> dict[str, Source]:
    known = recall(path, FORMAT).get("known", {})
    try:
        return {key: Source(str(one), tuple(two)) for key, (one, two) in known.items()}
    except (ValueError, TypeError, AttributeError):
        return {}


def source_file(name: str) -> Path | None:
    """Return the source file of a module, None without one; only its package may be imported."""
    top, *inner = name.split(".")
    module = sys.modules.get(top)
    roots = [Path(path) for path in getattr(module, "__path__", ())]
    if not inner and not roots:
        origin = getattr(module, "__file__", None)
        return Path(origin) if origin and origin.endswith(".py") else None
    for root in roots:
        base = root.joinpath(*inner)
        for path in (base / "__init__.py", base.with_name(f"{base.name}.py")):
            if path.is_file() and (inner or path.name == "__init__.py"):
                return path
    return None


def _home(name: str) -> str:
    """Return the package within which a module's imports are followed."""
    return COMPONENTS if name.startswith(f"{COMPONENTS}.") else name.partition(".")[0]


def own_modules() -> list[str]:
    """Return the names of all modules of the program's components and engine."""
    root = Path(runner.__file__).parent
    names = []
    for package in (COMPONENTS, ENGINE):
        home = root.joinpath(*package.split(".")[1:])
        for path in sorted(home.rglob("*.py")):
            inner = path.relative_to(root.parent).with_suffix("").parts
            names.append(".".join(inner[:-1] if inner[-1] == "__init__" else inner))
    return names


def modules_of(settings: BaseModel) -> frozenset[str]:
    """Return the modules that define the classes of the components in a run's settings."""
    names = {type(component).__module__ for component in components_of(settings)}
    others = ("runner.spec.", "runner.core.")
    return frozenset(name for name in names if not name.startswith(others))


def components_of(value: object) -> Iterator[BaseModel]:
    """Yield a component and all that its settings hold."""
    if isinstance(value, BaseModel):
        yield value
        for inner in value.__dict__.values():
            yield from components_of(inner)
    elif isinstance(value, tuple):
        for inner in value:
            yield from components_of(inner)


def recorded_code(sources: Sources, settings: Iterable[BaseModel]) -> Mapping[str, str]:
    """Return what is recorded of the code with an attempt: a digest by module.

    Args:
        sources: files as they are now.
        settings: of the runs to do, which may use components of other packages.
    """
    others = {name for one in settings for name in modules_of(one)}
    return sources.digests({*own_modules(), *sources.used(others)})
