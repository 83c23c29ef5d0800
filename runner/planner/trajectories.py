"""The rule that shares trajectories: what several runs train alike is trained once.

Owns the tree of a family of trainings: runs that begin with the same epochs. Runs that differ only
in how they read (budget, early stopping, which epoch is the best) are readers of one trajectory;
where the learning rate or anything else begins to differ, the tree branches, and each branch goes
on from the state at the branch point. Pure functions over keys; knows no settings.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from runner.core.keys import content_key, epoch_key
from runner.core.types import Decision, Facts, Plan, Stage


@dataclass(frozen=True)
class _Member:
    """One run's training within a family."""

    stage: Stage
    path: tuple[tuple[str, int, int], ...]

    @property
    def last(self) -> int:
        """The last epoch of its budget."""
        return self.path[-1][2]

    def segment_at(self, epoch: int) -> str | None:
        """Return the key of the segment that holds an epoch, None behind the last."""
        for key, first, last in self.path:
            if first <= epoch <= last:
                return key
        return None


@dataclass(frozen=True)
class _Node:
    """Consecutive epochs that all members train alike."""

    first: int
    last: int
    members: tuple[_Member, ...]
    children: tuple[_Node, ...]

    def branches(self) -> bool:
        """Return whether trainings go on from its last state."""
        return bool(self.children)


def share_trajectories(plan: Plan, facts: Facts) -> Plan:
    """Train once what several runs train alike: epochs before a branch, and all for all readers.

    Shared are trainings whose first segments have equal keys; what is computed for a run does not
    change, bit for bit.
    """
    families: dict[str, dict[str, Stage]] = {}
    for stage in plan.stages:
        if stage.kind == "train" and stage.spec["first_epoch"] == 1 and len(_readers(stage)) == 1:
            families.setdefault(_family(stage), {})[stage.key] = stage
    replaced: dict[str, tuple[Stage, ...]] = {}
    decisions: list[Decision] = []
    for stages in families.values():
        if len(stages) > 1:
            tree = _tree([_member(stages[key]) for key in sorted(stages)], 1)
            chains = dict(_chains(tree))
            replaced |= chains
            decisions += _told(chains)
    if not replaced:
        return plan
    return replace(
        plan,
        stages=tuple(_in_order(plan.stages, replaced)),
        reads={run: _swapped(keys, replaced) for run, keys in plan.reads.items()},
        decisions=(*plan.decisions, *decisions),
    )


def go_on_from_states(plan: Plan, facts: Facts) -> Plan:
    """Count only the epochs behind the furthest state that an earlier training left on the disk."""
    if not any(name.startswith("states/") for name in facts.artifacts):
        return plan
    return replace(plan, stages=tuple(_behind_state(stage, facts) for stage in plan.stages))


def _behind_state(stage: Stage, facts: Facts) -> Stage:
    if stage.kind != "train":
        return stage
    first, path = stage.spec["first_epoch"], stage.spec["path"]
    last = path[-1]["first_epoch"] + path[-1]["num_epochs"] - 1
    for each in reversed(path):
        end = each["first_epoch"] + each["num_epochs"] - 1
        for epoch in range(end, max(each["first_epoch"], first) - 1, -1):
            if f"states/{epoch_key(each['key'], epoch)}" in facts.artifacts:
                return replace(stage, epochs=last - epoch)
    return stage


def _readers(stage: Stage) -> Mapping[str, Any]:
    readers: Mapping[str, Any] = stage.spec["readers"]
    return readers


def _family(stage: Stage) -> str:
    """Return what trainings must have in common to share anything."""
    (reader,) = _readers(stage).values()
    return content_key("family", [stage.spec["path"][0]["key"], reader["diverged_if"]])


def _member(stage: Stage) -> _Member:
    path = [
        (each["key"], each["first_epoch"], each["first_epoch"] + each["num_epochs"] - 1)
        for each in stage.spec["path"]
    ]
    return _Member(stage, tuple(path))


def _tree(members: Sequence[_Member], first: int) -> _Node:
    """Return the tree of members that are alike up to ``first``."""
    epoch = first
    while True:
        epoch = min(_end_of_segment(member, epoch) for member in members if member.last >= epoch)
        going_on: dict[str, list[_Member]] = {}
        for member in members:
            following = member.segment_at(epoch + 1)
            if following is not None:
                going_on.setdefault(following, []).append(member)
        if len(going_on) != 1:
            break
        epoch += 1
    children = tuple(_tree(each, epoch + 1) for each in going_on.values())
    return _Node(first, epoch, tuple(members), children)


def _end_of_segment(member: _Member, epoch: int) -> int:
    return next(last for _, first, last in member.path if first <= epoch <= last)


def _chains(root: _Node) -> Iterator[tuple[str, tuple[Stage, ...]]]:
    """Yield (key of the replaced stage, the stages in its place) for all members of a tree."""
    chains: dict[str, list[Stage]] = {}
    for stage, node in _stages(root, None):
        for member in node.members:
            chains.setdefault(member.stage.key, []).append(stage)
    for key, stages in chains.items():
        yield key, tuple(stages)


def _stages(node: _Node, parent: Stage | None) -> Iterator[tuple[Stage, _Node]]:
    """Yield the stage of each node, parents first."""
    # its settings hold for every epoch of the node, whatever its length
    longest = max(node.members, key=lambda member: (member.last, member.stage.key)).stage
    start = "" if parent is None else parent.produces[-1]
    path = _path_until(longest, node.last)
    readers = {
        key: value for member in node.members for key, value in _readers(member.stage).items()
    }
    key = content_key("train", {"path": path, "first": node.first, "readers": sorted(readers)})
    branch = (f"states/{epoch_key(path[-1]['key'], node.last)}",) if node.branches() else ()
    own = [name for member in node.members for name in member.stage.produces]
    stage = replace(
        longest,
        key=key,
        spec={
            **longest.spec,
            "readers": readers,
            "path": path,
            "first_epoch": node.first,
            "start": start,
        },
        needs=longest.needs if parent is None else (*longest.needs, parent.key),
        produces=(*own, *branch),
        consumes=longest.consumes if parent is None else (*longest.consumes, start),
        epochs=node.last - node.first + 1,
        num_bytes=_bytes(node),
    )
    yield stage, node
    for child in node.children:
        yield from _stages(child, stage)


def _path_until(stage: Stage, last: int) -> list[dict[str, Any]]:
    """Return the path of a training up to an epoch."""
    path = []
    for each in stage.spec["path"]:
        if each["first_epoch"] <= last:
            num = min(each["num_epochs"], last - each["first_epoch"] + 1)
            path.append({**each, "num_epochs": num})
    return path


def _bytes(node: _Node) -> int | None:
    # a run's weights lie on the disk once, however many trainings may end it
    sizes = [member.stage.num_bytes for member in node.members if member.last <= node.last]
    return None if None in sizes else sum(size or 0 for size in sizes)


def _in_order(
    stages: Iterable[Stage], replaced: Mapping[str, tuple[Stage, ...]]
) -> Iterator[Stage]:
    """Yield all stages, parents first: a shared one where the first run needs it."""
    seen: set[str] = set()
    for stage in stages:
        for each in replaced.get(stage.key, (_reading_shared(stage, replaced),)):
            if each.key not in seen:
                seen.add(each.key)
                yield each


def _reading_shared(stage: Stage, replaced: Mapping[str, tuple[Stage, ...]]) -> Stage:
    """Return an evaluation with the stages that its run's training has become."""
    if stage.spec.get("reading") not in replaced:
        return stage
    trainings = _swapped(stage.spec["trainings"], replaced)
    return replace(
        stage,
        spec={**stage.spec, "trainings": list(trainings)},
        needs=_swapped(stage.needs, replaced),
    )


def _swapped(keys: Iterable[str], replaced: Mapping[str, tuple[Stage, ...]]) -> tuple[str, ...]:
    swapped: list[str] = []
    for key in keys:
        swapped += [stage.key for stage in replaced[key]] if key in replaced else [key]
    return tuple(swapped)


def _told(chains: Mapping[str, tuple[Stage, ...]]) -> Iterator[Decision]:
    """Yield what is shared, for people."""
    shared = {stage.key: stage for stages in chains.values() for stage in stages}
    for key, stage in shared.items():
        readers = len(_readers(stage))
        if readers > 1:
            first, last = stage.spec["first_epoch"], stage.spec["first_epoch"] + stage.epochs - 1
            why = f"epochs {first} to {last} are trained once for {readers} runs"
            yield Decision("share_trajectories", key, why)
