"""The analyses that specs ask for, as stages of the runs that are wanted.

They are no part of a run: its keys do not know them, and a finished run stays finished.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from runner.bind.bound_cell import BoundCell
from runner.components.analyses import typed_analysis, with_weights
from runner.components.augmentations.augmentation import UnsuitableSize
from runner.components.component import canonical_settings
from runner.components.data.splitting import UnsplittableError
from runner.core.errors import Problem, nearest
from runner.core.keys import canonical_json
from runner.core.plan import Plan
from runner.core.records import RunStatus
from runner.core.stages import Analyse, Stage, Train
from runner.lower.stages import analyse
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
    """Return the analyses that specs ask for, by the key of the run.

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
        train = next(stage for stage in chains[run] if isinstance(stage, Train))
        for declared in cell.experiment.analyses.values():
            weights = kept_weights(declared.settings, cell.resolved.settings)
            if weights is not None:
                number = done[run].epochs[weights] if run in done else None
                images = _images_of(cell)
                stage = analyse(train, declared.settings, weights, number, declared.name, *images)
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


def analysis_problems(cells: Sequence[BoundCell]) -> Iterator[Problem]:
    """Yield the analyses that the images or the network of a cell do not suit."""
    networks: set[tuple[str, str]] = set()
    for cell in cells:
        for declared in cell.experiment.analyses.values():
            yield from _problems(cell, declared)
            yield from _unknown_names(cell, declared)
            if cell.bound_model is not None and cell.source is not None:
                model = canonical_json(canonical_settings(cell.resolved.settings.model))
                shape, classes = cell.bound_model.shape, len(cell.source.classes)
                alike = (declared.key, f"{model} {shape} {classes}")
                if alike not in networks:
                    networks.add(alike)
                    yield from _unsuitable(cell, declared, shape, classes)


def _unsuitable(
    cell: BoundCell, declared: DeclaredAnalysis, shape: tuple[int, int, int], classes: int
) -> Iterator[Problem]:
    """Yield the problem of an analysis that says nothing of the network of a cell."""
    from runner.engine.analyses.suitable import CHECKS, UnsuitableNetwork, check_network

    if type(declared.settings) not in CHECKS:
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


def _unknown_names(cell: BoundCell, declared: DeclaredAnalysis) -> Iterator[Problem]:
    """Yield the images and the class that an analysis names and the data has not."""
    if cell.source is None:
        return
    wanted = declared.settings.named_class()
    if wanted is not None and wanted not in cell.source.classes:
        found = f"analysis {declared.name}: no class is called {wanted!r}"
        classes = cell.source.classes
        yield Problem(
            declared.position("target"),
            found,
            _shown(classes),
            suggestion=nearest(wanted, classes),
        )
    named = declared.settings.named_images()
    known = set(cell.source.names) if named else set()
    for number, name in enumerate(named):
        if name not in known:
            found = f"analysis {declared.name}: no image is called {name!r}"
            near = nearest(name, cell.source.names) if len(known) <= MOST_COMPARED else ""
            position = declared.position(f"images.{number}")
            yield Problem(position, found, suggestion=near)


def _shown(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN_NAMES]) + (", …" if len(names) > SHOWN_NAMES else "")


def _problems(cell: BoundCell, declared: DeclaredAnalysis) -> Iterator[Problem]:
    if cell.bound_model is not None:
        _, height, width = cell.bound_model.shape
        try:
            declared.settings.check_size((height, width))
        except UnsuitableSize as unsuitable:
            found = f"analysis {declared.name}: {unsuitable}"
            position = declared.position(unsuitable.setting)
            yield Problem(position, found, unsuitable.allowed)
    split, source = declared.settings.looks_at(), cell.source
    if source is not None and split is not None:
        data = cell.resolved.settings.data
        try:
            images = data.split(source.labels, source.classes, source.splits)[split]
        except UnsplittableError:  # told of the data itself
            return
        if not len(images):
            found = f"analysis {declared.name} looks at {split} images, but there are none"
            yield Problem(declared.position("split"), found, "another split")
