"""How long plans take with several workers, and what is longest to the end."""

import pytest
from stages import evaluate, prepare, train

from runner.core.plan import Cohort, Facts, Plan
from runner.planner.longest import order_of, seconds_to_end, seconds_with, stage_seconds

SHORT, LONG = train("short", 2), train("long", 9)
PLAN = Plan((prepare(), SHORT, LONG, evaluate("e", "long", cost_key="e")), {})
FACTS = Facts(seconds={"p": 5.0, "t": 10.0, "e": 1.0})


def test_stage_is_as_long_as_all_that_waits_for_it() -> None:
    longest = seconds_to_end(PLAN, FACTS)
    assert longest == {"p": 96.0, "short": 20.0, "long": 91.0, "e": 1.0}


def test_what_was_never_measured_takes_the_mean_of_what_was() -> None:
    seconds = stage_seconds(PLAN, Facts(seconds={"t": 10.0}))
    assert seconds == {"p": 10.0, "short": 20.0, "long": 90.0, "e": 10.0}


@pytest.mark.parametrize(("workers", "seconds"), [(1, 116.0), (2, 96.0), (9, 96.0)])
def test_workers_share_what_does_not_wait(workers: int, seconds: float) -> None:
    assert seconds_with(PLAN, FACTS, workers) == seconds


def test_longest_is_begun_first() -> None:
    trainings = tuple(train(f"t{epochs}", epochs) for epochs in (1, 2, 3, 4, 6))
    facts = Facts(seconds={"t": 1.0})
    assert seconds_with(Plan(trainings, {}), facts, 2) == 8.0
    assert seconds_with(Plan(trainings, {}), facts, 3) == 6.0


def test_trainings_that_are_done_together_are_one_piece_of_work() -> None:
    trainings = tuple(train(f"t{number}", 3) for number in range(4))
    cohort = Cohort(("t0", "t1", "t2"), "they share images")
    plan = Plan(trainings, {}, cohorts=(cohort,))
    assert seconds_with(plan, Facts(seconds={"t": 1.0}), 4) == 9.0
    assert seconds_with(Plan((), {}), Facts(), 4) == 0.0


def test_what_ends_a_run_comes_before_trainings() -> None:
    longest = seconds_to_end(PLAN, FACTS)
    names = [stage.key for stage in sorted(PLAN.stages, key=lambda s: order_of([s], longest))]
    assert names == ["e", "p", "long", "short"]
