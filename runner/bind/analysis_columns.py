"""Checks columns of analyses: a class, an image or a layer that is nowhere shows nothing.

Owns which names an analysis can record; that a dimension is known is checked with the spec.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from runner.bind.bound_cell import BoundCell
from runner.components.analyses.analysis import AnalysisSettings, Named
from runner.components.analyses.sizes import NETWORK
from runner.components.data.dataset import DatasetSettings, ImageSource
from runner.components.data.splitting import Split, UnsplittableError
from runner.components.models import Model
from runner.components.models.classifier import output_names
from runner.core.errors import Problem, nearest
from runner.spec.analyses import DeclaredAnalysis
from runner.spec.experiment import Experiment
from runner.spec.tables.column import AnalysisSource, Column

SHOWN_NAMES = 24
MOST_COMPARED = 20_000
"""Names of images among which the nearest is looked for; of more it takes too long."""


def analysis_column_problems(cells: Sequence[BoundCell]) -> Iterator[Problem]:
    """Yield the columns whose `where` names a class, image or layer of which no cell has values.

    Where the data of a cell is not at hand, it may have any.
    """
    of_experiments: dict[int, list[BoundCell]] = {}
    for cell in cells:
        if cell.experiment.analyses:
            of_experiments.setdefault(id(cell.experiment), []).append(cell)
    known = _KnownNames()
    for mine in of_experiments.values():
        columns = list(_columns(mine[0].experiment))
        if columns and all(cell.source is not None for cell in mine):
            for column, source in columns:
                yield from _problems(column, source, mine, known)


def _columns(experiment: Experiment) -> Iterator[tuple[Column, AnalysisSource]]:
    for table in experiment.tables:
        for column in table.columns:
            if column.analysis is not None:
                yield column, column.analysis


def _problems(
    column: Column, shown: AnalysisSource, cells: Sequence[BoundCell], known: _KnownNames
) -> Iterator[Problem]:
    declared = cells[0].experiment.analyses[shown.name]
    for dimension, wanted in shown.where:
        kind = declared.settings.NAMES.get(dimension)
        if kind is None or known.is_anywhere(wanted, kind, declared, cells):
            continue
        names = known.everywhere(kind, declared, cells)
        if not names:
            continue
        found = f"column {column.title} shows {shown.name} where {dimension} is {wanted!r},"
        near = nearest(str(wanted), list(names)) if len(names) <= MOST_COMPARED else ""
        position = shown.positions.get(dimension) or column.position
        some = ", ".join([*names][:SHOWN_NAMES]) + (", …" if len(names) > SHOWN_NAMES else "")
        yield Problem(position, f"{found} which it is nowhere", some, suggestion=near)


class _KnownNames:
    """Names at which values may stand, looked up once for all columns and cells that are alike.

    Networks are built one after the other until one has the layer.
    """

    def __init__(self) -> None:
        self._layers: dict[Hashable, Mapping[str, None]] = {}
        self._in_data: dict[Hashable, Mapping[str, None]] = {}
        self._splits: dict[Hashable, Mapping[Split, Sequence[int]]] = {}

    def is_anywhere(
        self, wanted: Any, kind: Named, declared: DeclaredAnalysis, cells: Iterable[BoundCell]
    ) -> bool:
        """Return whether values of any cell may have a name."""
        if kind == "layer" and wanted == NETWORK:  # every network is one
            return True
        return any(wanted in self._of(cell, kind, declared) for cell in cells)

    def everywhere(
        self, kind: Named, declared: DeclaredAnalysis, cells: Sequence[BoundCell]
    ) -> dict[str, None]:
        """Return the names of all cells; nothing where the network of one cannot be built."""
        if kind == "layer" and any(cell.bound_model is None for cell in cells):
            return {}
        found: dict[str, None] = {}
        alike = {id(names): names for names in (self._of(each, kind, declared) for each in cells)}
        for names in alike.values():
            found |= names
        return found | ({NETWORK: None} if kind == "layer" else {})

    def _of(self, cell: BoundCell, kind: Named, declared: DeclaredAnalysis) -> Mapping[str, None]:
        """Return the names at which an analysis of a cell may have values."""
        source, settings, bound = cell.source, cell.resolved.settings, cell.bound_model
        assert source is not None, "cells without data are not looked at"
        if kind == "layer":
            return {} if bound is None else self._of_network(settings.model, bound.shape, source)
        outputs = settings.model.classes or len(source.classes)
        key = (id(declared), kind, source.fingerprint, settings.data, outputs)
        if key not in self._in_data:
            names = self._names(kind, declared.settings, source, settings.data, outputs)
            self._in_data[key] = dict.fromkeys(names)
        return self._in_data[key]

    def _of_network(
        self, model: Model, shape: tuple[int, int, int], source: ImageSource
    ) -> Mapping[str, None]:
        from runner.engine.analyses.sizes import layer_names

        alike = (model, shape, len(source.classes))
        if alike not in self._layers:
            self._layers[alike] = dict.fromkeys(layer_names(*alike))
        return self._layers[alike]

    def _names(
        self,
        kind: Named,
        analysis: AnalysisSettings,
        source: ImageSource,
        data: DatasetSettings,
        outputs: int,
    ) -> Sequence[str]:
        """Return the names of classes or images at which an analysis may have values."""
        if kind == "class":
            named = analysis.named_class()
            return output_names(source.classes, outputs) if named is None else (named,)
        if images := analysis.named_images():
            return images
        split = analysis.looks_at()
        if split is None or data.on_corrupt == "skip":  # which images are left only decoding tells
            return source.names
        try:
            inside = self._split(source, data)[split]
        except UnsplittableError:  # told of the data itself
            return source.names
        chosen = analysis.chosen(len(inside))
        numbers = inside if chosen is None else [inside[place] for place in chosen]
        return [source.names[number] for number in numbers]

    def _split(self, source: ImageSource, data: DatasetSettings) -> Mapping[Split, Sequence[int]]:
        key = (source.fingerprint, data)
        if key not in self._splits:
            given = (source.labels, source.classes, source.splits, source.groups)
            self._splits[key] = data.split(*given)
        return self._splits[key]
