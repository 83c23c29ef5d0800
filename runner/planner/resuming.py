"""The rules that count what trainings need not train because an earlier one has.

Owns which states and checkpoints a training can go on from, as far as that can be told without
their tensors. Pure functions over keys, histories and readers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from runner.core.plan import Facts, Plan, ResumePoint
from runner.core.reader import epochs_to_keep, replayed, unwritten
from runner.core.stages import Stage, Train


def go_on_from_checkpoints(plan: Plan, facts: Facts) -> Plan:
    """Count only the epochs behind the checkpoint of a training that was stopped."""
    found = checkpoints_of(facts)
    if not found:
        return plan

    def behind(stage: Stage) -> Stage:
        if not isinstance(stage, Train):
            return stage
        own = [found[stage.key]] if stage.key in found else []
        epoch = max(_usable(stage, own), default=0)
        return _counted(stage, max(epoch, stage.first_epoch - 1))

    return replace(plan, stages=tuple(map(behind, plan.stages)))


def go_on_from_states(plan: Plan, facts: Facts) -> Plan:
    """Count only the epochs behind the furthest state that any training left on the disk.

    A branch whose parent is done counts all epochs where the state to branch from cannot be used.
    """
    if not facts.resume_points:
        return plan
    by_segment: dict[str, list[ResumePoint]] = {}
    for point in facts.resume_points:
        by_segment.setdefault(point.segment, []).append(point)
    to_come = {name for stage in plan.stages for name in stage.produces}

    def behind(stage: Stage) -> Stage:
        if not isinstance(stage, Train):
            return stage
        segments = stage.trajectory.segments
        found = [point for each in segments for point in by_segment.get(each.key, ())]
        sure = stage.first_epoch - 1 if stage.start in to_come else 0
        return _counted(stage, max([sure, *_usable(stage, found)]))

    return replace(plan, stages=tuple(map(behind, plan.stages)))


def checkpoints_of(facts: Facts) -> dict[str, ResumePoint]:
    """Return the checkpoints on this disk by the key of their stage."""
    return {point.stage: point for point in facts.resume_points if point.stage}


def goes_on_behind_its_start(stage: Train, checkpoints: Mapping[str, ResumePoint]) -> bool:
    """Return whether a branch has a checkpoint, and so needs no state to branch from."""
    own = [checkpoints[stage.key]] if stage.key in checkpoints else []
    return any(epoch >= stage.first_epoch for epoch in _usable(stage, own))


def _counted(stage: Train, epoch: int) -> Train:
    """Return a training that has only the epochs behind one to train."""
    if stage.recorded is not None:
        return stage
    left = stage.last_epoch - epoch
    return stage if left == stage.epochs else replace(stage, epochs=left)


def _usable(stage: Train, points: Iterable[ResumePoint]) -> Iterator[int]:
    """Yield the epoch of the furthest of those states from which a training may go on."""
    readers = stage.readers
    limit = min(reader.diverged_if for reader in readers.values())
    for point in sorted(points, key=lambda point: -point.epoch):
        if point.limit > limit or not stage.trajectory.contains(point.segment, point.epoch):
            continue
        states = replayed(readers, point.history)
        if epochs_to_keep(readers, unwritten(readers, states, point.written)) <= point.kept:
            yield point.epoch
            return
