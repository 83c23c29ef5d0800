"""Which runs of a plan show best what sharing does: whole families before others.

Pure: looks at a plan and changes nothing. Knows keys and kinds only.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby

from runner.core.plan import Plan
from runner.core.stages import Stage, Train

_NOTHING = (1, "")
"""Sorts behind every shared stage."""


def shared_stages(plan: Plan) -> dict[str, set[str]]:
    """Return, for each run, the stages that do for it other than what it would do alone.

    These are the trainings that several runs read, frozen features, and for each training that is
    done together with others, the first of them.
    """
    readers: dict[str, int] = {}
    for keys in plan.stages_by_run.values():
        for key in keys:
            readers[key] = readers.get(key, 0) + 1
    shared = {stage.key for stage in plan.stages if _is_shared(stage, readers.get(stage.key, 0))}
    first = {key: cohort.stages[0] for cohort in plan.cohorts for key in cohort.stages}
    return {
        run: shared.intersection(keys) | {first[key] for key in keys if key in first}
        for run, keys in plan.stages_by_run.items()
    }


def _is_shared(stage: Stage, num_runs: int) -> bool:
    return stage.shared == "always" or (stage.shared == "between runs" and num_runs > 1)


def unshared_runs(plan: Plan) -> set[str]:
    """Return the runs that may share nothing."""
    alone = {
        stage.key for stage in plan.stages if isinstance(stage, Train) and stage.unshared.training
    }
    return {run for run, keys in plan.stages_by_run.items() if not alone.isdisjoint(keys)}


def sample_runs(plan: Plan, size: int) -> tuple[str, ...]:
    """Return runs that share with one another, at most ``size``.

    First come readers of the stage that most runs read, then those of the next. Within a family,
    two runs of each branch come before a third one of any: so readers of one training are among
    them, and branches of one tree. Trainings that may share nothing are left out: some of them do
    not repeat themselves.
    """
    alone = unshared_runs(plan)
    shared = {run: keys for run, keys in shared_stages(plan).items() if run not in alone}
    count: dict[str, int] = {}
    for keys in shared.values():
        for key in keys:
            count[key] = count.get(key, 0) + 1
    ranked = {
        run: [*sorted((-count[key], key) for key in keys), _NOTHING] for run, keys in shared.items()
    }
    order = sorted(ranked, key=lambda run: (ranked[run], run))
    ranks = _ranks(order, ranked)
    order.sort(key=lambda run: (ranked[run][0], ranks[run] // 2, ranked[run], run))
    return tuple(order[: max(size, 1)])


def _ranks(order: list[str], ranked: Mapping[str, list[tuple[int, str]]]) -> dict[str, int]:
    """Return the rank of each run among those that share the same stages."""
    return {
        run: rank
        for _, alike in groupby(order, key=lambda run: ranked[run])
        for rank, run in enumerate(alike)
    }
