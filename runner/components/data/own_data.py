"""A data set of the user's own: a class in a Python file, map-style as those of PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from runner.components.component import PATH_FIELD
from runner.components.data.dataset import DataAccess, FractionDataset, ImageSource
from runner.components.data.finding import MissingData, find_any
from runner.components.data.own_items import OwnItems
from runner.components.data.own_source import own_source
from runner.components.own.component import OwnComponent

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
        """Return the source: every image is looked at, in the order of the class.

        Raises:
            MissingData: when a path is not found.
            InvalidData: when there are no training images of a class.
            OwnCodeFailed: when own code raises an error, or gives no images and labels.
        """
        items = OwnItems(str(self.own.name), self.make(**self._paths(access)))
        return own_source(items, skip=self.on_corrupt == "skip")

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
