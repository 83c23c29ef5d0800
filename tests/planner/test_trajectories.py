"""What several runs train alike is trained once, and every run gets all its epochs."""

from dataclasses import replace

import pytest
from families import PIXELS, chain_of, family, naive, shared, span, trainings
from stages import reader, segments

from runner.core.artifacts import state_name
from runner.core.plan import Decision, Facts, Plan
from runner.core.stages import Evaluate
from runner.planner.cost import Cost, cost_of
from runner.planner.rules import RULES, apply_rules, merge_equal_stages


def shown(plan: Plan) -> list[str]:
    """Return the trainings as text: epochs, readers, and the epochs of the one it goes on from."""
    spans = {stage.key: "{}-{}".format(*span(stage)) for stage in trainings(plan)}
    return [
        f"{spans[stage.key]} {' '.join(sorted(stage.readers))}"
        + "".join(f" after {spans[need]}" for need in stage.needs if need in spans)
        for stage in trainings(plan)
    ]


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        pytest.param({"A": "x30", "B": "x40"}, ["1-40 A B"], id="budgets 30 and 40"),
        pytest.param({"A": "x40", "B": "x40"}, ["1-40 A B"], id="readers of equal budgets"),
        pytest.param(
            {"A": "x9", "B": "x40", "C": "x20"}, ["1-40 A B C"], id="three budgets are one"
        ),
        pytest.param(
            {"A": "x15 y25", "B": "x20 z20"},
            ["1-15 A B", "16-40 A after 1-15", "16-40 B after 1-15"],
            id="step sizes 15 and 20",
        ),
        pytest.param(
            {"A": "x10 y10 z10", "B": "x30"},
            ["1-10 A B", "11-30 A after 1-10", "11-30 B after 1-10"],
            id="a step and none",
        ),
        pytest.param({"A": "x10 y20", "B": "x10 y30"}, ["1-40 A B"], id="budgets over equal steps"),
        pytest.param(
            {"A": "x10 y20", "B": "x10 y5 z5"},
            ["1-15 A B", "16-30 A after 1-15", "16-20 B after 1-15"],
            id="a branch in the second segment",
        ),
        pytest.param(
            {"A": "x5 y5", "B": "x5 z5", "C": "x5 w5"},
            ["1-5 A B C", "6-10 A after 1-5", "6-10 B after 1-5", "6-10 C after 1-5"],
            id="three ways",
        ),
        pytest.param(
            {"A": "x5 y5", "B": "x10 z5", "C": "x15 w5", "D": "x18"},
            [
                "1-5 A B C D",
                "6-10 A after 1-5",
                "6-10 B C D after 1-5",
                "11-15 B after 6-10",
                "11-15 C D after 6-10",
                "16-20 C after 11-15",
                "16-18 D after 11-15",
            ],
            id="nested",
        ),
        pytest.param(
            {"A": "x5", "B": "x10 y5", "C": "x10 z5"},
            ["1-10 A B C", "11-15 B after 1-10", "11-15 C after 1-10"],
            id="a budget that ends before the branch",
        ),
        pytest.param(
            {"A": "x10", "B": "x10 y5", "C": "x10 y9"},
            ["1-19 A B C"],
            id="a budget that ends where only others go on",
        ),
        pytest.param({"A": "x5 y5", "B": "w5 y5"}, ["1-10 A", "1-10 B"], id="nothing in common"),
        pytest.param(
            {"A": "x5 y5", "B": "w9", "C": "x7", "D": "w5"},
            ["1-5 A C", "6-10 A after 1-5", "1-9 B D", "6-7 C after 1-5"],
            id="two families",
        ),
    ],
)
def test_what_is_trained_alike_is_trained_once(paths: dict[str, str], expected: list[str]) -> None:
    assert shown(shared(family(paths))) == expected


def test_a_run_alone_keeps_its_stages() -> None:
    plan = family({"A": "x5 y5", "B": "w5 y5"})
    assert shared(plan) == merge_equal_stages(plan, Facts())


def test_runs_that_diverge_at_other_losses_do_not_share() -> None:
    chains = {
        "A": chain_of("A", "x10"),
        "B": chain_of("B", "x20", limit=5.0),
        "C": chain_of("C", "x30"),
    }
    assert shown(shared(naive(chains))) == ["1-30 A C", "1-20 B"]


STEPS = family({"A": "x15 y25", "B": "x20 z20", "C": "x10"})
"""Two step sizes and a run that ends before they part."""


def test_a_branch_goes_on_from_the_state_at_its_parents_end() -> None:
    trunk, left, right = trainings(shared(STEPS))
    state = state_name("x", 15)
    assert trunk.produces == ("weights/A-best", "weights/B-best", "weights/C-best", state)
    assert (trunk.start, trunk.consumes, trunk.needs) == ("", (PIXELS,), ("p",))
    for stage, name in ((left, "A"), (right, "B")):
        assert stage.start == state
        assert stage.consumes == (PIXELS, state)
        assert stage.needs == ("p", trunk.key)
        assert stage.produces == (f"weights/{name}-best",)
        assert stage.settings.json == {"of": name}
    assert trunk.trajectory == segments(("x", 15))
    assert right.trajectory == segments(("x", 20), ("x20z", 20))


def test_readers_stand_with_their_rules_under_the_names_of_their_own_trainings() -> None:
    trunk, left, _ = trainings(shared(STEPS))
    assert trunk.readers == {key: reader() for key in "ABC"}
    assert left.readers == {"A": reader()}


def test_the_settings_of_the_longest_training_hold_for_all_readers() -> None:
    (stage,) = trainings(shared(family({"A": "x30", "B": "x40", "C": "x20"})))
    assert stage.settings.json == {"of": "B"}


def test_a_run_reads_its_trainings_in_order_and_its_evaluation_needs_them_all() -> None:
    plan = shared(STEPS)
    trunk, left, right = (stage.key for stage in trainings(plan))
    assert plan.stages_by_run == {
        "A": ("p", trunk, left, "test-A"),
        "B": ("p", trunk, right, "test-B"),
        "C": ("p", trunk, "test-C"),
    }
    tests = {stage.key: stage for stage in plan.stages if isinstance(stage, Evaluate)}
    assert tests["test-A"].trainings == (trunk, left)
    assert tests["test-A"].needs == ("p", trunk, left)
    assert tests["test-C"].needs == ("p", trunk)
    assert tests["test-A"].consumes == (PIXELS, "weights/A-best")
    assert tests["test-A"].solo_key == "A"


def test_each_stage_comes_where_the_first_run_needs_it() -> None:
    plan = shared(STEPS)
    trunk, left, right = (stage.key for stage in trainings(plan))
    assert [stage.key for stage in plan.stages] == [
        "p", trunk, left, "test-A", right, "test-B", "test-C",
    ]  # fmt: skip


def test_what_is_shared_is_told() -> None:
    plan = shared(STEPS)
    trunk = trainings(plan)[0].key
    why = "epochs 1 to 15 are trained once for 3 runs"
    assert plan.decisions == (Decision("share_trajectories", trunk, why),)
    nested = shared(family({"A": "x5 y5", "B": "x10 z5", "C": "x10 w5"}))
    assert [each.why for each in nested.decisions] == [
        "epochs 1 to 5 are trained once for 3 runs",
        "epochs 6 to 10 are trained once for 2 runs",
    ]


def test_the_cost_is_that_of_the_epochs_that_differ() -> None:
    facts = Facts(seconds={"t": 2.0})
    assert cost_of(merge_equal_stages(STEPS, facts).stages, facts) == Cost(7, 90, 180.0, 0, 130)
    assert cost_of(shared(STEPS).stages, facts) == Cost(7, 65, 130.0, 0, 130)


def test_a_parent_is_trained_again_only_when_a_branch_needs_its_state() -> None:
    plan = shared(STEPS)
    trunk, left, right = trainings(plan)
    state = trunk.produces[-1]
    ended = frozenset({"p", trunk.key, left.key, "test-A", "test-C"})
    there = Facts(done=ended, finished={"A": "done"}, artifacts=frozenset({PIXELS, state}))
    # while A is unfinished the tree is the same: its stages are done under their keys
    there = replace(there, finished={})
    assert [each.key for each in apply_rules(STEPS, there).stages] == [right.key, "test-B"]
    gone = replace(there, artifacts=frozenset({PIXELS}))
    again = apply_rules(STEPS, gone)
    assert [each.key for each in again.stages] == [trunk.key, right.key, "test-B"]
    assert (
        Decision(
            "skip_done_stages", trunk.key, f"done before, but {state} is no longer whole on disk"
        )
        in again.decisions
    )
    weights = frozenset({PIXELS, *trunk.produces}) - {state}
    other = replace(gone, done=ended | {right.key, "test-B"}, artifacts=weights)
    assert apply_rules(STEPS, other).stages == ()


def test_after_a_divergence_only_the_satisfied_are_evaluated() -> None:
    plan = shared(STEPS)
    trunk = trainings(plan)[0]
    facts = Facts(
        done=frozenset({"p", trunk.key}),
        diverged=frozenset({trunk.key}),
        finished_readers=frozenset({"C"}),
        artifacts=frozenset({PIXELS, "weights/C-best"}),
    )
    after = apply_rules(STEPS, facts)
    assert [stage.key for stage in after.stages] == ["test-C"]
    assert {key for key, why in after.skipped.items() if why == "what it needs diverged"} == {
        *(stage.key for stage in trainings(plan)[1:]),
        "test-A",
        "test-B",
    }


def test_the_rule_comes_before_those_that_look_at_what_is_done() -> None:
    names = [rule.__name__ for rule in RULES]
    assert names.index("share_trajectories") < names.index("skip_after_divergence")
    assert names.index("share_trajectories") < names.index("skip_done_stages")
    # runs with results have their part in the keys
    assert names.index("share_trajectories") < names.index("skip_finished_runs")


def test_the_branch_that_is_left_keeps_its_key_when_its_siblings_have_results() -> None:
    trunk, _, right = trainings(shared(STEPS))
    others = {"A": "done", "C": "done"}
    done = Facts(done=frozenset({"p", trunk.key}), finished=others)
    there = replace(done, artifacts=frozenset({PIXELS, trunk.produces[-1]}))
    assert [each.key for each in apply_rules(STEPS, there).stages] == [right.key, "test-B"]
    # the trunk was never trained for them: B's whole training is one stage, under that key
    (alone,) = trainings(apply_rules(STEPS, replace(done, done=frozenset())))
    assert (alone.key, span(alone), alone.start) == (right.key, (1, 40), "")


def test_runs_with_results_are_no_readers_and_do_not_make_a_training_longer() -> None:
    plan = family({"A": "x30", "B": "x40", "C": "x20"})
    (whole,) = trainings(shared(plan))
    (left,) = trainings(apply_rules(plan, Facts(finished={"B": "done"})))
    assert left.key == whole.key
    assert set(left.readers) == {"A", "C"}
    assert (span(left), left.epochs) == ((1, 30), 30)
    assert left.produces == ("weights/A-best", "weights/C-best")
