import math

import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.core.reader import (
    LAST,
    Reader,
    ReaderState,
    SelectRule,
    StopRule,
    divergence,
    read_epoch,
)


def reader(
    budget: int = 100,
    stop: StopRule | None = None,
    select: SelectRule | None = None,
) -> Reader:
    select = select or SelectRule("val_accuracy", "max")
    return Reader(budget, stop, select, "best", 20.0)


def read_all(rules: Reader, losses: list[float], name: str = "val_loss") -> ReaderState:
    state = ReaderState()
    for loss in losses:
        if state.finished:
            break
        state = read_epoch(rules, state, {name: loss, "val_accuracy": -loss})
    return state


def test_budget_ends_the_reading() -> None:
    state = read_all(reader(budget=3), [3.0, 2.0, 1.0, 0.5])
    assert (state.epoch, state.finished, state.stopped_early) == (3, True, False)


def test_patience_counts_epochs_since_the_last_improvement() -> None:
    rules = reader(stop=StopRule("val_loss", "min", patience=2))
    state = read_all(rules, [3.0, 2.0, 2.5, 2.5, 1.0])
    assert (state.epoch, state.stop_epoch, state.stopped_early) == (4, 2, True)


def test_improvement_starts_the_patience_anew() -> None:
    rules = reader(stop=StopRule("val_loss", "min", patience=2))
    assert not read_all(rules, [3.0, 3.0, 2.0, 2.0]).finished


def test_change_of_the_tolerance_is_no_improvement() -> None:
    rules = reader(stop=StopRule("val_loss", "min", patience=1, tolerance=0.5))
    assert read_all(rules, [3.0, 2.5]).stopped_early
    assert not read_all(rules, [3.0, 2.25]).finished


def test_slow_progress_within_the_tolerance_is_measured_from_the_last_improvement() -> None:
    rules = reader(stop=StopRule("val_loss", "min", patience=3, tolerance=0.5))
    state = read_all(rules, [3.0, 2.75, 2.5, 2.25, 2.0])
    assert (state.stop_epoch, state.finished) == (4, False)


def test_stopping_by_a_maximum() -> None:
    rules = reader(stop=StopRule("train_accuracy", "max", patience=1))
    assert read_all(rules, [0.5, 0.6, 0.6], "train_accuracy").epoch == 3


def test_stopping_in_the_last_epoch_is_not_early() -> None:
    rules = reader(budget=2, stop=StopRule("val_loss", "min", patience=1))
    state = read_all(rules, [1.0, 2.0])
    assert (state.finished, state.stopped_early) == (True, False)


@pytest.mark.parametrize(("mode", "best"), [("max", 2), ("min", 1)])
def test_first_of_equally_good_epochs_is_kept(mode: str, best: int) -> None:
    rules = reader(select=SelectRule("val_loss", mode))
    state = read_all(rules, [1.0, 3.0, 1.0, 3.0])
    assert state.best_epoch == best


def test_last_keeps_every_new_epoch() -> None:
    state = read_all(reader(select=SelectRule(LAST, "max")), [1.0, 5.0, 2.0])
    assert (state.best_epoch, state.best_value) == (3, None)


def test_missing_monitor_is_an_error() -> None:
    with pytest.raises(KeyError):
        read_epoch(reader(), ReaderState(), {"val_loss": 1.0})


def test_number_is_better_than_none() -> None:
    rules = reader(select=SelectRule("val_loss", "min"), stop=StopRule("val_loss", "min", 5))
    state = read_all(rules, [math.nan, 2.0, math.nan, 1.0])
    assert (state.best_epoch, state.best_value, state.stop_epoch) == (4, 1.0, 4)


def test_epochs_without_a_number_exhaust_the_patience() -> None:
    state = read_all(reader(stop=StopRule("val_loss", "min", patience=2)), [math.nan] * 9)
    assert (state.epoch, state.best_epoch, state.stopped_early) == (3, 1, True)


values = st.integers(0, 8).map(lambda eighths: eighths / 8)


def brute_force_stop(
    losses: list[float], sign: float, patience: int, tolerance: float, budget: int
) -> int | None:
    """Return the epoch at which a run that follows the definition ends, or None."""
    for epoch in range(1, len(losses) + 1):
        best, since = losses[0], 1
        for earlier in range(2, epoch + 1):
            if sign * (best - losses[earlier - 1]) > tolerance:
                best, since = losses[earlier - 1], earlier
        if epoch - since == patience or epoch == budget:
            return epoch
    return None


@settings(max_examples=examples(200))
@given(
    losses=st.lists(values, min_size=1, max_size=14),
    mode=st.sampled_from(["min", "max"]),
    patience=st.integers(1, 4),
    tolerance=values,
    budget=st.integers(1, 14),
)
def test_reading_agrees_with_the_definition(losses, mode, patience, tolerance, budget) -> None:
    stop = StopRule("val_loss", mode, patience, tolerance)
    state = read_all(reader(budget, stop, SelectRule("val_loss", mode)), losses)
    end = brute_force_stop(losses, 1.0 if mode == "min" else -1.0, patience, tolerance, budget)
    assert state.finished == (end is not None)
    assert state.epoch == (end or len(losses))
    seen = losses[: state.epoch]
    best = min(seen) if mode == "min" else max(seen)
    assert (state.best_value, state.best_epoch) == (best, seen.index(best) + 1)
    assert state.stopped_early == (end is not None and end < budget)


def test_divergence_returns_the_first_step_whose_recent_mean_is_above_the_limit() -> None:
    calm, wild = [1.0] * 15, [100.0] * 10
    assert divergence([*calm, *wild], first_mean=2.0, diverged_if=20.0) == 19
    assert divergence([60.0, 70.0], first_mean=2.0, diverged_if=20.0) == 2


def test_single_large_step_has_not_diverged() -> None:
    assert divergence([*[1.0] * 15, 100.0, *[1.0] * 15], 2.0, 20.0) is None


def test_loss_at_the_limit_has_not_diverged() -> None:
    assert divergence([40.0], first_mean=2.0, diverged_if=20.0) is None


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("first_mean", [None, 2.0])
def test_loss_that_is_not_finite_has_diverged(loss: float, first_mean: float | None) -> None:
    assert divergence([1.0, loss], first_mean, 20.0) == 2


def test_first_epoch_has_no_limit() -> None:
    assert divergence([1.0, 1e30], first_mean=None, diverged_if=2.0) is None


def test_divergence_needs_steps() -> None:
    assert divergence([], first_mean=1.0, diverged_if=2.0) is None
