"""From a bound request to its results: plan, record what is wanted, hand it to the executor.

Where other processes have meanwhile trained epochs that a plan has too, the rest is planned anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from runner.artifacts.exchange import hurry
from runner.artifacts.process import Process
from runner.bind.bound_request import BoundRequest
from runner.bind.code_digests import Sources, recorded_code
from runner.bind.data_locations import data_locations, image_sources
from runner.bind.late_numerics import LateNumerics
from runner.bind.own_sources import sources_to_record
from runner.bind.plan_runs import PlannedRuns, plan_runs
from runner.bind.planned_records import record_wanted
from runner.components.own.permission import permission
from runner.components.own_metric import OwnMetric
from runner.components.resolved import typed_metric
from runner.components.settings import Settings
from runner.core.moments import reached
from runner.core.stages import Evaluate
from runner.execute.executors import EXECUTORS
from runner.execute.listener import Listener
from runner.execute.plan_execution import PlanExecution, Workers, WorkerSetup
from runner.execute.pool import Pool
from runner.planner.measurements import skip_where_weights_are_gone
from runner.planner.unshared import told_of_own_code
from runner.store.database import Database
from runner.store.progress import failed_attempts


@dataclass(frozen=True)
class Carrying:
    """How a plan is carried out.

    Attributes:
        should_stop: asked after every step.
        is_outdated: asked between two stages; whether the plan is to be made anew.
        longest_first: begin with what takes longest to the end of all that waits for it, in place
            of the order of the spec.
        is_ours: as of a `PlanExecution`.
        failures: likewise.
        since: likewise.
        workers: likewise.
    """

    should_stop: Callable[[], bool]
    is_outdated: Callable[[], bool] = lambda: False
    longest_first: bool = False
    is_ours: Callable[[Process], bool] = lambda process: False
    failures: Mapping[str, int] | None = None
    since: int | None = None
    workers: Workers | None = None


def carry_out(
    bound: BoundRequest,
    database: Database,
    listen: Callable[[PlannedRuns], Listener],
    should_stop: Callable[[], bool],
) -> PlannedRuns:
    """Plan what a request wants, record it, and do it; return the first plan.

    Without workers it is recorded only.

    Args:
        bound: the request on its data.
        database: where everything is recorded.
        listen: makes the listener, once the plan is known.
        should_stop: asked after every step.

    Raises:
        Interrupted: when asked to stop.
    """
    numerics = LateNumerics(bound.request)
    failures = failed_attempts(database)  # of all plans of the command
    first = planned = plan_runs(bound, database, numerics)
    reached("runs planned, not recorded")
    record_wanted(database, planned)
    if bound.request.workers == 0:
        return first
    with Pool() as pool:
        how = Carrying(should_stop, failures=failures, workers=pool)
        while not execute_plan(planned, database, numerics, listen(planned), how):
            planned = plan_runs(_again(first), database, numerics, repetitions=first.reruns)
            record_wanted(database, planned)
        while pool.is_at_work:  # on what no later plan has
            pool.attend()
    return first


def _again(first: PlannedRuns) -> BoundRequest:
    """Return the request for the same runs and repetitions, whatever has ended meanwhile."""
    bound = first.bound
    same = replace(bound.request, runs=first.run_keys, limit=None, rerun=False)
    return replace(bound, request=same)


def execute_plan(
    planned: PlannedRuns,
    database: Database,
    numerics: LateNumerics,
    listener: Listener,
    how: Carrying,
) -> bool:
    """Do what is planned and recorded as wanted.

    Args:
        planned: the plan.
        database: where everything is recorded.
        numerics: of this process.
        listener: is told what happens.
        how: in which order, and until when.

    Returns:
        Whether every stage has ended; if not, the rest is to be planned anew.

    Raises:
        Interrupted: when asked to stop.
    """
    bound = planned.bound
    execution = PlanExecution(
        plan=planned.plan,
        facts=planned.facts,
        reruns=planned.reruns,
        make_setup=lambda: _setup(planned, numerics),
        workspace=bound.workspace,
        database=database,
        sources=image_sources(bound.cells),
        listener=listener,
        shares_epochs="share_trajectories" not in bound.disabled,
        should_stop=how.should_stop,
        is_outdated=how.is_outdated,
        longest_first=how.longest_first,
        is_ours=how.is_ours,
        failures=failed_attempts(database) if how.failures is None else how.failures,
        since=how.since,
        workers=how.workers,
    )
    for note in numerics.notes(planned.precisions()):
        execution.listener.on_note(note)
    artifacts = bound.workspace.artifacts(database)
    if artifacts.shared is not None:
        artifacts.shared.uploads.begin()
    for note in bound.workspace.notes():
        execution.listener.on_note(note)
    for note in told_of_own_code(planned.plan):
        execution.listener.on_note(note)
    for decision in planned.plan.decisions:
        if decision.rule == skip_where_weights_are_gone.__name__:
            execution.listener.on_note(decision.why)
    try:
        return EXECUTORS[bound.request.executor_name](execution)
    except BaseException as error:
        hurry(artifacts, error)
        raise
    finally:
        if artifacts.shared is not None:
            artifacts.shared.uploads.finish(how.should_stop)
        for note in bound.workspace.notes():
            execution.listener.on_note(note)


def _setup(planned: PlannedRuns, numerics: LateNumerics) -> WorkerSetup:
    """Return what workers need, once there is a stage to do: it takes torch."""
    from runner.engine.device import environment

    bound = planned.bound
    return WorkerSetup(
        request=bound.request,
        workspace=bound.workspace,
        cores=numerics.begun.cores,
        environment={
            **environment(),
            "modules": recorded_code(Sources(bound.workspace.folder), _made_now(planned)),
            **sources_to_record([*_made_now(planned), *_measured_now(planned)]),
        },
        data=data_locations(bound.cells),
        weights=bound.weights,
        needed=tuple(name for stage in planned.plan.stages for name in stage.consumes),
        share_states="go_on_from_states" not in bound.disabled,
        code=permission().paths,
    )


def _made_now(planned: PlannedRuns) -> list[Settings]:
    """Return the settings of the runs that are made, measured or looked at now."""
    plan, finished = planned.plan, planned.facts.finished
    measured = {*plan.measurements, *plan.analyses}
    return [
        cell.resolved.settings
        for cell in planned.cells
        if cell.run.run_key not in finished or cell.run.run_key in measured
    ]


def _measured_now(planned: PlannedRuns) -> list[OwnMetric]:
    """Return the own metrics that are measured now."""
    return [
        typed_metric(stage.metric)
        for stage in planned.plan.stages
        if isinstance(stage, Evaluate) and stage.metric is not None
    ]
