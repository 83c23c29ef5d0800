"""What a plan is made with: facts of the database and of `.runner/`.

Finds what is done, what lies on the disk and whole, what can be gone on from, and what was
measured. Decides nothing: that is the planner's.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeGuard

from runner.artifacts.arrays import look_whole
from runner.artifacts.exchange import elsewhere, look_again
from runner.artifacts.states import names_of_states, resume_points
from runner.bind.bound_request import BoundRequest
from runner.bind.late_numerics import LateNumerics
from runner.bind.recorded import recorded
from runner.bind.workspace import Workspace
from runner.core.plan import Facts, Plan
from runner.core.records import RunStatus
from runner.core.stages import AfterTraining, Analyse, Evaluate, Stage, Train, multiply_adds_a_step
from runner.planner.features import features_of
from runner.store.database import Database
from runner.store.progress import (
    artifact_digests,
    check_recorded,
    ended_stages,
    finished_readers,
    seconds_by_cost_key,
)

if TYPE_CHECKING:
    from runner.engine.numerics import Numerics


def find_facts(
    naive: Plan,
    finished: Mapping[str, RunStatus],
    bound: BoundRequest,
    database: Database | None,
    numerics: LateNumerics,
) -> Facts:
    """Return what is known of the stages of a plan.

    Args:
        naive: every wanted run by itself.
        finished: how the runs ended that are not done again.
        bound: what is asked for.
        database: what is recorded, or None when there is no database yet.
        numerics: of this process, asked for only where something is left to do; states of others
            are not gone on from, unless the request accepts them. Without, the facts have no
            seconds.
    """
    from runner.engine.products import lies_here

    stored, cache_limit = bound.workspace.artifacts(database), bound.request.cache_limit
    stages = {stage.key: stage for stage in naive.stages}
    stages |= {each.key: each for each in features_of(naive.stages).values()}
    produced = {name for stage in stages.values() for name in stage.produces}
    produced |= {each.logits for each in stages.values() if _may_read_logits(each)}
    look_again(stored)
    lying = frozenset(name for name in stored.maybe_there(produced) if lies_here(stored, name))
    artifacts = lying | elsewhere(stored, produced - lying)
    if database is None:
        facts = Facts(artifacts=artifacts, finished=dict(finished), cache_limit=cache_limit)
        to_do = naive.read_by_open_runs(finished)
        return _on_machine(facts, naive, numerics.begun) if to_do else facts
    check_recorded(database)
    ended = ended_stages(database)
    left = {name for stage in naive.stages if isinstance(stage, Analyse) for name in stage.produces}
    if there := lying & left:  # looked at without torch, and not read
        artifacts -= _of_other_sizes(there, database, bound.workspace)
    after = _after_training_to_do(naive, finished, ended, artifacts)
    if logits := artifacts & {stage.logits for stage in after if _may_read_logits(stage)}:
        artifacts -= _damaged(logits, database, bound.workspace)
    wanted = {
        stage.weights
        for stage in after
        if not (_may_read_logits(stage) and stage.logits in artifacts)
    }
    to_read = artifacts & wanted
    facts = Facts(
        done=frozenset(key for key, status in ended.items() if status != "failed"),
        diverged=frozenset(key for key, status in ended.items() if status == "diverged"),
        finished_readers=frozenset(finished_readers(database)),
        artifacts=artifacts | names_of_states(stored),
        finished=dict(finished),
        cache_limit=cache_limit,
    )
    if not to_read and not naive.read_by_open_runs(finished):
        if not wanted:
            return facts  # nothing is left to do for which torch is needed to plan it
        # weights are gone: what they cost is said
        return replace(facts, seconds=seconds_by_cost_key(database, numerics.device_name))
    here = numerics.begun
    segments = _segments(naive, None if bound.request.accept_mixed else here)
    facts = replace(
        _on_machine(facts, naive, here),
        artifacts=facts.artifacts - _damaged(to_read, database, bound.workspace),
        resume_points=tuple(resume_points(stored, segments)),
        seconds=seconds_by_cost_key(database, here.device_name),
    )
    if "read_recorded_epochs" in bound.disabled:
        return facts
    return _with_records(facts, naive, bound, database, segments)


def _on_machine(facts: Facts, naive: Plan, numerics: Numerics) -> Facts:
    """Return the facts with what decides how many trainings may be done together here."""
    from runner.engine.device import device_memory

    steps = {
        multiply_adds_a_step(stage): stage for stage in naive.stages if isinstance(stage, Train)
    }
    threads = {number: numerics.of(stage)["threads"] for number, stage in steps.items()}
    return replace(facts, memory=device_memory(numerics.device), threads=threads)


def _segments(naive: Plan, numerics: Numerics | None) -> dict[str, Mapping[str, Any] | None]:
    """Return the numerics of the trainings by the keys of their segments, None where any will do.

    Trainings that have a segment in common have one network, and so one number of threads.
    """
    made: dict[str, Mapping[str, Any] | None] = {}
    for stage in naive.stages:
        if isinstance(stage, Train) and stage.trajectory.segments[-1].key not in made:
            wanted = None if numerics is None else numerics.of(stage)
            made |= dict.fromkeys((each.key for each in stage.trajectory.segments), wanted)
    return made


def _after_training_to_do(
    naive: Plan,
    finished: Mapping[str, RunStatus],
    ended: Mapping[str, str],
    artifacts: Collection[str],
) -> list[Evaluate | Analyse]:
    """Return the evaluations and analyses that are to be done, also for what of them is gone."""
    to_do = naive.read_by_open_runs(finished)
    to_do |= naive.after_runs()
    there = set(artifacts)
    return [
        stage
        for stage in naive.stages
        if isinstance(stage, AfterTraining)
        and stage.key in to_do
        and (
            ended.get(stage.key) not in ("done", "diverged") or not there.issuperset(stage.produces)
        )
    ]


def _may_read_logits(stage: Stage) -> TypeGuard[Evaluate | Analyse]:
    """Return whether logits that a finished run has kept may serve a stage."""
    return (
        isinstance(stage, AfterTraining) and stage.epoch_number is not None and stage.logits != ""
    )


def _of_other_sizes(names: Collection[str], database: Database, workspace: Workspace) -> set[str]:
    """Return those of some folders of arrays that cannot be what is recorded, by their sizes."""
    digests = artifact_digests(database, names)
    stored = workspace.artifacts(database)
    return {name for name in names if not look_whole(stored.path(name), digests.get(name))}


def _damaged(names: Collection[str], database: Database, workspace: Workspace) -> set[str]:
    """Return those of some artifacts on the disk that are not what is recorded of them."""
    from runner.engine.products import is_there, needed_to_check

    digests = artifact_digests(database, needed_to_check(names))
    stored = workspace.artifacts(database)
    return {name for name in names if not is_there(stored, name, digests.get)}


def _with_records(
    facts: Facts,
    naive: Plan,
    bound: BoundRequest,
    database: Database,
    segments: Mapping[str, Mapping[str, Any] | None],
) -> Facts:
    """Return the facts with the recorded epochs that runs without a result may read."""
    keys = naive.read_by_open_runs(facts.finished)
    trainings = {
        stage.key: stage for stage in naive.stages if isinstance(stage, Train) and stage.key in keys
    }
    on_features = "use_frozen_features" not in bound.disabled
    readable = recorded(trainings.values(), database, bound.workspace, segments, on_features)
    return replace(facts, records=readable.records, ended=frozenset(readable.ended))
