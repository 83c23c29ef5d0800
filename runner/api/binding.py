"""Binding specs to their data: what only the data or a built model can tell.

Finds each data set, fingerprints it, splits it and builds each model on the meta device, so that a
missing folder, too few classes or a network that does not fit is an error with file:line:column
before any stage starts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from runner.api.workspace import LayoutCache, Workspace
from runner.components.component import canonical_settings, keyed_settings
from runner.components.data.dataset import ImageSource, MissingData
from runner.components.data.splitting import UnsplittableError, split_images
from runner.core.errors import Problem, SpecError, UsageError
from runner.core.keys import canonical_json, content_key
from runner.core.types import Run, Stage
from runner.lower.stages import make_run, naive_chain
from runner.lower.trajectory import pixels_key
from runner.spec.experiment import Experiment, ResolvedCell, load_experiment
from runner.spec.nodes import Node, find

PROVISIONAL = "provisional"


@dataclass(frozen=True)
class BoundCell:
    """A cell whose data is known.

    Attributes:
        parameters: of its model, or None when the data is not there.
        shape: channels, height, width of its images, or None.
        num_images: how many images are prepared, or None.
    """

    resolved: ResolvedCell
    experiment: Experiment
    run: Run
    source: ImageSource | None
    shape: tuple[int, int, int] | None = None
    parameters: int | None = None

    def chain(self, rerun: int) -> tuple[Stage, ...]:
        """Return the stages of the cell's run, with the bytes that they will take."""
        stages = naive_chain(self.run, self.resolved.settings, rerun)
        return tuple(replace(stage, num_bytes=self._num_bytes(stage)) for stage in stages)

    def _num_bytes(self, stage: Stage) -> int | None:
        if stage.kind == "prepare" and self.shape is not None and self.source is not None:
            channels, height, width = self.shape
            return len(self.source.names) * channels * height * width
        if stage.kind == "train":
            return None if self.parameters is None else 4 * self.parameters
        return 0


def load_experiments(
    specs: Iterable[str | Path], profile: str | None, sets: Sequence[str]
) -> list[Experiment]:
    """Return the experiments of several specs.

    Raises:
        SpecError: for any problem in one of them, or two that share a name or a table's name.
        UsageError: without specs.
    """
    paths = [Path(spec) for spec in specs]
    if not paths:
        raise UsageError("no spec is given, as in: runner run experiments/quickstart.yaml")
    problems: list[Problem] = []
    experiments: list[Experiment] = []
    for path in dict.fromkeys(paths):
        try:
            experiments.append(load_experiment(path, profile, sets))
        except SpecError as error:
            problems += error.problems
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
            problems.append(Problem(None, found, "a name of its own for each spec"))
        names[experiment.name] = experiment
        for table in experiment.tables:
            if table.name in tables and tables[table.name] is not experiment:
                other = tables[table.name].path
                found = f"the table '{table.name}' is also declared in {other}"
                problems.append(Problem(table.place, found, "a name of its own for each table"))
            tables[table.name] = experiment
    return problems


class Binder:
    """Binds cells; data sets and layouts that several cells share are looked at once."""

    def __init__(self, workspace: Workspace, provisional: bool = False) -> None:
        self._workspace = workspace
        self._provisional = provisional
        self._layouts = LayoutCache(workspace.folder)
        self._sources: dict[str, ImageSource | None] = {}
        self._checked: dict[str, tuple[tuple[int, int, int], int]] = {}
        self.missing: list[Problem] = []

    def bind(self, experiments: Iterable[Experiment]) -> list[BoundCell]:
        """Return all cells, bound.

        Raises:
            SpecError: with every problem found. Missing data is one, unless keys may be
                provisional; then it is in ``missing``.
        """
        cells: list[BoundCell] = []
        problems: list[Problem] = []
        for experiment in experiments:
            for resolved in experiment.cells:
                try:
                    cells.append(self._bind_cell(experiment, resolved))
                except SpecError as error:
                    problems += error.problems
        if problems:
            raise SpecError(problems)
        return cells

    def _bind_cell(self, experiment: Experiment, resolved: ResolvedCell) -> BoundCell:
        settings = resolved.settings
        source = self._source(experiment, resolved)
        if source is None:
            place = canonical_json(canonical_settings(settings.data))
            run = make_run(settings, f"{PROVISIONAL} {place}")
            return BoundCell(resolved, experiment, run, None)
        run = make_run(settings, source.fingerprint)
        shape, parameters = self._layout(resolved, source)
        return BoundCell(resolved, experiment, run, source, shape, parameters)

    def _source(self, experiment: Experiment, resolved: ResolvedCell) -> ImageSource | None:
        data = resolved.settings.data
        folder = str(experiment.path.resolve().parent)
        key = canonical_json([canonical_settings(data), folder])
        if key not in self._sources:
            try:
                self._sources[key] = data.build(self._workspace.data_places(experiment.path))
            except MissingData as error:
                problem = _missing(error, resolved)
                if not self._provisional:
                    raise SpecError([problem]) from None
                self.missing.append(problem)
                self._sources[key] = None
            except OSError as error:
                found = f"the data cannot be read: {error}"
                raise _problem(resolved, "data.path", found, "files that can be read") from None
        return self._sources[key]

    def _layout(
        self, resolved: ResolvedCell, source: ImageSource
    ) -> tuple[tuple[int, int, int], int]:
        """Return image shape and number of parameters; check data and model together, once."""
        settings = resolved.settings
        pixels = pixels_key(settings, source.fingerprint)
        key = content_key(
            "layout",
            {
                "pixels": pixels,
                "model": keyed_settings(settings.model),
                "splits": [
                    settings.data.validation,
                    settings.data.test_share(),
                    settings.data.split_seed,
                ],
                "batch": [settings.train.batch_size, settings.train.drop_last],
                "normalize": settings.data.normalization(),
            },
        )
        if key in self._checked:
            return self._checked[key]
        known = self._layouts.get(key)
        if known is None:
            _check_labels(resolved, source)
            _check_split(resolved, source)
            shape = _peek(resolved, source)
            known = [shape, _check_network(resolved, source, shape)]
            self._layouts.put(key, known)
        channels, height, width = known[0]
        self._checked[key] = ((channels, height, width), int(known[1]))
        return self._checked[key]


def _problem(resolved: ResolvedCell, path: str, found: str, allowed: str = "") -> SpecError:
    return SpecError([Problem(_place(resolved.tree, path).place, found, allowed)])


def _place(tree: Node, path: str) -> Node:
    steps = path.split(".")
    for end in range(len(steps), 0, -1):
        node = find(tree, steps[:end])
        if node is not None and node.place is not None:
            return node
    return tree


def _missing(error: MissingData, resolved: ResolvedCell) -> Problem:
    path = "data.path" if find(resolved.tree, ["data", "path"]) else "data.dataset"
    looked = ", ".join(str(place) for place in error.looked)
    found = f"missing data set {resolved.settings.data.dataset}: {error.what}"
    found += f"\n    looked for: {looked}" if looked else ""
    return Problem(_place(resolved.tree, path).place, found, error.how_to_get)


def _check_labels(resolved: ResolvedCell, source: ImageSource) -> None:
    classes, labels = resolved.settings.model.classes, len(source.classes)
    if classes is not None and classes < labels:
        found = f"model.classes is {classes}, but the data has {labels} labels"
        raise _problem(resolved, "model.classes", found, f"at least {labels}, or leave it out")


def _check_split(resolved: ResolvedCell, source: ImageSource) -> None:
    settings, data = resolved.settings, resolved.settings.data
    try:
        splits = split_images(
            source.labels,
            source.classes,
            source.splits,
            data.validation,
            data.test_share() or 0.0,
            data.split_seed,
        )
    except UnsplittableError as error:
        path = "data.test" if find(resolved.tree, ["data", "test"]) else "data.validation"
        allowed = "more images, or a fraction of 0 for data.test or data.validation"
        raise _problem(resolved, path, str(error), allowed) from None
    if settings.evaluate.test != "never" and not splits["test"]:
        found = (
            f"test images are wanted (evaluate.test: {settings.evaluate.test}), but there are none"
        )
        raise _problem(resolved, "data", found, "evaluate.test: never")
    if settings.train.drop_last and settings.train.batch_size > len(splits["train"]):
        found = (
            f"train.batch_size is {settings.train.batch_size}, but there are only"
            f" {len(splits['train'])} training images, and an incomplete batch is dropped"
        )
        raise _problem(resolved, "train.batch_size", found, "a smaller batch, or drop_last: false")


def _peek(resolved: ResolvedCell, source: ImageSource) -> tuple[int, int, int]:
    """Return the shape of the first image that can be decoded, after preprocessing.

    Raises:
        SpecError: when it cannot be preprocessed as the spec says.
        UsageError: when the first hundred images cannot be decoded.
    """
    from PIL import Image

    from runner.engine.prepare import transform

    for index in range(min(100, len(source.names))):
        try:
            image = source.read(index)
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
            continue
        try:
            height, width, channels = transform(image, resolved.settings.data).shape
        except ValueError as error:
            raise _problem(resolved, "data.crop", f"{source.names[index]}: {error}") from None
        return channels, height, width
    raise UsageError(f"none of the first images under {source.root} can be decoded")


def _check_network(resolved: ResolvedCell, source: ImageSource, shape: tuple[int, int, int]) -> int:
    from runner.engine.network import network_parameters

    try:
        return network_parameters(resolved.settings, shape, len(source.classes))
    except (ValueError, RuntimeError) as error:
        allowed = "fewer blocks, or larger images (data.resize)"
        raise _problem(
            resolved, "model", f"the model does not fit the data: {error}", allowed
        ) from None
