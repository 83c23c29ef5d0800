"""The rules that count what trainings need not train because an earlier one has.

Owns which states and checkpoints a training can go on from, as far as that can be told without
their tensors. Pure functions over keys, histories and readers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from runner.core.plan import Facts, Plan, ResumePoint
from runner.core.reader import epochs_to_keep, reader_of, replayed, unwritten
from runner.core.stages import Stage
from runner.core.trajectory import last_epoch, lies_on


def go_on_from_checkpoints(plan: Plan, facts: Facts) -> Plan:
    """Count only the epochs behind the checkpoint of a training that was stopped."""
    found = {start.stage: start for start in facts.starts if start.stage}
    if not found:
        return plan

    def behind(stage: Stage) -> Stage:
        own = [found[stage.key]] if stage.key in found else []
        epoch = max(_usable(stage, own), default=0)
        return _counted(stage, max(epoch, _before(stage)))

    return replace(plan, stages=tuple(map(behind, plan.stages)))


def go_on_from_states(plan: Plan, facts: Facts) -> Plan:
    """Count only the epochs behind the furthest state that any training left on the disk.

    A branch whose parent is done counts all epochs where the state to branch from cannot be used.
    """
    if not facts.starts:
        return plan
    places: dict[str, list[ResumePoint]] = {}
    for start in facts.starts:
        places.setdefault(start.segment, []).append(start)
    to_come = {name for stage in plan.stages for name in stage.produces}

    def behind(stage: Stage) -> Stage:
        path = stage.spec.get("path", ())
        found = [start for each in path for start in places.get(each["key"], ())]
        sure = _before(stage) if stage.spec.get("start") in to_come else 0
        return _counted(stage, max([sure, *_usable(stage, found)]))

    return replace(plan, stages=tuple(map(behind, plan.stages)))


def goes_on_behind_its_start(stage: Stage, starts: Mapping[str, ResumePoint]) -> bool:
    """Return whether a branch has a checkpoint, and so needs no state to branch from.

    Args:
        stage: any stage.
        starts: checkpoints by the key of their stage.
    """
    own = [starts[stage.key]] if stage.key in starts else []
    return any(epoch > _before(stage) for epoch in _usable(stage, own))


def _before(stage: Stage) -> int:
    """Return the epoch that comes before those of a stage."""
    return int(stage.spec.get("first_epoch", 1)) - 1


def _counted(stage: Stage, epoch: int) -> Stage:
    """Return a training that has only the epochs behind one to train."""
    if stage.kind != "train" or "recorded" in stage.spec:
        return stage
    left = last_epoch(stage.spec["path"]) - epoch
    return stage if left == stage.epochs else replace(stage, epochs=left)


def _usable(stage: Stage, starts: Iterable[ResumePoint]) -> Iterator[int]:
    """Yield the epochs of those states that a stage may go on from."""
    if stage.kind != "train":
        return
    path = stage.spec["path"]
    readers = {name: reader_of(values) for name, values in stage.spec["readers"].items()}
    limit = min(reader.diverged_if for reader in readers.values())
    for start in _furthest_first(starts):
        if start.limit > limit or not lies_on(path, start.segment, start.epoch):
            continue
        states = replayed(readers, start.history)
        if epochs_to_keep(readers, unwritten(readers, states, start.written)) <= start.kept:
            yield start.epoch
            return


def _furthest_first(starts: Iterable[ResumePoint]) -> Sequence[ResumePoint]:
    return sorted(starts, key=lambda start: -start.epoch)
