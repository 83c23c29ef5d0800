"""The rule that reads recorded epochs: a run whose every epoch some training has recorded.

Owns when records answer a run: every epoch that it reads is there, and the weights that it keeps
are on this disk. What an epoch's record means to a reader is what the epoch would have meant
during training. Pure functions over keys, histories and readers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from runner.core.artifacts import kind_of
from runner.core.plan import Decision, Facts, Plan, Record
from runner.core.reader import LAST, Reader, ReaderState, epochs_to_keep, replayed
from runner.core.stages import Stage, Train


def read_recorded_epochs(plan: Plan, facts: Facts) -> Plan:
    """Train nothing for a run whose every epoch an earlier training has recorded.

    The run keeps its keys. Where only its weights are gone, it is trained, and the plan says so.
    """
    if not facts.records:
        return plan
    open_keys = plan.read_by_open_runs(facts.finished) - facts.ended
    records: dict[str, list[Record]] = {}
    for record in facts.records:
        records.setdefault(record.trajectory.key, []).append(record)
    stages: list[Stage] = []
    decisions: list[Decision] = []
    for stage in plan.stages:
        if not (isinstance(stage, Train) and stage.key in open_keys and _is_alone(stage)):
            stages.append(stage)
            continue
        found = _best(stage, records.get(stage.trajectory.key, ()))
        if found is not None and found.gone():
            decisions.append(Decision("read_recorded_epochs", stage.key, _why_not(found)))
        elif found is not None:
            stage = _read(stage, found)
        stages.append(stage)
    return replace(plan, stages=tuple(stages), decisions=(*plan.decisions, *decisions))


def record_for(stage: Train, records: Sequence[Record]) -> Record | None:
    """Return the record from which a training is read, None where there is none."""
    found = _best(stage, records)
    return None if found is None or found.gone() else found.record


@dataclass(frozen=True, slots=True)
class _Found:
    """A record that holds every epoch that a run reads.

    Attributes:
        record: it.
        reader: the run's.
        state: where the reader stands at its end.
        last: the last epoch that the run reads; the one in which it diverges, if it does.
        kept: the epochs whose weights it keeps.
    """

    record: Record
    reader: Reader
    state: ReaderState
    last: int
    kept: frozenset[int]

    def gone(self) -> list[int]:
        """Return the epochs whose weights are no longer on the disk."""
        return sorted(self.kept - self.record.kept.keys())


def _is_alone(stage: Train) -> bool:
    """Return whether a stage is the training of one run from its first epoch, not yet read."""
    alone = list(stage.readers) == [stage.key]
    return alone and stage.first_epoch == 1 and stage.recorded is None


def _best(stage: Train, records: Sequence[Record]) -> _Found | None:
    """Return the first record with all that a run needs, or else one that lacks least."""
    return min(_holding(stage, records), key=lambda each: len(each.gone()), default=None)


def _holding(stage: Train, records: Sequence[Record]) -> Iterator[_Found]:
    """Yield the records that hold every epoch that a run reads."""
    ((name, reader),) = stage.readers.items()
    for record in records:
        common = stage.trajectory.common_epochs(record.trajectory)
        if not common or record.limit > reader.diverged_if:
            continue
        states = replayed({name: reader}, record.history[:common])
        state, ending = states[name], record.ending
        if state.finished:
            kept = frozenset(epochs_to_keep({name: reader}, states))
            yield _Found(record, reader, state, state.epoch, kept)
        elif ending is not None and ending.epoch <= common and record.limit == reader.diverged_if:
            yield _Found(record, reader, state, ending.epoch, frozenset())


def _read(stage: Train, found: _Found) -> Train:
    """Return a training that is read: it trains nothing, and its network sees no image."""
    artifacts = [found.record.kept[epoch][0] for epoch in sorted(found.kept)]
    states = dict.fromkeys(name for name, _ in artifacts if kind_of(name) == "states")
    return replace(
        stage,
        recorded=found.last,
        read_states=tuple(states),
        epochs=0,
        state_bytes=0,
        prefix=None,
    )


def _why_not(found: _Found) -> str:
    """Return in words that a run's epochs are recorded, but not all weights that it keeps."""
    if found.last == 1:
        return "epoch 1 is recorded, but its weights are gone"
    called = {found.state.best_epoch: "the best"}
    if found.reader.select_rule.monitor == LAST or found.last not in called:
        called[found.last] = "the last"
    gone = found.gone()
    weights = f"the weights of {'epoch' if len(gone) == 1 else 'epochs'}"
    which = f"{' and '.join(map(str, gone))}, {' and '.join(called[each] for each in gone)}"
    return f"epochs 1–{found.last} are recorded, but {weights} {which} of them, are gone"
