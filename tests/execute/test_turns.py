"""In which order pending stages are tried: longest first, each once, nobody far from its turn."""

import pytest
from stages import train

from runner.core.plan import Cohort, Plan
from runner.core.stages import Train
from runner.core.trajectory import Segment, Trajectory
from runner.execute.schedule import Schedule
from runner.execute.turns import Turns

COUNT = 20


def training(number: int) -> Train:
    return train(f"t{number}", Trajectory((Segment(f"s{number}", 1, 2),)))


STAGES = tuple(training(number) for number in range(COUNT))
LONGEST = {f"t{number}": float(number * 7 % COUNT) for number in range(COUNT)}
SORTED = sorted(LONGEST, key=lambda key: -LONGEST[key])


def schedule(cohorts: tuple[Cohort, ...] = ()) -> Schedule:
    chains = {stage.key: (stage.key,) for stage in STAGES}
    return Schedule(Plan(stages=STAGES, stages_by_run=chains, cohorts=cohorts), (), {})


def keys(turns: Turns, at_work: int = 0) -> list[str]:
    return [stage.key for group in turns.next(at_work) for stage in group]


def test_what_takes_longest_comes_first() -> None:
    assert keys(Turns(schedule(), LONGEST)) == SORTED


def test_without_lengths_it_is_the_order_of_the_plan() -> None:
    assert keys(Turns(schedule(), {}), at_work=5) == [stage.key for stage in STAGES]


@pytest.mark.parametrize("at_work", [1, 4, COUNT, 2 * COUNT])
def test_each_draws_among_as_many_as_are_at_work(at_work: int) -> None:
    turns, places = Turns(schedule(), LONGEST), set()
    for _ in range(50):
        found = keys(turns, at_work)
        assert sorted(found) == sorted(SORTED)
        assert all(found.index(key) >= SORTED.index(key) - at_work for key in SORTED)
        places.add(found.index(SORTED[0]))
    assert len(places) > 1


def test_who_was_late_draws_among_more_until_it_is_first_again() -> None:
    turns = Turns(schedule(), LONGEST)
    for _ in range(3):
        turns.was_late()
    drawn = [keys(turns) for _ in range(50)]
    assert {found[0] for found in drawn} == set(SORTED[:8])
    assert all(sorted(found) == sorted(SORTED) for found in drawn)
    for _ in range(3):
        turns.was_first()
    assert keys(turns) == SORTED


def test_who_is_late_parts_in_the_middle_of_a_turn() -> None:
    firsts = set()
    for _ in range(50):
        turns = Turns(schedule(), LONGEST)
        coming = turns.next(0)
        assert [each.key for each in next(coming)] == SORTED[:1]
        turns.was_late()
        firsts.add(next(coming)[0].key)
    assert firsts == set(SORTED[1:3])


def test_what_has_ended_is_tried_no_more() -> None:
    planned = schedule()
    turns = Turns(planned, LONGEST)
    assert len(keys(turns)) == COUNT
    planned.end(SORTED[0], "done")
    planned.end(SORTED[5], "failed")
    left = [key for key in SORTED if key not in (SORTED[0], SORTED[5])]
    assert keys(turns) == left


def test_what_no_longer_fits_together_is_tried_apart() -> None:
    planned = schedule((Cohort(("t0", "t1", "t2", "t3"), "one data set"),))
    turns = Turns(planned, LONGEST)
    assert ["t0", "t1", "t2", "t3"] in [[stage.key for stage in each] for each in turns.next(0)]
    planned.split(["t0", "t1", "t2", "t3"])
    groups = [[stage.key for stage in each] for each in turns.next(0)]
    assert ["t0", "t1"] in groups
    assert ["t2", "t3"] in groups
