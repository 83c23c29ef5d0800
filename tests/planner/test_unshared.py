"""Why trainings of own code share less is told once for all of them."""

import stages
from families import naive

from runner.core.plan import Facts, Plan
from runner.core.sharing import Unshared
from runner.planner.rules import apply_rules
from runner.planner.sampling import sample_runs
from runner.planner.unshared import ALONE, MIXED, not_shared, told_of_own_code


def plan_of(**unshared: Unshared) -> Plan:
    """Return the naive plan of runs of ten epochs each, called as given."""
    return naive(
        {
            name: (
                stages.prepare(),
                stages.train(name, stages.segments((name, 10)), unshared=why),
            )
            for name, why in unshared.items()
        }
    )


def told(plan: Plan, facts: Facts) -> list[str]:
    return list(not_shared(plan, apply_rules(plan, facts), facts, {}, {"a": "A", "b": "B"}))


def test_each_reason_is_told_with_all_its_runs() -> None:
    both = plan_of(a=Unshared("it draws"), b=Unshared("it draws"))
    assert told(both, Facts()) == [f"A, B: it draws; {ALONE}"]
    assert told(both, Facts(finished={"a": "done"})) == [f"B: it draws; {ALONE}"]
    assert told(both, Facts(finished={"a": "done", "b": "failed"})) == []
    mixed = plan_of(a=Unshared("it draws", "it mixes"))
    assert told(mixed, Facts()) == [f"A: it draws; {ALONE}", f"A: it mixes; {MIXED}"]


def test_runs_that_may_share_nothing_are_no_sample_of_sharing() -> None:
    plan = plan_of(a=Unshared("it draws"), b=Unshared(images="it mixes"))
    assert sample_runs(plan, 4) == ("b",)
    assert sample_runs(plan_of(a=Unshared("it draws")), 4) == ()


def test_what_is_trained_now_is_told_of_once() -> None:
    plan = plan_of(a=Unshared("it draws"), b=Unshared("it draws", "it mixes"))
    done = Facts(finished={"a": "done", "b": "done"})
    assert list(told_of_own_code(plan)) == [f"it draws; {ALONE}", f"it mixes; {MIXED}"]
    assert list(told_of_own_code(apply_rules(plan, done))) == []
