"""From bound cells to what is wanted: which runs, which repetition, facts, plan."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from runner.bind.binder import BoundCell
from runner.bind.recorded import recorded
from runner.bind.workspace import Workspace
from runner.core.errors import UsageError, nearest
from runner.core.plan import DEFAULT_CACHE_LIMIT, Facts, Plan
from runner.core.records import RunStatus
from runner.core.stages import Evaluate, Stage, Train
from runner.lower.stages import naive_plan
from runner.planner.features import features_of
from runner.planner.rules import SHARING, Rule, rules_without
from runner.store.database import Database
from runner.store.progress import (
    artifact_digests,
    check_recorded,
    ended_stages,
    finished_readers,
    latest_results,
    next_rerun,
    open_reruns,
    seconds_by_cost_key,
)


@dataclass(frozen=True)
class PlannedRuns:
    """The runs that an invocation wants, and the plan for them.

    Attributes:
        cells: the bound cells of the specs.
        chosen: keys of the wanted runs, in the order of the cells.
        reruns: which repetition of each run of ``cells``.
        chains: the stages of each run of ``cells``, as planned where it is wanted.
        solo_keys: what trainings call each run of ``cells``.
        naive: every wanted run by itself.
        steps: names of the rules, and the plan after each.
        facts: what the rules knew.
    """

    cells: Sequence[BoundCell]
    chosen: Sequence[str]
    reruns: Mapping[str, int]
    chains: Mapping[str, tuple[Stage, ...]]
    solo_keys: Mapping[str, str]
    naive: Plan
    steps: Sequence[tuple[str, Plan]]
    facts: Facts

    @property
    def plan(self) -> Plan:
        """The plan after all rules."""
        return self.steps[-1][1]


def plan_runs(
    cells: Sequence[BoundCell],
    chosen: Sequence[BoundCell],
    database: Database | None,
    workspace: Workspace,
    device: str,
    rerun: bool = False,
    retry_failed: bool = False,
    limit: int | None = None,
    cache_limit: int = DEFAULT_CACHE_LIMIT,
    disabled: Collection[str] = (),
    reference: Mapping[str, RunStatus] = MappingProxyType({}),
    numerics: Mapping[str, Any] | None = None,
) -> PlannedRuns:
    """Return what is wanted and the plan for it.

    Args:
        cells: the bound cells of the specs.
        chosen: those of them that are wanted now.
        database: what is recorded, or None when there is no database yet.
        workspace: where artifacts lie.
        device: name of the device, for seconds.
        rerun: do the chosen runs once more, as a further repetition.
        retry_failed: do failed runs again.
        limit: the most runs that are done now.
        cache_limit: the most bytes that frozen features and states of trainings may take.
        disabled: names of the rules that are switched off.
        reference: how runs ended in the reference, where that counts and is not recorded yet.
        numerics: states that were made under others are not gone on from; None uses all.
    """
    runs = {cell.run.run_key: cell for cell in cells}
    keys = list(dict.fromkeys(cell.run.run_key for cell in chosen))
    results = {} if database is None else latest_results(database, runs)
    reruns = {key: results[key][1] if key in results else 0 for key in runs}
    for key, status in reference.items():
        if key not in results or results[key][0] == "failed":
            results[key] = (status, reruns[key])
    if rerun and database is not None:
        reruns |= _repetitions(database, keys, results)
    finished: dict[str, RunStatus] = {
        key: status
        for key, (status, number) in results.items()
        if number == reruns[key] and not (status == "failed" and retry_failed)
    }
    open_keys = [key for key in keys if key not in finished]
    if limit is not None:
        left_out = set(open_keys[limit:])
        keys = [key for key in keys if key not in left_out]
    chains = {key: cell.chain(reruns[key]) for key, cell in runs.items()}
    naive = naive_plan((runs[key].run, chains[key]) for key in keys)
    facts = _facts(naive, finished, database, workspace, device, cache_limit, numerics)
    if database is not None and "read_recorded_epochs" not in disabled:
        facts = _with_records(facts, naive, database, workspace, numerics, disabled)
    steps = _planned(naive, facts, rules_without(disabled))
    solo_keys = {
        key: next(stage.key for stage in chain if isinstance(stage, Train))
        for key, chain in chains.items()
    }
    planned = _as_planned(chains, [plan for _, plan in steps])
    return PlannedRuns(cells, keys, reruns, planned, solo_keys, naive, steps, facts)


def _planned(naive: Plan, facts: Facts, rules: Iterable[Rule]) -> list[tuple[str, Plan]]:
    """Return the plan after each rule."""
    plan, steps = naive, []
    for rule in rules:
        plan = rule(plan, facts)
        steps.append((rule.__name__, plan))
    return steps


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


def disabled_rules(no_share: bool, disable: Iterable[str]) -> frozenset[str]:
    """Return the names of the rules that ``--no-share`` and ``--disable`` switch off.

    Runs that share no trajectory do not go on from each other's states or read each other's epochs
    either.

    Raises:
        UsageError: for a name that is no rule that shares.
    """
    names = frozenset(SHARING if no_share else disable)
    for name in sorted(names):
        if name not in SHARING:
            raise UsageError(
                f"--disable {name} is no rule that shares",
                allowed=", ".join(SHARING),
                suggestion=nearest(name, SHARING),
            )
    if "share_trajectories" not in names:
        return names
    return names | {"go_on_from_states", "read_recorded_epochs"}


def _repetitions(
    database: Database, keys: Sequence[str], results: Mapping[str, tuple[RunStatus, int]]
) -> dict[str, int]:
    """Return the repetition of each run that ``--rerun`` means.

    Where an earlier ``--rerun`` was stopped, it goes on: what it has done is not done once more.
    """
    before = [key for key in keys if key in results]
    unfinished = open_reruns(database)
    open_now = {key: unfinished[key] for key in before if key in unfinished}
    target = max(open_now.values(), default=None)
    return {
        key: results[key][1]
        if target is not None and key not in open_now and results[key][1] >= target
        else open_now.get(key, next_rerun(database, key))
        for key in before
    }


def _facts(
    naive: Plan,
    finished: Mapping[str, RunStatus],
    database: Database | None,
    workspace: Workspace,
    device: str,
    cache_limit: int,
    numerics: Mapping[str, Any] | None,
) -> Facts:
    from runner.engine.products import lies_there
    from runner.engine.training.resume_points import resume_points

    identity = "" if database is None else database.identity()
    stages = {stage.key: stage for stage in naive.stages}
    stages |= {each.key: each for each in features_of(naive.stages).values()}
    artifacts = frozenset(
        name
        for name in {name for stage in stages.values() for name in stage.produces}
        if lies_there(workspace.folder, identity, name)
    )
    if database is None:
        return Facts(artifacts=artifacts, finished=dict(finished), cache_limit=cache_limit)
    check_recorded(database)
    ended = ended_stages(database)
    artifacts -= _damaged(_weights_to_read(naive, finished, ended), artifacts, database, workspace)
    artifacts |= workspace.states(identity)
    trajectories = (stage.trajectory for stage in naive.stages if isinstance(stage, Train))
    segments = {segment.key for each in trajectories for segment in each.segments}
    return Facts(
        done=frozenset(key for key, status in ended.items() if status != "failed"),
        diverged=frozenset(key for key, status in ended.items() if status == "diverged"),
        finished_readers=frozenset(finished_readers(database)),
        artifacts=artifacts,
        resume_points=tuple(resume_points(workspace.folder, identity, segments, numerics)),
        finished=dict(finished),
        seconds=seconds_by_cost_key(database, device),
        cache_limit=cache_limit,
    )


def _weights_to_read(
    naive: Plan, finished: Mapping[str, RunStatus], ended: Mapping[str, str]
) -> set[str]:
    """Return the weights that evaluations of unfinished runs are to read."""
    to_do = naive.read_by_open_runs(finished)
    return {
        stage.weights
        for stage in naive.stages
        if isinstance(stage, Evaluate)
        and stage.key in to_do
        and ended.get(stage.key) not in ("done", "diverged")
    }


def _damaged(
    names: Collection[str], there: Collection[str], database: Database, workspace: Workspace
) -> set[str]:
    """Return those of some weights on the disk that are not what is recorded of them."""
    from runner.engine.products import is_there

    found = [name for name in names if name in there]
    digests, identity = artifact_digests(database, found), database.identity()
    return {name for name in found if not is_there(workspace.folder, identity, name, digests.get)}


def _with_records(
    facts: Facts,
    naive: Plan,
    database: Database,
    workspace: Workspace,
    numerics: Mapping[str, Any] | None,
    disabled: Collection[str],
) -> Facts:
    """Return the facts with the recorded epochs that runs without a result may read."""
    keys = naive.read_by_open_runs(facts.finished)
    trainings = {
        stage.key: stage for stage in naive.stages if isinstance(stage, Train) and stage.key in keys
    }
    on_features = "use_frozen_features" not in disabled
    found = recorded(trainings.values(), database, workspace, numerics, on_features)
    return replace(facts, records=found.records, ended=frozenset(found.ended))
