"""Own code, imported: the bytes that were read and hashed are what is run, and nothing else.

Local modules are found among these bytes, also where an installed package has their name. They are
no part of ``sys.path``, so that two versions of a file can be used in one process.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from runner.components.own.local_files import LocalFiles
from runner.components.own.opened_files import opened_files
from runner.components.own.problems import OwnCodeFailed

PREFIX = "own_code_of_a_run"
"""The package within which own modules are known to the process."""


class OwnModules:
    """A file and its local modules, each run once.

    Attributes:
        files: their bytes.
        opened: files that were seen to be read while they were imported or asked, by whom ever.
        named: files that were said to be read, by whom ever.
    """

    def __init__(self, files: LocalFiles) -> None:
        """Remember the files; nothing is run yet."""
        self.files = files
        self.opened: set[str] = set()
        self.named: set[Path] = set()
        self._loaded: dict[str, ModuleType] = {}

    def attribute(self, name: str) -> Any:
        """Return a top-level name of the file.

        Raises:
            OwnCodeFailed: when importing it raises an error, or it has no such name.
        """
        try:
            with opened_files(self.opened):
                return getattr(self._load(self.files.main), name)
        except (Exception, SystemExit) as error:
            raise failed(f"{self.files.file.shown} cannot be imported", error) from error

    def _load(self, name: str) -> ModuleType:
        """Return a module, after the packages that it lies in."""
        if name in self._loaded:
            return self._loaded[name]
        above, _, last = name.rpartition(".")
        parent = self._load(above) if above else None
        known = f"{PREFIX}.{self.files.digest}.{name}"
        module = self._loaded[name] = ModuleType(known)
        file = self.files.modules.get(name)
        sys.modules[known] = module  # dataclasses look their module up there
        if file is not None:
            module.__file__ = str(file.path)
            module.__dict__["__builtins__"] = {
                **vars(builtins),
                "__import__": _Importer(self, file.package),
            }
            try:
                exec(compile(file.text, str(file.path), "exec", dont_inherit=True), vars(module))
            except BaseException:
                del self._loaded[name], sys.modules[known]
                raise
        if parent is not None:
            setattr(parent, last, module)
        return module

    def is_local(self, name: str) -> bool:
        """Return whether a module is one of the files, or a folder of them."""
        inside = f"{name}."
        return name in self.files.modules or any(
            each.startswith(inside) for each in self.files.modules
        )

    def imported(self, name: str, names: Sequence[str]) -> ModuleType:
        """Return what ``import name``, or ``from name import names``, gives."""
        module = self._load(name)
        if not names:
            return self._load(name.partition(".")[0])
        for each in names:
            if not hasattr(module, each) and self.is_local(f"{name}.{each}"):
                self._load(f"{name}.{each}")
        return module


class _Importer:
    """``__import__`` of a module of own code."""

    def __init__(self, modules: OwnModules, package: str) -> None:
        self._modules, self._package = modules, package

    def __call__(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        absolute = name
        if level:
            parts = self._package.split(".") if self._package else []
            if level > len(parts):
                raise ImportError(f"no package lies {level} levels above")
            base = parts[: len(parts) - level + 1]
            absolute = ".".join([*base, name] if name else base)
        if self._modules.is_local(absolute):
            return self._modules.imported(absolute, fromlist or ())
        if level:
            raise ModuleNotFoundError(f"there is no module {absolute} beside it")
        return builtins.__import__(name, globals, locals, fromlist or (), 0)


def _lines(error: BaseException) -> Iterator[str]:
    """Yield the lines of own code that an error went through, as file:line."""
    trace = error.__traceback__
    while trace is not None:
        if str(trace.tb_frame.f_globals.get("__name__", "")).startswith(f"{PREFIX}."):
            yield f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
        trace = trace.tb_next


def is_of_own_code(error: BaseException) -> bool:
    """Return whether an error was raised in own code, or in what it called."""
    return any(True for _ in _lines(error))


def failed(what: str, error: BaseException) -> OwnCodeFailed:
    """Return the error of own code that raised another, with the line that did."""
    where = "".join(f"{line}: " for line in list(_lines(error))[-1:])
    said = str(error).strip() or "no message"
    if isinstance(error, SystemExit):
        said = "it ended the process"
    return OwnCodeFailed(f"{what}: {where}{type(error).__name__}: {said}")
