"""What the tables of specs ask for beyond what runs record: evaluations of the weights they keep.

What is asked for is no part of a run: its keys do not know it, and it is complete without.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property

from runner.bind.bound_cell import BoundCell
from runner.bind.measure_checks import metrics_in, num_classes
from runner.components.measures import OWN_PREFIX, measure_of, metric_parts
from runner.core.reader import KeptWeights
from runner.core.records import RunStatus
from runner.core.stages import Evaluate, Stage, Train
from runner.lower.after_training import leaves_logits, measurement, own_measurement
from runner.lower.stages import Sizes
from runner.spec.experiment import Experiment
from runner.spec.metrics import Metrics
from runner.spec.tables.measured import weights_for_metric
from runner.store.database import Database
from runner.store.measurements import FinishedRun, finished_runs

Asked = dict[tuple[str, KeptWeights], set[str]]
"""Names of measures by split and weights."""


def measurements(
    cells: Sequence[BoundCell],
    chains: Mapping[str, tuple[Stage, ...]],
    database: Database | None,
    reruns: Mapping[str, int],
    finished: Mapping[str, RunStatus],
) -> dict[str, tuple[Evaluate, ...]]:
    """Return the evaluations that tables ask for and no run has, by the key of the run.

    Args:
        cells: those whose runs are wanted.
        chains: the naive stages of each run.
        database: what is recorded, or None when there is no database yet.
        reruns: which repetition of each run is wanted.
        finished: how runs ended that have a result; only what is done has weights.
    """
    asked = _asked(cells)
    own = {each.key: each for cell in cells for each in cell.experiment.metrics.values()}
    cell_of = {cell.run.run_key: cell for cell in cells}
    wanted = {run: reruns[run] for run in asked if finished.get(run) == "done"}
    done = finished_runs(database, wanted) if wanted and database is not None else {}
    found: dict[str, tuple[Evaluate, ...]] = {}
    for run, measures in asked.items():
        if run in finished and run not in done:
            continue
        missing = _missing(chains[run], measures, done.get(run), cell_of[run].sizes)
        if stages := tuple(_of_own_code(each, own) for each in missing):
            found[run] = stages
    return found


def _asked(cells: Iterable[BoundCell]) -> dict[str, Asked]:
    """Return what tables ask for of kept weights, by the key of the run."""
    columns: dict[int, _Columns] = {}
    asked: dict[str, Asked] = {}
    for cell in cells:
        mine = columns.setdefault(id(cell.experiment), _Columns(cell.experiment))
        classes = num_classes(cell)
        for metric, at in mine.metrics:
            weights = weights_for_metric(metric, at, cell.resolved.settings)
            if weights is None or (classes or 0) < measure_of(metric).least_classes:
                continue
            split, name = metric_parts(metric)
            asked.setdefault(cell.run.run_key, {}).setdefault((split, weights), set()).add(name)
    return asked


class _Columns:
    """The columns of an experiment, as far as runs may not record what they show."""

    def __init__(self, experiment: Experiment) -> None:
        self._experiment = experiment

    @cached_property
    def metrics(self) -> Sequence[tuple[str, str | int]]:
        """Metrics that are not standard, each with where it is shown."""
        return list(
            dict.fromkeys(
                (metric, column.at)
                for table in self._experiment.tables
                for column in table.columns
                for metric in metrics_in(column)
                if not measure_of(metric).is_standard
            )
        )


def _apart(names: set[str]) -> Iterator[Sequence[str]]:
    """Yield names of what is measured in one evaluation: each own metric has one of its own."""
    own = sorted(name for name in names if name.startswith(OWN_PREFIX))
    if ours := sorted(names.difference(own)):
        yield ours
    for name in own:
        yield [name]


def _of_own_code(stage: Evaluate, own: Metrics) -> Evaluate:
    """Return an evaluation with the own metric that it is of, if it is."""
    (name, *_) = stage.measures
    if name not in own:
        return stage
    return own_measurement(stage, own[name].settings, own[name].name)


def _missing(
    chain: Sequence[Stage], asked: Asked, run: FinishedRun | None, sizes: Sizes
) -> Iterator[Evaluate]:
    """Yield the evaluations of what a run lacks; all that is asked for of one without a result."""
    train = next(stage for stage in chain if isinstance(stage, Train))
    groups = [(*at, group) for at, names in asked.items() for group in _apart(names)]
    for split, weights, names in groups:
        if run is None:
            left_by = [each.key for each in chain if leaves_logits(each, split, weights)]
            yield measurement(train, split, weights, names, left_by=left_by, sizes=sizes)
            continue
        epoch = run.epochs[weights]
        if lacking := [each for each in names if (split, each, epoch) not in run.evaluated]:
            yield measurement(train, split, weights, lacking, epoch, sizes=sizes)
