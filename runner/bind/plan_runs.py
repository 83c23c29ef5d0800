"""From bound cells to what is wanted: which runs, which repetition, facts, plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from runner.bind.analyses import analyses
from runner.bind.bound_cell import BoundCell
from runner.bind.bound_request import BoundRequest
from runner.bind.facts import find_facts
from runner.bind.late_numerics import LateNumerics
from runner.bind.measurements import measurements
from runner.components.resolved import typed_settings
from runner.core.plan import Facts, Plan
from runner.core.records import RunStatus
from runner.core.stages import Prepare, Stage, Train
from runner.lower.stages import naive_plan
from runner.planner.features import features_of
from runner.planner.rules import rule_steps, rules_without
from runner.store.database import Database
from runner.store.progress import latest_results, next_rerun, open_reruns


@dataclass(frozen=True)
class PlannedRuns:
    """The runs that an invocation wants, and the plan for them.

    Attributes:
        bound: what was asked for, with the cells of the specs.
        run_keys: keys of the wanted runs, in the order of the cells.
        reruns: which repetition of each run of the cells.
        chains: the stages of each run of the cells, as planned where it is wanted.
        solo_keys: what trainings call each run of the cells.
        naive: every wanted run by itself.
        steps: names of the rules, and the plan after each.
        facts: what the rules knew.
    """

    bound: BoundRequest
    run_keys: Sequence[str]
    reruns: Mapping[str, int]
    chains: Mapping[str, tuple[Stage, ...]]
    solo_keys: Mapping[str, str]
    naive: Plan
    steps: Sequence[tuple[str, Plan]]
    facts: Facts

    @property
    def cells(self) -> Sequence[BoundCell]:
        """The bound cells of the specs."""
        return self.bound.cells

    @property
    def plan(self) -> Plan:
        """The plan after all rules."""
        return self.steps[-1][1]

    def precisions(self) -> set[str]:
        """Return the precisions of what is to be computed."""
        stages = (stage for stage in self.plan.stages if not isinstance(stage, Prepare))
        return {typed_settings(stage.settings).train.precision for stage in stages}


def plan_runs(
    bound: BoundRequest,
    database: Database | None,
    numerics: LateNumerics,
    reference: Mapping[str, RunStatus] = MappingProxyType({}),
    repetitions: Mapping[str, int] = MappingProxyType({}),
) -> PlannedRuns:
    """Return what is wanted and the plan for it.

    Args:
        bound: what is asked for.
        database: what is recorded, or None when there is no database yet.
        numerics: of this process, which are asked for only where something is left to do.
        reference: how runs ended in the reference, where that counts and is not recorded yet.
        repetitions: which repetition of runs is wanted, where that is known already.
    """
    request = bound.request
    runs = {cell.run.run_key: cell for cell in bound.cells}
    keys = list(dict.fromkeys(cell.run.run_key for cell in bound.wanted_cells))
    results = {} if database is None else latest_results(database, runs)
    reruns = {key: results[key][1] if key in results else 0 for key in runs}
    recorded = [key for key in keys if key in results]
    for key, status in reference.items():
        if key not in results or results[key][0] == "failed":
            results[key] = (status, reruns[key])
    if request.rerun and database is not None:
        reruns |= _repetitions(database, recorded, results)
    if request.rerun:  # what would be imported counts as the repetition 0
        reruns |= {key: 1 for key in keys if key in results and key not in recorded}
    reruns |= {key: repetitions[key] for key in reruns if key in repetitions}
    finished: dict[str, RunStatus] = {
        key: status
        for key, (status, number) in results.items()
        if number == reruns[key] and not (status == "failed" and request.retry_failed)
    }
    if request.limit is not None:
        left_out = set([key for key in keys if key not in finished][request.limit :])
        keys = [key for key in keys if key not in left_out]
    chains = {key: cell.chain(reruns[key]) for key, cell in runs.items()}
    wanted = frozenset(keys)
    cells = [cell for cell in bound.wanted_cells if cell.run.run_key in wanted]
    measured = measurements(cells, chains, database, reruns, finished)
    analyses_by_run = analyses(cells, chains, database, reruns, finished)
    naive = naive_plan(((runs[key].run, chains[key]) for key in keys), measured, analyses_by_run)
    facts = find_facts(naive, finished, bound, database, numerics)
    steps = rule_steps(naive, facts, rules_without(bound.disabled))
    solo_keys = {
        key: next(stage.key for stage in chain if isinstance(stage, Train))
        for key, chain in chains.items()
    }
    planned = _as_planned(chains, [plan for _, plan in steps])
    return PlannedRuns(bound, keys, reruns, planned, solo_keys, naive, steps, facts)


def _as_planned(
    chains: Mapping[str, tuple[Stage, ...]], plans: Sequence[Plan]
) -> dict[str, tuple[Stage, ...]]:
    """Return the chains, with what the last plan made of those of the wanted runs.

    A run also reads stages that were left out of the plan because they are done.
    """
    known = {stage.key: stage for chain in chains.values() for stage in chain}
    known |= {each.key: each for each in features_of(known.values()).values()}
    known |= {stage.key: stage for plan in plans for stage in plan.stages}
    wanted = plans[-1].stages_by_run.items()
    return {**chains, **{run: tuple(known[key] for key in keys) for run, keys in wanted}}


def _repetitions(
    database: Database, keys: Sequence[str], results: Mapping[str, tuple[RunStatus, int]]
) -> dict[str, int]:
    """Return the repetition of each run that ``--rerun`` means.

    Where an earlier ``--rerun`` was stopped, it goes on: what it has done is not done once more.
    """
    unfinished = open_reruns(database)
    open_now = {key: unfinished[key] for key in keys if key in unfinished}
    target = max(open_now.values(), default=None)
    return {
        key: results[key][1]
        if target is not None and key not in open_now and results[key][1] >= target
        else open_now.get(key, next_rerun(database, key))
        for key in keys
    }
