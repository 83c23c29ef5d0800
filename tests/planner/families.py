"""Made-up trainings whose paths say which epochs they have in common."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import stages
from stages import reader

from runner.core.plan import Facts, Plan
from runner.core.run import ResolvedSettings
from runner.core.stages import Stage, Train
from runner.core.trajectory import Trajectory
from runner.planner.rules import merge_equal_stages
from runner.planner.trajectories import share_trajectories

PIXELS = "pixels/p"


def path_of(text: str) -> Trajectory:
    """Return the trajectory that `x15 y10` means: 15 epochs under values x, then 10 under y.

    As for real ones, a segment's key says what came before it and not how long it goes on.
    """
    pieces: list[tuple[str, int]] = []
    parent, last = "", 0
    for values, length in re.findall(r"([a-z])(\d+)", text):
        key = f"{parent}{values}"
        pieces.append((key, int(length)))
        last += int(length)
        parent = f"{key}{last}"
    return stages.segments(*pieces)


def chain_of(name: str, path: str, tested: bool = True, limit: float = 20.0) -> tuple[Stage, ...]:
    """Return the naive chain of a run."""
    prepare = stages.prepare(num_bytes=100)
    train = stages.train(
        name,
        path_of(path),
        readers={name: reader(limit)},
        settings=ResolvedSettings({"of": name}),
        num_bytes=10,
    )
    if not tested:
        return (prepare, train)
    return (prepare, train, stages.evaluate(f"test-{name}", name))


def naive(chains: Mapping[str, tuple[Stage, ...]]) -> Plan:
    """Return the plan that does every run by itself; a run is called as its training."""
    return Plan(
        stages=tuple(stage for chain in chains.values() for stage in chain),
        stages_by_run={run: stages.keys_of(chain) for run, chain in chains.items()},
    )


def family(paths: Mapping[str, str]) -> Plan:
    """Return the naive plan of runs with these paths."""
    return naive({name: chain_of(name, path) for name, path in paths.items()})


def shared(plan: Plan) -> Plan:
    """Return the plan as the rule that shares trajectories gets and leaves it."""
    return share_trajectories(merge_equal_stages(plan, Facts()), Facts())


def trainings(plan: Plan) -> list[Train]:
    """Return the trainings of a plan."""
    return [stage for stage in plan.stages if isinstance(stage, Train)]


def span(stage: Train) -> tuple[int, int]:
    """Return the first and the last epoch that a training trains."""
    return stage.first_epoch, stage.last_epoch


def epochs_of(trajectory: Trajectory) -> Iterator[tuple[str, int]]:
    """Yield each epoch of a trajectory with the key of its segment."""
    for each in trajectory.segments:
        for epoch in range(each.first_epoch, each.last_epoch + 1):
            yield each.key, epoch


def own_epochs(stage: Train) -> set[tuple[str, int]]:
    """Return the epochs that a training trains itself."""
    return {each for each in epochs_of(stage.trajectory) if each[1] >= stage.first_epoch}
