"""A data set of the user's own: a class in a Python file, map-style as those of PyTorch."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from runner.components.component import PATH_FIELD, canonical_settings
from runner.components.data.dataset import DataAccess, FractionDataset, ImageSource
from runner.components.data.finding import MissingData, find_any
from runner.components.data.own_items import OwnItems
from runner.components.data.own_memory import OwnMemory
from runner.components.data.own_source import own_source, read_all
from runner.components.own.component import OwnComponent
from runner.core.text import show_seconds

HOW_TO_GET = (
    "give a file or folder, absolute or relative to --data (RUNNER_DATA), ./data, the current"
    " folder or the spec's folder"
)


class OwnData(OwnComponent, FractionDataset):
    """A class with `__len__` and `__getitem__`, which gives (image, label), in a Python file.

    An image is a Pillow image, or uint8 (height, width) or (height, width, 3); a label is a whole
    number, or the name of a class. `classes`, `splits` and `groups` are optional, as attributes or
    methods. The parameters of `__init__` are settings, and those that are `Path` are looked for as
    the paths of other data sets are.
    """

    TAG: ClassVar[str] = "dataset"
    IN_KEYS: ClassVar[bool] = False
    PATHS: ClassVar[bool] = True

    code: str = Field(
        min_length=1,
        max_length=64,
        description="digest of the file and of the local modules that it imports; filled in",
        json_schema_extra=PATH_FIELD,
    )
    version: int | None = Field(
        None,
        ge=0,
        le=1 << 31,
        description="raised by hand where the code does what no digest can hold, as `exec`",
        json_schema_extra=PATH_FIELD,
    )

    def build(self, access: DataAccess) -> ImageSource:
        """Return the source, in the order of the class.

        Every image is looked at, unless what the class gave is remembered.

        Raises:
            MissingData: when a path is not found.
            InvalidData: when there are no training images of a class.
            OwnCodeFailed: when own code raises an error, or gives no images and labels.
        """
        paths = self._paths(access)
        began = time.perf_counter()
        items = OwnItems(str(self.own.name), lambda: self.make(**paths))
        memory = OwnMemory(access, items, self._code(), self._settings(paths), paths.values())
        given = None if self._unheld(items, memory) else memory.recall()
        if given is not None and not self._unheld(items, memory):
            return own_source(items, given, memory.forget)
        given = read_all(items, skip=self.on_corrupt == "skip")
        seconds = show_seconds(time.perf_counter() - began)
        source = own_source(items, given, memory.forget)
        why = self._unheld(items, memory)
        if not why:
            memory.remember(given)
            why = _of_others(memory)
        told = (f"'{items.name}': all {items.count} images were read in {seconds}{why}",)
        return replace(source, notes=(*(told if why else ()), *source.notes))

    def _code(self) -> Any:
        return [self.own.files.digest, self.version]

    def _settings(self, paths: Mapping[str, Path | None]) -> Any:
        values = canonical_settings(self)
        own = {name: values[name] for name in self.own.signature.settings}
        return {**own, **{name: str(path and path.resolve()) for name, path in paths.items()}}

    def _unheld(self, items: OwnItems, memory: OwnMemory) -> str:
        """Return why what the class gives may be another although nothing known has changed."""
        if not memory.files:
            return (
                ", as by each command; with `files`, the paths that the class reads, they are read"
                " when one of them or the code has changed"
            )
        again = ", and are by each command"
        if self.beyond_files is not None and self.version is None:
            what, position = self.beyond_files
            return (
                f"{again}: it uses `{what}` ({position}), whose effect cannot be read from the"
                " text; version: 1 says that nothing else changes what it gives"
            )
        if others := self.own.unnamed(items.opened, memory.files):
            return f"{again}: it reads {others[0]}, which `files` does not name"
        return ""

    def _paths(self, access: DataAccess) -> dict[str, Path | None]:
        """Return where the settings that are paths lead."""
        found: dict[str, Path | None] = {}
        for name, parameter in self.own.signature.settings.items():
            given: Any = getattr(self, name)
            if not parameter.is_path:
                continue
            try:
                found[name] = None if given is None else find_any(access, given, HOW_TO_GET)
            except MissingData as error:
                error.setting = name
                raise
        return found


def _of_others(memory: OwnMemory) -> str:
    if memory.differs is None:
        return ""
    return (
        f": at index {memory.differs} it gave another than before, although none of its `files` has"
        " changed; name all that it reads"
    )
