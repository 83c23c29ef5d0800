"""Binding specs to their data: what only the data or a built model can tell.

Finds each data set, fingerprints it, splits it and builds each model on the meta device, so that a
missing folder, too few classes or a network that does not fit is an error with file:line:column
before any stage starts.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from runner.artifacts.folder import layouts_file
from runner.artifacts.memory import LayoutCache
from runner.bind.analyses import analysis_problems
from runner.bind.analysis_columns import analysis_column_problems
from runner.bind.bound_cell import BoundCell
from runner.bind.data_checks import build_source, check_class_weights, missing_data
from runner.bind.measure_checks import measure_problems
from runner.bind.model_checks import PROVISIONAL, ModelChecker
from runner.bind.model_scaling import with_numbers
from runner.bind.own_metric_checks import own_metric_problems
from runner.bind.pretrained import MissingWeights, find_weights, how_to_pin, pinned
from runner.bind.timm_checks import size_notes
from runner.bind.workspace import Workspace
from runner.components.component import canonical_settings
from runner.components.data import Data
from runner.components.data.dataset import DatasetSettings, ImageSource
from runner.components.data.duplicates import (
    duplicates,
    in_several_splits,
    under_several_labels,
)
from runner.components.data.finding import MissingData
from runner.components.download import OnProgress
from runner.components.models.pretrained import weights_name
from runner.core.errors import Problem, SpecError
from runner.core.keys import canonical_json
from runner.core.text import printable
from runner.lower.stages import make_run
from runner.spec.cells import ResolvedCell
from runner.spec.experiment import Experiment


class Binder:
    """Binds cells; data sets and layouts that several cells share are looked at once.

    Attributes:
        missing: what is not there, where keys may be provisional.
        downloads: what `run` would fetch of it: bytes by the name of the file.
        notes: what a person should know of the data sets, each once.
    """

    def __init__(
        self,
        workspace: Workspace,
        provisional: bool = False,
        on_progress: OnProgress | None = None,
    ) -> None:
        """Remember where to look.

        Args:
            workspace: where things lie.
            provisional: missing data is not an error.
            on_progress: hears of downloads; None where nothing may be downloaded.
        """
        self._workspace = workspace
        self._provisional = provisional
        self._on_progress = on_progress
        self._layouts = LayoutCache(layouts_file(workspace.folder))
        self._models = ModelChecker(self._layouts)
        self._weights: dict[str, Path | None] = {}
        self._sources: dict[tuple[DatasetSettings, Path], ImageSource | None] = {}
        self._duplicates: dict[str, list[list[int]]] = {}
        self._split: set[tuple[str, DatasetSettings]] = set()
        self.missing: list[Problem] = []
        self.downloads: dict[str, int] = {}
        self.notes: list[str] = []

    def bind(self, experiments: Iterable[Experiment]) -> list[BoundCell]:
        """Return all cells, bound.

        Raises:
            SpecError: with every problem found. Missing data is one, unless keys may be
                provisional; then it is in ``missing``.
            DownloadFailed: when missing data cannot be fetched.
        """
        cells: list[BoundCell] = []
        problems: list[Problem] = []
        for experiment in experiments:
            for resolved in experiment.cells:
                try:
                    cells.append(self._bind_cell(experiment, resolved))
                except SpecError as error:
                    problems += error.problems
        problems += dict.fromkeys(measure_problems(cells))
        problems += dict.fromkeys(own_metric_problems(cells, self._layouts))
        problems += dict.fromkeys(analysis_problems(cells, self._layouts))
        problems += dict.fromkeys(analysis_column_problems(cells))
        if problems:
            raise SpecError(problems)
        return cells

    def scaled(self, resolved: ResolvedCell) -> ResolvedCell:
        """Return a cell with the numbers of `normalize: model`; see :func:`with_numbers`."""
        return with_numbers(resolved, self._layouts)

    def _bind_cell(self, experiment: Experiment, written: ResolvedCell) -> BoundCell:
        weights = self._weights_of(experiment, written)
        resolved = self._pinned(experiment, self.scaled(written), weights)
        settings = resolved.settings
        # what the cell says of its settings holds for the run only where nothing was put in
        cell = resolved.cell if resolved is written else None
        source = self.source(experiment, resolved)
        if source is None:
            settings_text = canonical_json(canonical_settings(settings.data))
            name = weights_name(settings.model)
            loaded = f"{PROVISIONAL} {name}" if name else ""
            run = make_run(settings, f"{PROVISIONAL} {settings_text}", loaded, cell)
            return BoundCell(resolved, experiment, run, None)
        check_class_weights(resolved, source)
        bound_model = self._models.check(resolved, source, weights)
        self._note_duplicates(source, settings.data)
        self._add_notes(size_notes(settings.model, bound_model.shape))
        run = make_run(settings, source.fingerprint, bound_model.weights, cell)
        return BoundCell(resolved, experiment, run, source, bound_model)

    def _pinned(
        self, experiment: Experiment, resolved: ResolvedCell, weights: Path | None
    ) -> ResolvedCell:
        access = self._workspace.data_access(experiment.path)
        bound = pinned(resolved, weights, access)
        if bound is not resolved:
            self._weights[weights_name(bound.settings.model)] = weights
            self._add_notes(how_to_pin(resolved, bound))
        return bound

    def _note_duplicates(self, source: ImageSource, data: Data) -> None:
        """Note images of equal content that are in several splits or have several labels."""
        where = source.root or data.dataset
        if source.fingerprint not in self._duplicates:
            found = self._duplicates[source.fingerprint] = duplicates(source.digests)
            self._add_notes(under_several_labels(found, source.labels, source.names), where)
        groups = self._duplicates[source.fingerprint]
        if not groups:
            return
        # a sample of the training images is no other split; of folds, the first with any is told
        whole = data.model_copy(update={"train_images": None})
        key, in_any_fold = (
            (source.fingerprint, each) for each in (whole, whole.model_copy(update={"fold": None}))
        )
        if key not in self._split and in_any_fold not in self._split:
            self._split.add(key)
            splits = whole.split(source.labels, source.classes, source.splits, source.groups)
            if notes := list(in_several_splits(groups, splits, source.names)):
                self._split.add(in_any_fold)
                self._add_notes(notes, where)

    def _add_notes(self, notes: Iterable[str], where: Path | str = "") -> None:
        told = [printable(f"{where}: {note}" if where else note) for note in notes]
        self.notes += [note for note in told if note not in self.notes]

    def weights(self) -> dict[str, Path]:
        """Return the files of pretrained weights of the bound cells, by `weights_name`."""
        return {name: path for name, path in self._weights.items() if path is not None}

    def _weights_of(self, experiment: Experiment, resolved: ResolvedCell) -> Path | None:
        name = weights_name(resolved.settings.model)
        if name and name not in self._weights:
            access = self._workspace.data_access(experiment.path)
            try:
                self._weights[name] = find_weights(resolved, access, self._on_progress)
            except MissingWeights as error:
                if not self._provisional:
                    raise SpecError([error.problem]) from None
                if error.name:
                    self.downloads[error.name] = error.num_bytes
                self.missing.append(error.problem)
                self._weights[name] = None
        return self._weights[name] if name else None

    def source(self, experiment: Experiment, resolved: ResolvedCell) -> ImageSource | None:
        """Return a cell's images, or None where keys may be provisional and they are not there.

        Raises:
            SpecError: when they are not there or cannot be read.
            DownloadFailed: when they cannot be fetched.
        """
        data = resolved.settings.data
        key = (data, experiment.path)
        if key not in self._sources:
            access = self._workspace.data_access(experiment.path, self._on_progress)
            try:
                source = self._sources[key] = build_source(resolved, access)
                self._add_notes(source.notes)
            except MissingData as error:
                if error.archive is not None:
                    self.downloads[error.archive.name] = error.archive.num_bytes
                problem = missing_data(error, resolved)
                if not self._provisional:
                    raise SpecError([problem]) from None
                self.missing.append(problem)
                self._sources[key] = None
        return self._sources[key]
