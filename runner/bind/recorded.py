"""Which recorded epochs the wanted runs may read: records, put together from attempts.

Finds the epochs on the paths of open runs, who trained them, and where their weights lie. Which run
is read from which record is decided by the planner.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

from runner.artifacts.states import StoredWeights, stored_weights
from runner.bind.workspace import Workspace
from runner.core.artifacts import weights_name
from runner.core.plan import Record
from runner.core.reader import KEPT_WEIGHTS, divergence
from runner.core.records import EpochRange, EpochRecord, attempt_at, clipped
from runner.core.stages import Train
from runner.core.trajectory import Trajectory
from runner.store.database import Database
from runner.store.progress import artifact_digests
from runner.store.recorded import (
    Trained,
    epoch_metrics_of,
    epoch_records,
    trained,
)


@dataclass(frozen=True)
class Recorded:
    """What is recorded on the paths of some trainings.

    Attributes:
        records: epochs that may be read.
        ended: readers that need none: they have ended in a training, and diverged or left their
            weights here, or a checkpoint goes on with them.
    """

    records: tuple[Record, ...] = ()
    ended: Set[str] = frozenset()


def recorded(
    trainings: Iterable[Train],
    database: Database,
    workspace: Workspace,
    numerics: Mapping[str, Mapping[str, Any] | None],
    on_features: bool,
) -> Recorded:
    """Return what is recorded on the paths of trainings of runs without a result.

    Args:
        trainings: naive ones, each of one run.
        database: what is recorded.
        workspace: where weights lie.
        numerics: of each segment by its key; epochs that were trained under others are left out.
            None leaves nothing out.
        on_features: whether epochs that were trained on frozen features may be read.
    """
    limits: dict[str, set[float]] = {}
    wanted = list(trainings)
    for stage in wanted:
        for reader in stage.readers.values():
            limits.setdefault(stage.trajectory.key, set()).add(reader.diverged_if)
    attempts = trained(database, limits) if limits else {}
    if not attempts:
        return Recorded()
    kept = _written(attempts, database, workspace)
    states = list(_states(attempts, database, workspace))
    for state, _ in states:
        for epoch in state.epochs:
            trainer = attempt_at(state.ranges, epoch)
            if trainer is not None:
                kept.setdefault((trainer, epoch), []).append((state.name, ""))
    chains = [
        chain
        for chain in _distinct([*_of_attempts(attempts), *(chain for _, chain in states)])
        if _made_under(numerics, chain, attempts) and (on_features or not chain.inputs["features"])
    ]
    ids = {attempt for chain in chains for attempt, _, _ in chain.ranges}
    measured = epoch_metrics_of(database, ids)
    records: list[Record] = []
    for chain in chains:
        record = _record(chain, measured, kept)
        records += _under(record, chain, limits[chain.trajectory.key], database)
    ended = set(_ended(wanted, attempts, database, workspace))
    return Recorded(tuple(records), ended.union(*(state.waiting for state, _ in states)))


@dataclass(frozen=True)
class _Chain:
    """Epochs of attempts, from the first epoch on.

    Attributes:
        trajectory: on which they lie.
        ranges: the epochs.
        limit: of divergence, under which they were trained.
        inputs: digests of what was trained on.
        diverged: whether the last of them is one in which the training diverged.
    """

    trajectory: Trajectory
    ranges: Sequence[EpochRange]
    limit: float
    inputs: Mapping[str, str]
    diverged: bool = False

    @property
    def last(self) -> int:
        """The last epoch."""
        return self.ranges[-1].last


def _of_attempts(attempts: Mapping[int, Trained]) -> Iterator[_Chain]:
    """Yield the longest chain of each attempt that says what it was trained on."""
    for attempt in attempts.values():
        chains = [
            _Chain(
                attempt.trajectory,
                [EpochRange(*one) for one in each["reads"]],
                attempt.limit,
                each["inputs"],
                "diverged" in each,
            )
            for each in attempt.readers.values()
            if "inputs" in each and each["reads"]
        ]
        if chains:
            longest = max(chains, key=lambda chain: chain.last)
            end = longest.trajectory.last_epoch
            yield (
                longest
                if longest.last <= end
                else replace(longest, ranges=clipped(longest.ranges, end), diverged=False)
            )


def _written(
    attempts: Mapping[int, Trained], database: Database, workspace: Workspace
) -> dict[tuple[int, int], list[tuple[str, str]]]:
    """Return the weights that runs left, with their digests, by attempt and epoch."""
    from runner.engine.products import lies_there

    stored = workspace.artifacts(database)
    # a file is of the newest attempt that wrote it
    owners: dict[str, tuple[int, int]] = {}
    for attempt in attempts.values():
        for name, each in attempt.readers.items():
            if each["status"] == "done":
                for which in KEPT_WEIGHTS:
                    trainer = attempt_at(each["reads"], each[f"{which}_epoch"])
                    if trainer is not None:
                        owners[weights_name(name, which)] = (trainer, each[f"{which}_epoch"])
    there = {name for name in owners if lies_there(stored, name)}
    kept: dict[tuple[int, int], list[tuple[str, str]]] = {}
    for name, digest in sorted(artifact_digests(database, there).items()):
        kept.setdefault(owners[name], []).append((name, digest))
    return kept


def _states(
    attempts: Mapping[int, Trained], database: Database, workspace: Workspace
) -> Iterator[tuple[StoredWeights, _Chain]]:
    """Yield the states and checkpoints of these trainings, and the epochs that lead to each."""
    trajectories = (attempt.trajectory for attempt in attempts.values())
    segments = {segment.key for each in trajectories for segment in each.segments}
    for state in stored_weights(workspace.artifacts(database), segments):
        last = attempts.get(state.ranges[-1].attempt)
        if last is not None and last.trajectory.contains(state.segment, state.epoch):
            yield state, _Chain(last.trajectory, state.ranges, state.limit, state.inputs)


def _distinct(chains: Sequence[_Chain]) -> list[_Chain]:
    """Return the chains but those whose epochs are the first ones of another."""
    found: list[_Chain] = []
    for chain in sorted(chains, key=lambda chain: (-chain.last, -chain.diverged, chain.limit)):
        if not any(_begins(chain, longer) for longer in found):
            found.append(chain)
    return found


def _begins(chain: _Chain, longer: _Chain) -> bool:
    alike = chain.inputs == longer.inputs and chain.limit >= longer.limit
    is_beginning = clipped(longer.ranges, chain.last) == list(chain.ranges)
    return alike and is_beginning and not (chain.diverged and chain.last != longer.last)


def _made_under(
    numerics: Mapping[str, Mapping[str, Any] | None],
    chain: _Chain,
    attempts: Mapping[int, Trained],
) -> bool:
    """Return whether all epochs were trained under the numerics of their path, as known here."""
    keys = (segment.key for segment in chain.trajectory.segments)
    wanted = next(numerics[key] for key in keys if key in numerics)
    return wanted is None or all(
        attempt in attempts and attempts[attempt].numerics == wanted
        for attempt, _, _ in chain.ranges
    )


def _record(
    chain: _Chain,
    measured: Mapping[int, Mapping[int, Mapping[str, float]]],
    kept: Mapping[tuple[int, int], Sequence[tuple[str, str]]],
) -> Record:
    """Return the record of a chain, as far as its epochs are recorded without a gap."""
    history: list[Mapping[str, float]] = []
    weights_at: dict[int, Sequence[tuple[str, str]]] = {}
    for attempt, first, last in chain.ranges:
        for epoch in range(first, last + 1):
            metrics = measured[attempt].get(epoch)
            if metrics is None or epoch != len(history) + 1:
                break
            history.append(metrics)
            if (attempt, epoch) in kept:
                weights_at[epoch] = kept[attempt, epoch]
    ranges = clipped(chain.ranges, len(history))
    return Record(chain.trajectory, ranges, history, chain.limit, None, weights_at, chain.inputs)


def _under(
    record: Record, chain: _Chain, limits: Collection[float], database: Database
) -> Iterator[Record]:
    """Yield a record under its own limit of divergence and under each lower one that is wanted.

    Under a lower limit a training may have diverged earlier, which the losses of its steps tell.
    """
    lower = sorted(limit for limit in limits if limit < record.limit)
    diverged = chain.diverged and chain.last == len(record.history) + 1
    if not lower and not diverged:
        yield record
        return
    steps = epoch_records(database, chain.ranges)
    yield replace(record, ending=steps.get(chain.last) if diverged else None)
    for limit in lower:
        yield _stricter(record, steps, diverged, limit)


def _stricter(
    record: Record, steps: Mapping[int, EpochRecord], diverged: bool, limit: float
) -> Record:
    """Return what a training under a lower limit of divergence would have recorded."""
    known = len(record.history) + diverged
    if any(epoch not in steps for epoch in range(1, known + 1)):
        return record
    first = steps[1].step_losses
    mean = math.fsum(first) / len(first)
    for epoch in range(2, known + 1):
        losses = steps[epoch].step_losses
        bad = divergence(losses, mean, limit, len(first))
        if bad is None and epoch > len(record.history):
            bad = len(losses)
        if bad is not None:
            ending = replace(steps[epoch], step_losses=losses[:bad])
            good = record.history[: epoch - 1]
            return replace(record, history=good, limit=limit, ending=ending)
    return replace(record, limit=limit, ending=steps[1] if known and not record.history else None)


def _ended(
    trainings: Iterable[Train],
    attempts: Mapping[int, Trained],
    database: Database,
    workspace: Workspace,
) -> Iterator[str]:
    """Yield the readers that have ended in a training, and diverged or left their weights."""
    from runner.engine.products import lies_there

    stored = workspace.artifacts(database)
    statuses = {
        name: each["status"]
        for attempt in attempts.values()
        if attempt.has_ended
        for name, each in attempt.readers.items()
    }
    for stage in trainings:
        status = statuses.get(stage.key)
        whole = all(lies_there(stored, name) for name in stage.produces)
        if status == "diverged" or (status == "done" and whole):
            yield stage.key
