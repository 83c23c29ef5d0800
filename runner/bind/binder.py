"""Binding specs to their data: what only the data or a built model can tell.

Finds each data set, fingerprints it, splits it and builds each model on the meta device, so that a
missing folder, too few classes or a network that does not fit is an error with file:line:column
before any stage starts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from runner.artifacts.folder import layouts_file
from runner.artifacts.memory import LayoutCache
from runner.bind.measure_checks import measure_problems
from runner.bind.model_checks import PROVISIONAL, BoundModel, ModelChecker, problem_at, written_node
from runner.bind.pretrained import MissingWeights, find_weights, with_checksum
from runner.bind.workspace import Workspace, workspace
from runner.components.component import canonical_settings
from runner.components.data.dataset import (
    DatasetSettings,
    ImageSource,
    MissingData,
    UnknownClasses,
)
from runner.components.data.listing import SharedFolder
from runner.components.data.split_folders import SplitFolders
from runner.components.download import OnProgress
from runner.components.models.torchvision_model import weights_name
from runner.components.optimizers import numbers_per_weight
from runner.core.errors import Problem, SpecError, UsageError, nearest
from runner.core.keys import canonical_json
from runner.core.run import Cell, Run
from runner.core.stages import Stage
from runner.lower.stages import Sizes, make_run, naive_chain
from runner.spec.experiment import Experiment, ResolvedCell, load_experiment
from runner.spec.nodes import find

SHOWN_CLASSES = 24


@dataclass(frozen=True)
class BoundCell:
    """A cell whose data is known.

    Attributes:
        source: its images, or None when the data is not there.
        fitted: what its data and network give together, or None when the data is not there.
    """

    resolved: ResolvedCell
    experiment: Experiment
    run: Run
    source: ImageSource | None
    bound_model: BoundModel | None = None

    @property
    def cell(self) -> Cell:
        """The cell."""
        return self.resolved.cell

    def chain(self, rerun: int) -> tuple[Stage, ...]:
        """Return the stages of the cell's run, with the bytes that they will take."""
        prefix = None if self.bound_model is None else self.bound_model.prefix
        return naive_chain(self.run, self.resolved.settings, rerun, prefix, self._sizes())

    def _sizes(self) -> Sizes:
        if self.bound_model is None or self.source is None:
            return Sizes()
        weights = 4 * self.bound_model.parameters
        # a state holds the network, its best weights and what the optimizer keeps
        kept = 2 + numbers_per_weight(self.resolved.settings.train.optimizer)
        pixels = len(self.source.names) * math.prod(self.bound_model.shape)
        return Sizes(pixels=pixels, weights=weights, state=weights * kept)


def load_experiments(
    specs: Iterable[str | Path],
    profile: str | None,
    sets: Sequence[str],
    data: str | Path | None = None,
) -> list[Experiment]:
    """Return the experiments of several specs.

    Args:
        specs: spec files.
        profile: name of a profile.
        sets: ``setting=value`` options.
        data: folder in which files that an error tells of are looked for.

    Raises:
        SpecError: for any problem in one of them, or two that share a name or a table's name.
        UsageError: without specs.
    """
    paths = [Path(spec) for spec in specs]
    if not paths:
        raise UsageError("no spec is given", hint="as in: runner run experiments/quickstart.yaml")
    problems: list[Problem] = []
    experiments: list[Experiment] = []
    for path in dict.fromkeys(paths):
        try:
            experiments.append(load_experiment(path, profile, sets))
        except SpecError as error:
            places = partial(workspace(data=data).data_places, path)
            problems += [with_checksum(problem, places) for problem in error.problems]
    problems += _clashes(experiments)
    if problems:
        raise SpecError(problems)
    return experiments


def _clashes(experiments: Sequence[Experiment]) -> list[Problem]:
    problems: list[Problem] = []
    names: dict[str, Experiment] = {}
    tables: dict[str, Experiment] = {}
    for experiment in experiments:
        if experiment.name in names:
            other = names[experiment.name].path
            found = f"{experiment.path}: the name '{experiment.name}' is also that of {other}"
            problems.append(Problem(None, found, hint="give each spec a name of its own"))
        names[experiment.name] = experiment
        for table in experiment.tables:
            if table.name in tables and tables[table.name] is not experiment:
                other = tables[table.name].path
                found = f"the table '{table.name}' is also declared in {other}"
                hint = "give each table a name of its own"
                problems.append(Problem(table.position, found, hint=hint))
            tables[table.name] = experiment
    return problems


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
        """Take the places.

        Args:
            workspace: where things lie.
            provisional: missing data is not an error.
            on_progress: hears of downloads; None where nothing may be downloaded.
        """
        self._workspace = workspace
        self._provisional = provisional
        self._on_progress = on_progress
        self._fitter = ModelChecker(LayoutCache(layouts_file(workspace.folder)))
        self._weights: dict[str, Path | None] = {}
        self._sources: dict[tuple[DatasetSettings, Path], ImageSource | None] = {}
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
        if problems:
            raise SpecError(problems)
        return cells

    def _bind_cell(self, experiment: Experiment, resolved: ResolvedCell) -> BoundCell:
        settings = resolved.settings
        weights = self._weights_of(experiment, resolved)
        source = self.source(experiment, resolved)
        if source is None:
            place = canonical_json(canonical_settings(settings.data))
            name = weights_name(settings.model)
            loaded = f"{PROVISIONAL} {name}" if name else ""
            run = make_run(settings, f"{PROVISIONAL} {place}", loaded, resolved.cell)
            return BoundCell(resolved, experiment, run, None)
        bound_model = self._fitter.fit(resolved, source, weights)
        run = make_run(settings, source.fingerprint, bound_model.weights, resolved.cell)
        return BoundCell(resolved, experiment, run, source, bound_model)

    def weights(self) -> dict[str, Path]:
        """Return the files of pretrained weights of the bound cells, by `weights_name`."""
        return {name: path for name, path in self._weights.items() if path is not None}

    def _weights_of(self, experiment: Experiment, resolved: ResolvedCell) -> Path | None:
        name = weights_name(resolved.settings.model)
        if name and name not in self._weights:
            places = self._workspace.data_places(experiment.path)
            try:
                self._weights[name] = find_weights(resolved, places, self._on_progress)
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
            places = self._workspace.data_places(experiment.path, self._on_progress)
            try:
                source = self._sources[key] = data.build(places)
                self.notes += [note for note in source.notes if note not in self.notes]
            except MissingData as error:
                if error.archive is not None:
                    self.downloads[error.archive.name] = error.archive.num_bytes
                problem = _missing(error, resolved)
                if not self._provisional:
                    raise SpecError([problem]) from None
                self.missing.append(problem)
                self._sources[key] = None
            except UnknownClasses as error:
                raise _unknown_classes(error, resolved) from None
            except SplitFolders as error:
                raise problem_at(resolved, "data.path", str(error), hint=error.hint) from None
            except SharedFolder as error:
                hint = "give each class a folder of its own"
                raise problem_at(resolved, "data.path", str(error), hint=hint) from None
            except OSError as error:
                found = f"the data cannot be read: {error}"
                hint = "give the right to read its folders and files"
                raise problem_at(resolved, "data.path", found, hint=hint) from None
        return self._sources[key]


def _missing(error: MissingData, resolved: ResolvedCell) -> Problem:
    path = "data.path" if find(resolved.tree, ["data", "path"]) else "data.dataset"
    looked = ", ".join(str(place) for place in error.looked)
    found = f"missing data set {resolved.settings.data.dataset}: {error.what}"
    found += f"\n    looked for: {looked}" if looked else ""
    return Problem(written_node(resolved.tree, path).position, found, hint=error.how_to_get)


def _unknown_classes(error: UnknownClasses, resolved: ResolvedCell) -> SpecError:
    node = written_node(resolved.tree, "data.include")
    items = {item.value: item for item in node.value} if node.is_sequence else {}
    shown = ", ".join(error.classes[:SHOWN_CLASSES])
    shown += ", …" if len(error.classes) > SHOWN_CLASSES else ""
    return SpecError(
        Problem(
            items.get(name, node).position,
            f"data.include: no class is called {name!r}",
            shown,
            suggestion=nearest(name, error.classes),
        )
        for name in error.names
    )
