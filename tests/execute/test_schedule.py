"""Whatever becomes of its stages, a schedule goes through a plan, parents first."""

from __future__ import annotations

from dataclasses import replace

import stages
from families import chain_of, naive, shared, trainings
from hypothesis import given
from hypothesis import strategies as some

from runner.core.plan import Cohort, Facts, Plan
from runner.core.prefix import FrozenPrefix
from runner.core.stages import Evaluate, Train
from runner.execute.schedule import Schedule
from runner.planner.together import train_together

PATHS = some.lists(
    some.tuples(some.sampled_from("xy"), some.integers(1, 4)), min_size=1, max_size=3
).map(lambda pieces: " ".join(f"{values}{length}" for values, length in pieces))


@some.composite
def plans(draw) -> Plan:
    """Draw the plan of runs that share the beginnings of their trainings, some of them tested.

    Trainings of one depth may be done together.
    """
    paths = draw(some.lists(PATHS, min_size=1, max_size=6))
    plan = shared(
        naive(
            {
                f"R{number}": chain_of(f"R{number}", path, tested=draw(some.booleans()))
                for number, path in enumerate(paths)
            }
        )
    )
    return train_together(with_streams(plan, draw(some.booleans())), Facts())


def with_streams(plan: Plan, is_frozen: bool) -> Plan:
    """Return a plan whose trainings see the same batches behind frozen layers, or do not."""
    seen = {"stream": "b", "prefix": FrozenPrefix("f", "flatten", (3,), None)} if is_frozen else {}
    made = [replace(stage, **seen) if isinstance(stage, Train) else stage for stage in plan.stages]
    return replace(plan, stages=tuple(made))


class Gone:
    """A way through a plan: stages end as drawn.

    Attributes:
        order: keys of the stages in the order in which they were done.
        over: runs in the order in which they were over.
    """

    def __init__(self, plan: Plan, data: some.DataObject) -> None:
        self.plan, self.data = plan, data
        self.schedule = Schedule(plan, (), {})
        self.order: list[str] = []
        self.blocked: list[str] = []
        self.over: list[str] = []
        self.statuses: dict[str, str] = {}
        self.last_training = {
            run: [key for key in chain if key in trainings_of(plan)][-1]
            for run, chain in plan.stages_by_run.items()
        }

    def go(self) -> None:
        """Do what is ready until nothing is left; every pass must end or split something."""
        pending = self.schedule.pending
        while pending:
            before = (len(pending), len(self.schedule.together()))
            for unit in self.schedule.together():
                standings = {stage.key: self.schedule.standing(stage) for stage in unit}
                waiting = [stage for stage in unit if standings[stage.key] == "waiting"]
                for stage in waiting:
                    assert any(need in pending for need in stage.needs)
                if waiting:
                    continue
                if len(unit) > 1 and self.data.draw(some.booleans()):
                    self.schedule.split([stage.key for stage in unit])
                    continue
                for stage in unit:
                    assert not any(need in pending for need in stage.needs)
                    self.end(stage.key, standings[stage.key] == "blocked")
            assert (len(pending), -len(self.schedule.together())) < (before[0], -before[1])

    def end(self, key: str, is_blocked: bool) -> None:
        status = "blocked"
        if is_blocked:
            self.blocked.append(key)
        else:
            self.order.append(key)
            status = self.data.draw(some.sampled_from(["done", "done", "diverged", "failed"]))
            self.schedule.learn(self.outcomes(key, status))
        self.statuses[key] = status
        self.schedule.end(key, status)
        for run in self.schedule.runs_over([key]):
            self.over.append(run)
            self.schedule.close_run(run)

    def outcomes(self, key: str, status: str) -> dict[str, dict[str, str]]:
        """Return what becomes of a training's readers: some may have enough before its end."""
        found: dict[str, dict[str, str]] = {}
        for run in trainings_of(self.plan).get(key, ()):
            if run in self.schedule.outcomes:
                continue
            if self.data.draw(some.booleans()) or (
                status == "done" and self.last_training[run] == key
            ):
                found[run] = {"status": "done"}
            elif status == "diverged":
                found[run] = {"status": "diverged"}
        return found


def trainings_of(plan: Plan) -> dict[str, list[str]]:
    """Return the readers of each training by its key; here they are called as their runs."""
    return {stage.key: list(stage.readers) for stage in trainings(plan)}


@given(plans(), some.data())
def test_every_stage_ends_once_and_every_run_is_over_once(
    plan: Plan, data: some.DataObject
) -> None:
    gone = Gone(plan, data)
    gone.go()
    keys = [stage.key for stage in plan.stages]
    assert sorted([*gone.order, *gone.blocked]) == sorted(keys)
    assert sorted(gone.over) == sorted(plan.stages_by_run)
    assert gone.schedule.runs_over() == []


@given(plans(), some.data())
def test_a_test_is_done_just_where_its_run_has_weights(plan: Plan, data: some.DataObject) -> None:
    gone = Gone(plan, data)
    gone.go()
    for stage in plan.stages:
        if isinstance(stage, Evaluate):
            outcome = gone.schedule.outcomes.get(stage.solo_key, {"status": "lost"})
            # the images are prepared, or every run would be without a training
            has_weights = outcome["status"] == "done" and gone.statuses["p"] == "done"
            assert (stage.key in gone.order) == has_weights


@given(plans())
def test_a_plan_without_a_failure_blocks_nothing(plan: Plan) -> None:
    schedule = Schedule(plan, (), {})
    for stage in plan.stages:
        assert schedule.standing(stage) == "ready"
        schedule.learn({run: {"status": "done"} for run in trainings_of(plan).get(stage.key, ())})
        schedule.end(stage.key, "done")
    assert schedule.pending == {}
    assert schedule.runs_over() == list(plan.stages_by_run)


@given(plans(), some.data())
def test_stages_that_ended_before_are_not_waited_for(plan: Plan, data: some.DataObject) -> None:
    """A plan leaves out what is done: here a beginning of its stages, in their order."""
    count = data.draw(some.integers(0, len(plan.stages)))
    done = {stage.key: "done" for stage in plan.stages[:count]}
    rest = Plan(plan.stages[count:], plan.stages_by_run)
    schedule = Schedule(rest, (), done)
    names = {run for key in done for run in trainings_of(plan).get(key, ())}
    schedule.learn({run: {"status": "done"} for run in names})
    if rest.stages:
        assert schedule.standing(rest.stages[0]) == "ready"
    over = [run for run, chain in plan.stages_by_run.items() if done.keys() >= set(chain)]
    assert sorted(schedule.runs_over()) == sorted(over)


def test_a_finished_run_is_never_over_again() -> None:
    plan = shared(naive({"A": chain_of("A", "x2"), "B": chain_of("B", "x3")}))
    schedule = Schedule(plan, {"A"}, {})
    for stage in plan.stages:
        schedule.end(stage.key, "done")
    assert schedule.runs_over() == ["B"]


def test_what_does_not_fit_together_is_done_in_halves() -> None:
    many = [stages.train(key, pixels="p") for key in "abcde"]
    plan = Plan((stages.prepare("p"), *many), {}, cohorts=(Cohort(tuple("abcde"), "why"),))
    schedule = Schedule(plan, (), {})

    def together() -> list[str]:
        return ["".join(stage.key for stage in each) for each in schedule.together()]

    assert together() == ["p", "abcde"]
    schedule.end("p", "done")
    schedule.end("b", "done")
    assert together() == ["acde"]
    schedule.split(list("acde"))
    assert together() == ["ac", "de"]
    schedule.split(list("de"))
    assert together() == ["ac", "d", "e"]
    schedule.end("a", "failed")
    assert together() == ["c", "d", "e"]


def test_one_that_was_elsewhere_when_others_did_not_fit_is_done_alone() -> None:
    many = [stages.train(key) for key in "abcd"]
    schedule = Schedule(Plan(tuple(many), {}, cohorts=(Cohort(tuple("abcd"), "why"),)), (), {})
    schedule.split(list("abc"))  # another process had d
    assert [[stage.key for stage in each] for each in schedule.together()] == [
        ["a", "b"],
        ["c"],
        ["d"],
    ]
