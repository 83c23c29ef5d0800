"""The verb `plan`: what a run would do, before anything is done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, astuple, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from runner.api.frames import Framed
from runner.bind.bound_cell import BoundCell
from runner.bind.bound_request import bind_request
from runner.bind.changed_code import NOTHING_CHANGED, ChangedCode, changed_code_of
from runner.bind.code_digests import Sources
from runner.bind.estimates import precision_gains, probed_seconds
from runner.bind.late_numerics import LateNumerics
from runner.bind.plan_runs import PlannedRuns, plan_runs
from runner.bind.request import Asked, Request, as_request
from runner.core.errors import Problem
from runner.core.gains import PrecisionGain
from runner.core.plan import Decision
from runner.core.stages import Stage, Train
from runner.planner.cost import Cost, plan_costs, predicted
from runner.planner.explain import (
    Branch,
    Saving,
    analysed,
    computed_logits,
    measured,
    savings,
    tree,
)
from runner.planner.longest import seconds_with
from runner.planner.together import Together, trained_together
from runner.planner.unshared import not_shared
from runner.spec.cell_names import run_name
from runner.store.database import Database
from runner.store.progress import latest_results, seconds_by_cost_key
from runner.store.reference import reference_statuses

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class PlannedStage:
    """A stage that is to be done.

    Attributes:
        stage: its key.
        seconds: estimated, None when never measured.
        runs: how many read it.
    """

    stage: str
    kind: str
    epochs: int
    seconds: float | None
    num_bytes: int | None
    runs: int


@dataclass(frozen=True, repr=False)
class Explained(Framed):
    """A plan in numbers.

    Attributes:
        runs: distinct wanted runs.
        done: of them, with a result (diverged included).
        imported: of those done, the ones whose result `run` would copy from the reference.
        failed: of them, failed before and not retried.
        wanted: cost of every run by itself.
        planned: cost of what is to do.
        missing: data sets that are not there; keys are then provisional.
        notes: what a person should know of the data and of how precisions are computed here.
        probed: whether seconds come from a probe.
        decisions: what the rules decided that a person may wonder about.
        downloads: bytes that `run` would fetch first, by the name of the file; 0 is unknown.
        names: of the runs, by key.
        stages: what is to be done, in its order.
        tree: the same, each stage under the one that it goes on from.
        measurements: metrics that tables ask for of finished runs, and of how many `run` would
            compute each from the weights that they keep.
        analyses: analyses to be made by their names in the spec, and of how many runs.
        logits: splits whose logits these compute, as none are kept, and of how many weights.
        savings: what each rule left out.
        together: which trainings are done together, and what they share.
        not_shared: why trainings that look alike share nothing.
        changed: runs with a result, of other code than today's.
        precisions: what trainings would gain from another precision, where a probe measured it.
        workers: how many carry it out.
        seconds: how long that takes, estimated; of what was never measured, as the mean of what
            was; None where nothing was.
    """

    cells: int
    runs: int
    done: int
    imported: int
    failed: int
    wanted: Cost
    planned: Cost
    device: str
    missing: tuple[Problem, ...]
    notes: tuple[str, ...]
    probed: bool
    decisions: tuple[Decision, ...]
    downloads: Mapping[str, int]
    names: Mapping[str, str]
    stages: tuple[PlannedStage, ...]
    tree: tuple[Branch, ...]
    savings: tuple[Saving, ...]
    together: tuple[Together, ...]
    not_shared: tuple[str, ...]
    measurements: Mapping[str, int]
    analyses: Mapping[str, int]
    logits: Mapping[str, int]
    changed: ChangedCode = NOTHING_CHANGED
    precisions: tuple[PrecisionGain, ...] = ()
    workers: int = 1
    seconds: float | None = None

    def frame(self) -> pd.DataFrame:
        """Return a row per stage that is to be done.

        Columns: stage (its key), kind, epochs, seconds (estimated), num_bytes, runs (that read it).
        """
        import pandas as pd

        columns = [field.name for field in fields(PlannedStage)]
        return pd.DataFrame([astuple(stage) for stage in self.stages], columns=columns)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        values = asdict(replace(self, stages=(), tree=(), names={}))
        del values["tree"], values["names"]
        values["taken"] = values.pop("imported")
        values["stages"] = list(_flat(self.tree, self.names, None))
        values["decisions"] = list(dict.fromkeys(decision.why for decision in self.decisions))
        values["missing"] = [str(problem) for problem in self.missing]
        values["to_do"] = self.runs - self.done - self.failed
        values["download_bytes"] = sum(self.downloads.values())
        return values


def _flat(
    branches: Iterable[Branch], names: Mapping[str, str], parent: str | None
) -> Iterator[dict[str, Any]]:
    """Yield one mapping per stage of a tree, parents first."""
    for branch in branches:
        stage = branch.stage
        last = stage.last_epoch if isinstance(stage, Train) else None
        ending = [{**asdict(end), "name": names[end.run]} for end in branch.runs]
        yield {
            "key": stage.key,
            "kind": stage.kind,
            "parent": parent,
            "first_epoch": last - stage.epochs + 1 if last and stage.epochs else None,
            "last_epoch": last,
            "seconds": branch.seconds,
            "num_bytes": stage.num_bytes,
            "runs": branch.through,
            "ending": ending,
        }
        yield from _flat(branch.children, names, stage.key)


def plan(asked: Asked, *, probe: bool = False, **options: Any) -> Explained:
    """Return what `run` would do now. Starts nothing, and makes no database.

    Args:
        asked: spec files, or a request.
        probe: time some images and steps where nothing was measured.
        options: as in :class:`runner.api.Request`.

    Raises:
        SpecError: with every problem found, but missing data.
    """
    return make_plan(as_request(asked, options), probe)[0]


def make_plan(request: Request, probe: bool = False) -> tuple[Explained, PlannedRuns]:
    """Return the plan of a request in numbers, and the plan itself."""
    numerics = LateNumerics(request)
    bound = bind_request(request, provisional=True)
    keys = {cell.run.run_key for cell in bound.wanted_cells}
    reference = reference_statuses(keys) if request.use_reference else {}
    with bound.workspace.open_existing() as database:
        planned = _with_seconds(plan_runs(bound, database, numerics, reference), database, numerics)
        results = {} if database is None else latest_results(database, reference)
        changed = _changed_code(planned, database)
    gains: tuple[PrecisionGain, ...] = ()
    if probe:
        chains = _to_do(planned)
        cohorts = planned.plan.cohorts
        together = {key: len(each.stages) for each in cohorts for key in each.stages}
        seconds = probed_seconds(chains, planned.facts.seconds, numerics.begun, together)
        planned = replace(planned, facts=replace(planned.facts, seconds=seconds))
        gains = precision_gains(chains, numerics.begun)
    finished = planned.facts.finished
    imported = sum(
        key in finished and results.get(key, ("failed", 0))[0] == "failed" for key in reference
    )
    explained = _with_workers(_explained(planned, numerics, imported), planned)
    return replace(explained, changed=changed, probed=probe, precisions=gains), planned


def _with_workers(explained: Explained, planned: PlannedRuns) -> Explained:
    """Return a plan with how long it takes the workers that were asked for."""
    workers, facts = planned.bound.request.num_workers, planned.facts
    measured = any(stage.cost_key in facts.seconds for stage in planned.plan.stages)
    seconds = seconds_with(planned.plan, facts, workers) if measured else None
    return replace(explained, workers=workers, seconds=seconds)


def _with_seconds(
    planned: PlannedRuns, database: Database | None, numerics: LateNumerics
) -> PlannedRuns:
    """Return the plan with the seconds that were measured here, also where nothing is to do."""
    if database is None or planned.facts.seconds:
        return planned
    seconds = seconds_by_cost_key(database, numerics.device_name)
    return replace(planned, facts=replace(planned.facts, seconds=seconds))


def _changed_code(planned: PlannedRuns, database: Database | None) -> ChangedCode:
    if database is None:
        return NOTHING_CHANGED
    sources = Sources(planned.bound.workspace.folder)
    return changed_code_of(planned, planned.facts.finished, database, sources)


def _to_do(planned: PlannedRuns) -> list[tuple[BoundCell, list[Stage]]]:
    """Return the stages to be done of each run, with its cell."""
    cells = {cell.run.run_key: cell for cell in planned.cells}
    to_do = {stage.key for stage in planned.plan.stages}
    return [
        (cells[run], [stage for stage in planned.chains[run] if stage.key in to_do])
        for run in planned.plan.stages_by_run
    ]


def _explained(planned: PlannedRuns, numerics: LateNumerics, imported: int) -> Explained:
    bound, facts = planned.bound, planned.facts
    statuses = [facts.finished.get(key) for key in planned.run_keys]
    alone, costs = plan_costs(planned.naive, planned.plan, facts)
    if bound.disabled >= {"share_trajectories", "go_on_from_states"}:
        costs = replace(costs, state_bytes=0)
    wanted = set(planned.run_keys)
    names = {cell.run.run_key: run_name(cell.cell) for cell in reversed(planned.cells)}
    return Explained(
        cells=sum(cell.run.run_key in wanted for cell in planned.cells),
        runs=len(planned.run_keys),
        done=sum(status in ("done", "diverged") for status in statuses),
        imported=imported,
        failed=statuses.count("failed"),
        wanted=alone,
        planned=costs,
        device=numerics.device_name,
        missing=tuple(bound.missing),
        notes=(
            *bound.notes,
            *numerics.notes(planned.precisions()),
            *bound.workspace.notes(),
        ),
        probed=False,
        decisions=tuple(planned.plan.decisions),
        downloads=dict(bound.downloads),
        names=names,
        stages=tuple(_stages(planned)),
        tree=tuple(tree(planned.naive, planned.plan, facts)),
        savings=tuple(savings(planned.naive, planned.steps, facts)),
        together=tuple(trained_together(planned.plan, names)),
        not_shared=tuple(not_shared(planned.naive, planned.plan, facts, planned.reruns, names)),
        measurements=measured(planned.plan),
        analyses=analysed(planned.plan),
        logits=computed_logits(planned.plan),
    )


def _stages(planned: PlannedRuns) -> Iterator[PlannedStage]:
    readers = Counter(key for keys in planned.plan.stages_by_run.values() for key in keys)
    readers.update(key for keys in planned.plan.measurements.values() for key in keys)
    readers.update(key for keys in planned.plan.analyses.values() for key in keys)
    for stage in planned.plan.stages:
        seconds = predicted(stage, planned.facts)["seconds"]
        yield PlannedStage(
            stage.key, stage.kind, stage.epochs, seconds, stage.num_bytes, readers[stage.key]
        )
