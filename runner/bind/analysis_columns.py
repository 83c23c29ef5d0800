"""Checks columns of analyses: a class, an image or a layer that is nowhere shows nothing.

Owns which names an analysis can record; that a dimension is known is checked with the spec.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from runner.bind.bound_cell import BoundCell
from runner.components.analyses.analysis import AnalysisSettings, Named
from runner.components.data.dataset import DatasetSettings, ImageSource
from runner.components.data.splitting import UnsplittableError
from runner.components.models.classifier import output_names
from runner.core.errors import Problem, nearest
from runner.spec.experiment import Experiment
from runner.spec.tables.columns import AnalysisSource, Column

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
    for mine in of_experiments.values():
        columns = list(_columns(mine[0].experiment))
        if columns and all(cell.source is not None for cell in mine):
            for column, source in columns:
                yield from _problems(column, source, mine)


def _columns(experiment: Experiment) -> Iterator[tuple[Column, AnalysisSource]]:
    for table in experiment.tables:
        for column in table.columns:
            if column.analysis is not None:
                yield column, column.analysis


def _problems(
    column: Column, shown: AnalysisSource, cells: Iterable[BoundCell]
) -> Iterator[Problem]:
    declared = next(iter(cells)).experiment.analyses[shown.name]
    for dimension, wanted in shown.where:
        kind = declared.settings.NAMES.get(dimension)
        if kind is None:
            continue
        known = _layers(cells) if kind == "layer" else _in_data(kind, declared.settings, cells)
        if wanted in known or not known:
            continue
        found = f"column {column.title} shows {shown.name} where {dimension} is {wanted!r},"
        near = nearest(str(wanted), list(known)) if len(known) <= MOST_COMPARED else ""
        position = shown.positions.get(dimension) or column.position
        some = ", ".join([*known][:SHOWN_NAMES]) + (", …" if len(known) > SHOWN_NAMES else "")
        yield Problem(position, f"{found} which it is nowhere", some, suggestion=near)


def _layers(cells: Iterable[BoundCell]) -> dict[str, None]:
    """Return the names of the layers of all networks; nothing where one cannot be built."""
    from runner.engine.analyses.sizes import layer_names

    known: dict[str, None] = {}
    seen: set[Any] = set()
    for cell in cells:
        assert cell.source is not None, "cells without data are not looked at"
        if cell.bound_model is None:
            return {}
        alike = (cell.resolved.settings.model, cell.bound_model.shape, len(cell.source.classes))
        if alike not in seen:
            seen.add(alike)
            known |= dict.fromkeys(layer_names(*alike))
    return known


def _in_data(
    kind: Named, analysis: AnalysisSettings, cells: Iterable[BoundCell]
) -> dict[str, None]:
    """Return the names of classes or images at which an analysis of any cell may have values."""
    known: dict[str, None] = {}
    seen: set[Any] = set()
    for cell in cells:
        assert cell.source is not None, "cells without data are not looked at"
        settings = cell.resolved.settings
        alike = (cell.source.fingerprint, settings.data, settings.model.classes)
        if alike not in seen:
            seen.add(alike)
            outputs = settings.model.classes or len(cell.source.classes)
            known |= dict.fromkeys(_names(kind, analysis, cell.source, settings.data, outputs))
    return known


def _names(
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
        inside = data.split(source.labels, source.classes, source.splits)[split]
    except UnsplittableError:  # told of the data itself
        return source.names
    chosen = analysis.chosen(len(inside))
    numbers = inside if chosen is None else [inside[place] for place in chosen]
    return [source.names[number] for number in numbers]
