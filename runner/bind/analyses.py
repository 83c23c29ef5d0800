"""The analyses that specs ask for, as stages of the runs that are wanted.

They are no part of a run: its keys do not know them, and a finished run stays finished.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence

from runner.artifacts.memory import LayoutCache
from runner.bind.bound_cell import BoundCell
from runner.components.analyses import typed_analysis, with_weights
from runner.components.augmentations.augmentation import UnsuitableSize
from runner.components.component import keyed_settings
from runner.components.data.dataset import DatasetSettings, ImageSource
from runner.components.data.splitting import Split, UnsplittableError
from runner.core.errors import Problem, nearest
from runner.core.keys import content_key
from runner.core.plan import Plan
from runner.core.records import RunStatus
from runner.core.stages import Analyse, Stage
from runner.lower.after_training import analyse
from runner.spec.analyses import DeclaredAnalysis, kept_weights
from runner.store.analyses import WantedAnalysis, imported_stages
from runner.store.database import Database
from runner.store.measurements import finished_runs

SHOWN_NAMES = 24
MOST_COMPARED = 20_000
"""Names of images among which the nearest is looked for; of more it takes too long."""


def analyses(
    cells: Iterable[BoundCell],
    chains: Mapping[str, tuple[Stage, ...]],
    database: Database | None,
    reruns: Mapping[str, int],
    finished: Mapping[str, RunStatus],
) -> dict[str, tuple[Analyse, ...]]:
    """Return the analyses that specs ask for, by key of the run.

    Args:
        cells: those whose runs are wanted.
        chains: the naive stages of each run.
        database: what is recorded, or None when there is no database yet.
        reruns: which repetition of each run is wanted.
        finished: how runs ended that have a result; only what is done has weights.
    """
    asked = [cell for cell in cells if cell.experiment.analyses]
    wanted = {
        cell.run.run_key: reruns[cell.run.run_key]
        for cell in asked
        if finished.get(cell.run.run_key) == "done"
    }
    done = finished_runs(database, wanted) if wanted and database is not None else {}
    found: dict[str, dict[str, Analyse]] = {}
    for cell in asked:
        run = cell.run.run_key
        if run in finished and run not in done:
            continue
        for declared in cell.experiment.analyses.values():
            weights = kept_weights(declared.settings, cell.resolved.settings)
            if weights is not None:
                number = done[run].epochs[weights] if run in done else None
                asked_for = (declared.settings, weights, number, declared.name)
                stage = analyse(chains[run], *asked_for, *_images_of(cell), cell.sizes)
                found.setdefault(run, {}).setdefault(stage.key, stage)
    keys = {key for stages in found.values() for key in stages}
    imported = imported_stages(database, keys) if database is not None and keys else set()
    return {
        run: tuple(stage for key, stage in stages.items() if key not in imported)
        for run, stages in found.items()
        if stages.keys() - imported
    }


def _images_of(cell: BoundCell) -> tuple[tuple[int, int, int] | None, int]:
    """Return shape and number of classes of a cell's images, as far as they are known."""
    if cell.bound_model is None or cell.source is None:
        return None, 0
    return cell.bound_model.shape, len(cell.source.classes)


def wanted_analyses(
    cells: Iterable[BoundCell], plan: Plan, reruns: Mapping[str, int]
) -> list[WantedAnalysis]:
    """Return the analyses of a naive plan as they are recorded, each under the key of its settings.

    Args:
        cells: whose specs ask for them.
        plan: every wanted run by itself.
        reruns: which repetition of each run is wanted.
    """
    stages = {stage.key: stage for stage in plan.stages if isinstance(stage, Analyse)}
    found: dict[WantedAnalysis, None] = {}
    for cell in cells:
        run = cell.run.run_key
        mine = [stages[key] for key in plan.analyses.get(run, ())]
        for declared in cell.experiment.analyses.values() if mine else ():
            weights = kept_weights(declared.settings, cell.resolved.settings)
            for stage in mine:
                made = typed_analysis(stage.analysis)
                if weights is not None and made == with_weights(declared.settings, weights):
                    wanted = WantedAnalysis(run, reruns[run], declared.key, stage.name, stage.key)
                    found[wanted] = None
    return list(found)


def analysis_problems(cells: Sequence[BoundCell], known: LayoutCache) -> Iterator[Problem]:
    """Yield the analyses that the images or the network of a cell do not suit.

    What is the same for several cells is looked at once: a grid has many, on the same images.

    Args:
        cells: of all experiments.
        known: remembers which analyses suit which networks: to find out needs torch, whose import
            takes longer than all else of a plan.
    """
    looked: set[Hashable] = set()
    splits = _Splits()

    def is_new(*what: Hashable) -> bool:
        count = len(looked)
        looked.add(what)
        return len(looked) > count

    for cell in cells:
        model, source = cell.bound_model, cell.source
        for declared in cell.experiment.analyses.values():
            one = id(declared)  # of one spec, with its positions
            if model is not None and is_new(one, model.shape):
                yield from _unsuitable_size(declared, model.shape)
            data = cell.resolved.settings.data
            if source is not None and is_new(one, source.fingerprint, data):
                yield from _no_images(cell, declared, source, splits)
                yield from _unknown_names(declared, source)
            if model is not None and source is not None:
                network, classes = cell.resolved.settings.model, len(source.classes)
                if is_new(declared.key, network, model.shape, classes):
                    of_network = [declared.key, keyed_settings(network), model.shape, classes]
                    key = content_key("suits", of_network)
                    if known.get(key) is None:
                        problems = list(_unsuitable(cell, declared, model.shape, classes))
                        if not problems:
                            known.put(key, True)
                        yield from problems


class _Splits:
    """How many images each split has, by the images and how they are split."""

    def __init__(self) -> None:
        self._sizes: dict[Hashable, Mapping[Split, int]] = {}

    def sizes(self, source: ImageSource, data: DatasetSettings) -> Mapping[Split, int]:
        """Return the sizes; nothing where the images cannot be split."""
        key = (source.fingerprint, data)
        if key not in self._sizes:
            try:
                splits = data.split(source.labels, source.classes, source.splits, source.groups)
            except UnsplittableError:  # told of the data itself
                splits = {}
            self._sizes[key] = {name: len(images) for name, images in splits.items()}
        return self._sizes[key]


def _unsuitable(
    cell: BoundCell, declared: DeclaredAnalysis, shape: tuple[int, int, int], classes: int
) -> Iterator[Problem]:
    """Yield the problem of an analysis that says nothing of the network of a cell."""
    from runner.engine.analyses import ANALYSES
    from runner.engine.analyses.suitable import UnsuitableNetwork, check_network

    if ANALYSES[type(declared.settings)].check is None:
        return
    settings = cell.resolved.settings
    try:
        check_network(declared.settings, settings, shape, classes)
    except UnsuitableNetwork as error:
        found = f"analysis {declared.name} of {settings.model.name}: {error}"
        yield Problem(
            declared.position(error.setting),
            found,
            _shown(error.layers),
            suggestion=nearest(error.layer, error.layers) if error.layer else "",
        )


def _unknown_names(declared: DeclaredAnalysis, source: ImageSource) -> Iterator[Problem]:
    """Yield the images and the class that an analysis names and the data has not."""
    wanted = declared.settings.named_class()
    if wanted is not None and wanted not in source.classes:
        found = f"analysis {declared.name}: no class is called {wanted!r}"
        yield Problem(
            declared.position("target"),
            found,
            _shown(source.classes),
            suggestion=nearest(wanted, source.classes),
        )
    named = declared.settings.named_images()
    known = set(source.names) if named else set()
    for number, name in enumerate(named):
        if name not in known:
            found = f"analysis {declared.name}: no image is called {name!r}"
            near = nearest(name, source.names) if len(known) <= MOST_COMPARED else ""
            position = declared.position(f"images.{number}")
            yield Problem(position, found, suggestion=near)


def _shown(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN_NAMES]) + (", …" if len(names) > SHOWN_NAMES else "")


def _unsuitable_size(declared: DeclaredAnalysis, shape: tuple[int, int, int]) -> Iterator[Problem]:
    try:
        declared.settings.check_size(shape[1:])
    except UnsuitableSize as unsuitable:
        found = f"analysis {declared.name}: {unsuitable}"
        yield Problem(declared.position(unsuitable.setting), found, unsuitable.allowed)


def _no_images(
    cell: BoundCell, declared: DeclaredAnalysis, source: ImageSource, splits: _Splits
) -> Iterator[Problem]:
    split, fewest = declared.settings.looks_at(), declared.settings.FEWEST
    if split is None:
        return
    count = splits.sizes(source, cell.resolved.settings.data).get(split, fewest)
    if count < fewest:
        what = f"needs {fewest}" if fewest > 1 else "looks at"
        there = f"there are {count}" if count else "there are none"
        found = f"analysis {declared.name} {what} {split} images, but {there}"
        yield Problem(declared.position("split"), found, "another split")
