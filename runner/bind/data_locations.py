"""Where the images of bound cells were found, as values with which another process finds them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from runner.bind.bound_cell import BoundCell
from runner.bind.workspace import Workspace
from runner.components.component import canonical_settings
from runner.components.data.dataset import ImageSource
from runner.components.data.finding import MissingData
from runner.components.resolved import typed_data
from runner.core.errors import DataError
from runner.core.run import ResolvedSettings
from runner.lower.trajectory import pixels_key


@dataclass(frozen=True, slots=True)
class DataLocation:
    """Where the images of a bound cell were found; can be pickled.

    Attributes:
        settings: of the data set; own code is read anew where they are used.
        spec: file of the spec that asks for it.
        fingerprint: of what was found.
    """

    settings: ResolvedSettings
    spec: Path
    fingerprint: str

    def find(self, workspace: Workspace) -> ImageSource:
        """Return the images, found again.

        Raises:
            DataError: when they are gone, or not those that were found.
        """
        try:
            source = typed_data(self.settings).build(workspace.data_access(self.spec))
        except (MissingData, OSError, ValueError) as error:
            raise DataError(f"the data cannot be found again: {error}") from error
        if source.fingerprint != self.fingerprint:
            raise DataError(
                f"the data set {self.settings.json['dataset']} has changed since this run began;"
                " the same command looks at it anew"
            )
        return source


def data_locations(cells: Iterable[BoundCell]) -> dict[str, DataLocation]:
    """Return where the images of cells were found, by the keys of their pixels."""
    found: dict[str, DataLocation] = {}
    for cell in cells:
        if cell.source is not None:
            data, fingerprint = cell.resolved.settings.data, cell.source.fingerprint
            settings = ResolvedSettings(canonical_settings(data), data)
            found[pixels_key(data, fingerprint)] = DataLocation(
                settings, cell.experiment.path, fingerprint
            )
    return found


def image_sources(cells: Iterable[BoundCell]) -> dict[str, ImageSource]:
    """Return the images of cells by the keys of their pixels."""
    return {
        pixels_key(cell.resolved.settings.data, cell.source.fingerprint): cell.source
        for cell in cells
        if cell.source is not None
    }
