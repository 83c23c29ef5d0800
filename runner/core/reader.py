"""How a reader follows a trajectory, one epoch after another: pure functions, no torch.

The same code decides during training, when a run is read from records, and in the planner's
tests, so that "where would this rule have stopped" has one answer.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from runner.core.artifacts import weights_name

SPLITS = ("train", "train_eval", "val", "test")
DIVERGENCE_STEPS = 10
"""Steps whose mean loss is compared with the limit of divergence."""

LAST = "last"
"""The monitor that selects the last epoch instead of the best."""

KeptWeights = Literal["best", "last"]
KEPT_WEIGHTS: tuple[KeptWeights, ...] = get_args(KeptWeights)


@dataclass(frozen=True, slots=True)
class StopRule:
    """Stop once ``monitor`` has not improved by more than ``tolerance`` for ``patience`` epochs."""

    monitor: str
    mode: Literal["min", "max"]
    patience: int
    tolerance: float = 0.0


@dataclass(frozen=True, slots=True)
class SelectRule:
    """Keep the weights of the epoch with the best ``monitor``, the first on ties."""

    monitor: str
    mode: Literal["min", "max"]


@dataclass(frozen=True, slots=True)
class Reader:
    """How a run reads its trajectory: where it stops and which weights it keeps.

    Attributes:
        budget: the most epochs it reads.
        stop_rule: early stopping, or None.
        select_rule: which epoch's weights it keeps.
        wants_test: which epochs are evaluated on the test images.
        diverged_if: a step's loss above this multiple of the first epoch's mean loss ends it.
    """

    budget: int
    stop_rule: StopRule | None
    select_rule: SelectRule
    wants_test: Literal["never", "best", "last", "each_epoch"]
    diverged_if: float

    @property
    def keeps(self) -> tuple[KeptWeights, ...]:
        """Which weights it keeps: those of its best epoch, and of a last one that is tested."""
        return ("best", "last") if self.wants_test == "last" else ("best",)

    def to_json(self) -> dict[str, Any]:
        """Return it as stages and runs hold it."""
        stop, select = self.stop_rule, self.select_rule
        return {
            "budget": self.budget,
            "stop_rule": None
            if stop is None
            else {
                "monitor": stop.monitor,
                "mode": stop.mode,
                "patience": stop.patience,
                "tolerance": stop.tolerance,
            },
            "select_rule": {"monitor": select.monitor, "mode": select.mode},
            "wants_test": self.wants_test,
            "diverged_if": self.diverged_if,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Reader:
        """Return what :meth:`to_json` made."""
        others = dict(values)
        stop, select = others.pop("stop_rule"), others.pop("select_rule")
        stop_rule = None if stop is None else StopRule(**stop)
        return cls(stop_rule=stop_rule, select_rule=SelectRule(**select), **others)


@dataclass(frozen=True, slots=True)
class ReaderState:
    """Where a reader stands after ``epoch`` epochs.

    Attributes:
        epoch: the last epoch read, 0 before the first.
        best_epoch: the epoch whose weights are kept, 0 before the first.
        best_value: the selecting monitor's value there.
        stop_value: the best value that counted for early stopping.
        stop_epoch: the epoch of ``stop_value``.
        finished: no further epoch is wanted.
        stopped_early: finished before the budget.
    """

    epoch: int = 0
    best_epoch: int = 0
    best_value: float | None = None
    stop_value: float | None = None
    stop_epoch: int = 0
    finished: bool = False
    stopped_early: bool = False


def read_epoch(reader: Reader, state: ReaderState, metrics: Mapping[str, float]) -> ReaderState:
    """Return the state after one more epoch.

    Args:
        reader: the run's reader.
        state: where it stood.
        metrics: the epoch's metrics by full name, such as ``val_accuracy``.

    Raises:
        KeyError: when a monitored metric is missing.
    """
    epoch = state.epoch + 1
    select = reader.select_rule
    if select.monitor == LAST:
        best_epoch, best_value = epoch, None
    else:
        best_epoch, best_value = state.best_epoch, state.best_value
        value = metrics[select.monitor]
        if _better(value, best_value, select.mode, 0.0):
            best_epoch, best_value = epoch, value
    state = replace(state, epoch=epoch, best_epoch=best_epoch, best_value=best_value)
    stopped = False
    rule = reader.stop_rule
    if rule is not None:
        value = metrics[rule.monitor]
        if _better(value, state.stop_value, rule.mode, rule.tolerance):
            state = replace(state, stop_value=value, stop_epoch=epoch)
        stopped = epoch - state.stop_epoch >= rule.patience
    at_end = epoch >= reader.budget
    return replace(state, finished=stopped or at_end, stopped_early=stopped and not at_end)


def replayed(
    readers: Mapping[str, Reader], history: Sequence[Mapping[str, float]]
) -> dict[str, ReaderState]:
    """Return where readers stand after the epochs of a history of metrics by full name."""
    states = {name: ReaderState() for name in readers}
    for metrics in history:
        for name, state in states.items():
            if not state.finished:
                states[name] = read_epoch(readers[name], state, metrics)
    return states


def kept_epochs(reader: Reader, state: ReaderState) -> dict[KeptWeights, int]:
    """Return the epochs whose weights a satisfied reader keeps, by which weights they are."""
    return {which: state.best_epoch if which == "best" else state.epoch for which in reader.keeps}


def epochs_to_keep(readers: Mapping[str, Reader], states: Mapping[str, ReaderState]) -> set[int]:
    """Return the epochs whose weights some reader keeps, or would if it were to go on."""
    found: set[int] = set()
    for name, state in states.items():
        kept = kept_epochs(readers[name], state)
        found.update(kept.values() if state.finished else (kept["best"],))
    return found


def unwritten(
    readers: Mapping[str, Reader],
    states: Mapping[str, ReaderState],
    written: Collection[str],
) -> dict[str, ReaderState]:
    """Return the readers but those that are satisfied and whose weights are written.

    Args:
        readers: all readers.
        states: where they stand.
        written: names of artifacts.
    """
    return {
        name: state
        for name, state in states.items()
        if not (state.finished and weights_of(name, readers[name]) <= set(written))
    }


def weights_of(name: str, reader: Reader) -> set[str]:
    """Return the artifact names of the weights that a reader keeps."""
    return {weights_name(name, which) for which in reader.keeps}


def _better(value: float, best: float | None, mode: str, tolerance: float) -> bool:
    """Return whether ``value`` improves on ``best``; a value that is no number never does."""
    if best is None:
        return True
    if math.isnan(best):
        return not math.isnan(value)
    return value < best - tolerance if mode == "min" else value > best + tolerance


def divergence(
    step_losses: Sequence[float],
    first_mean: float | None,
    diverged_if: float,
    num_steps: int | None = None,
) -> int | None:
    """Return the first diverged step (from 1) of an epoch, or None.

    A loss that is not finite has diverged at once. A large one counts when the mean of
    ``DIVERGENCE_STEPS`` steps in a row is above the limit (of all, in an epoch with fewer): with
    small batches, a single step of a healthy training may be that large.

    Args:
        step_losses: the losses of the epoch's steps.
        first_mean: mean loss of the first epoch; None within it, where only a loss that is not
            finite counts.
        diverged_if: multiple of ``first_mean`` above which losses count as diverged.
        num_steps: steps of the epoch, where the losses are only those up to a divergence.
    """
    limit = math.inf if first_mean is None else first_mean * diverged_if
    width = min(DIVERGENCE_STEPS, num_steps or len(step_losses))
    for step, loss in enumerate(step_losses, start=1):
        window = step_losses[step - width : step] if step >= width else []
        if not math.isfinite(loss) or (window and math.fsum(window) / width > limit):
            return step
    return None
