"""The rule that shares trajectories: what several runs train alike is trained once.

Owns the tree of a family of trainings: runs that begin with the same epochs. Runs that differ only
in how they read (budget, early stopping, which epoch is the best) are readers of one trajectory;
where the learning rate or anything else begins to differ, the tree branches, and each branch goes
on from the state at the branch point. The tree and its keys are those of all wanted runs: they stay
when one of them ends. Pure functions over keys; knows no settings.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from runner.core.keys import content_key
from runner.core.plan import Decision, Facts, Plan
from runner.core.stages import AfterTraining, Stage, Train


@dataclass(frozen=True)
class _Member:
    """One run's training within a family."""

    stage: Train
    is_open: bool

    @property
    def last(self) -> int:
        """The last epoch of its budget."""
        return self.stage.last_epoch


@dataclass(frozen=True)
class _Node:
    """Consecutive epochs that all members train alike."""

    first: int
    last: int
    members: tuple[_Member, ...]
    children: tuple[_Node, ...]

    def open_members(self) -> tuple[_Member, ...]:
        """Return those without a result."""
        return tuple(member for member in self.members if member.is_open)


def share_trajectories(plan: Plan, facts: Facts) -> Plan:
    """Train once what several runs train alike: epochs before a branch, and all for all readers.

    Shared are trainings whose first segments have equal keys; what is computed for a run does not
    change, bit for bit. Runs with a result have their part in the keys, so that those of the others
    stay, but nothing is planned for them; nor do those that are read from recorded epochs wait for
    others.
    """
    trainings = [stage for stage in plan.stages if isinstance(stage, Train)]
    recorded = {stage.key for stage in trainings if stage.recorded is not None}
    open_keys = plan.read_by_open_runs(facts.finished) - recorded
    families: dict[tuple[str, float], dict[str, Train]] = {}
    for stage in trainings:
        if list(stage.readers) == [stage.key]:
            families.setdefault(_family(stage), {})[stage.key] = stage
    replaced: dict[str, tuple[Train, ...]] = {}
    decisions: list[Decision] = []
    for stages in families.values():
        if len(stages) > 1 and not open_keys.isdisjoint(stages):
            tree = _tree([_Member(stages[key], key in open_keys) for key in sorted(stages)], 1)
            chains = dict(_chains(tree, facts))
            replaced |= chains
            decisions += _told(chains)
    if not replaced:
        return plan
    return replace(
        plan,
        stages=tuple(_in_order(plan.stages, replaced)),
        stages_by_run={run: _swapped(keys, replaced) for run, keys in plan.stages_by_run.items()},
        decisions=(*plan.decisions, *decisions),
    )


def _family(stage: Train) -> tuple[str, float]:
    """Return what trainings must have in common to share anything."""
    (reader,) = stage.readers.values()
    return stage.trajectory.key, reader.diverged_if


def _tree(members: Sequence[_Member], first: int) -> _Node:
    """Return the tree of members that are alike up to ``first``."""
    whole = members[0].stage.trajectory
    if all(member.stage.trajectory is whole for member in members):
        return _Node(first, whole.last_epoch, tuple(members), ())
    epoch = first
    while True:
        epoch = min(_end_of_segment(member, epoch) for member in members if member.last >= epoch)
        going_on: dict[str, list[_Member]] = {}
        for member in members:
            following = member.stage.trajectory.segment_at(epoch + 1)
            if following is not None:
                going_on.setdefault(following.key, []).append(member)
        if len(going_on) != 1:
            break
        epoch += 1
    children = tuple(_tree(each, epoch + 1) for each in going_on.values())
    return _Node(first, epoch, tuple(members), children)


def _end_of_segment(member: _Member, epoch: int) -> int:
    segment = member.stage.trajectory.segment_at(epoch)
    assert segment is not None
    return segment.last_epoch


def _chains(root: _Node, facts: Facts) -> Iterator[tuple[str, tuple[Train, ...]]]:
    """Yield (key of the replaced stage, its replacements) for all open members of a tree."""
    chains: dict[str, list[Train]] = {}
    for stage, node in _stages(root, root.first, None, facts):
        for member in node.open_members():
            chains.setdefault(member.stage.key, []).append(stage)
    for key, stages in chains.items():
        yield key, tuple(stages)


def _stages(
    node: _Node, first: int, parent: Train | None, facts: Facts
) -> Iterator[tuple[Train, _Node]]:
    """Yield the stage of each node that a run without a result reads, parents first.

    Where all others have ended that parted at its end, a node is one stage with the next, under the
    key of that: unless it is done, then the next goes on from its state.
    """
    key = _key(node)
    children = [child for child in node.children if child.open_members()]
    if len(children) == 1 and key not in facts.done:
        (child,) = children
        if child.open_members() == node.open_members():
            yield from _stages(child, first, parent, facts)
            return
    stage = _stage(node, key, first, parent, bool(children))
    yield stage, node
    for child in children:
        yield from _stages(child, child.first, stage, facts)


def _longest(members: Iterable[_Member]) -> Train:
    """Return the training whose settings hold for every epoch of all, whatever its length."""
    return max(members, key=lambda member: (member.last, member.stage.key)).stage


def _key(node: _Node) -> str:
    """Return the key of a node's stage, which does not depend on what has ended."""
    path = _longest(node.members).trajectory.upto(node.last).to_json()
    readers = sorted(key for member in node.members for key in member.stage.readers)
    return content_key("train", {"path": path, "first": node.first, "readers": readers})


def _stage(node: _Node, key: str, first: int, parent: Train | None, branches: bool) -> Train:
    """Return the stage of a node, for its open members.

    Args:
        node: the node.
        key: of the stage.
        first: its first epoch, or that of a node before it that is one stage with it.
        parent: the stage that it goes on from, or None.
        branches: whether others go on from its last state.
    """
    members = node.open_members()
    longest = _longest(each for each in node.members if each.stage.recorded is None)
    last = node.last if branches else min(node.last, max(member.last for member in members))
    return replace(
        longest,
        key=key,
        readers={key: each for member in members for key, each in member.stage.readers.items()},
        trajectory=longest.trajectory.upto(last),
        first_epoch=first,
        start="" if parent is None else parent.last_state,
        has_branches=branches,
        needs=longest.needs if parent is None else (*longest.needs, parent.key),
        epochs=last - first + 1,
        num_bytes=_bytes(members, last),
    )


def _bytes(members: Sequence[_Member], last: int) -> int | None:
    # a run's weights lie on the disk once, however many trainings may end it
    sizes = [member.stage.num_bytes for member in members if member.last <= last]
    return None if None in sizes else sum(size or 0 for size in sizes)


def _in_order(
    stages: Iterable[Stage], replaced: Mapping[str, tuple[Train, ...]]
) -> Iterator[Stage]:
    """Yield all stages, parents first: a shared one where the first run needs it."""
    seen: set[str] = set()
    for stage in stages:
        for each in replaced.get(stage.key, (_reading_shared(stage, replaced),)):
            if each.key not in seen:
                seen.add(each.key)
                yield each


def _reading_shared(stage: Stage, replaced: Mapping[str, tuple[Train, ...]]) -> Stage:
    """Return an evaluation with the stages that its run's training has become."""
    if not isinstance(stage, AfterTraining) or stage.solo_key not in replaced:
        return stage
    trainings = _swapped(stage.trainings, replaced)
    return replace(stage, trainings=trainings, needs=_swapped(stage.needs, replaced))


def _swapped(keys: Iterable[str], replaced: Mapping[str, tuple[Train, ...]]) -> tuple[str, ...]:
    swapped: list[str] = []
    for key in keys:
        swapped += [stage.key for stage in replaced[key]] if key in replaced else [key]
    return tuple(swapped)


def _told(chains: Mapping[str, tuple[Train, ...]]) -> Iterator[Decision]:
    """Yield what is shared, for people."""
    shared = {stage.key: stage for stages in chains.values() for stage in stages}
    for key, stage in shared.items():
        readers = len(stage.readers)
        if readers > 1:
            first, last = stage.first_epoch, stage.first_epoch + stage.epochs - 1
            why = f"epochs {first} to {last} are trained once for {readers} runs"
            yield Decision("share_trajectories", key, why)
