"""Every rule keeps what is wanted, needs nothing that is not there, and never costs more."""

from dataclasses import replace

import pytest
import stages
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as some
from situations import (
    AUGMENTED,
    called,
    check_rule,
    features_key,
    keys_of,
    plan_of,
    situations,
    with_analyses,
    with_measurements,
    without_features,
)

from runner.core.plan import Facts, Plan
from runner.core.stages import AfterTraining, Analyse, Evaluate, SeesImages, Train
from runner.planner.cost import Cost, cost_of, plan_costs
from runner.planner.explain import analysed
from runner.planner.features import TOO_FEW, use_frozen_features
from runner.planner.rules import RULES, apply_rules

CHECK = settings(max_examples=examples(50))


@CHECK
@given(situations())
def test_every_rule_keeps_to_the_contract(situation: tuple[Plan, Facts]) -> None:
    plan, facts = situation
    for rule in RULES:
        plan = check_rule(rule, plan, facts)


@CHECK
@given(situations())
def test_what_is_wanted_stays(situation: tuple[Plan, Facts]) -> None:
    plan, facts = situation
    assert without_features(apply_rules(plan, facts).stages_by_run) == plan.stages_by_run


@CHECK
@given(situations())
def test_every_need_of_a_planned_stage_is_planned_before_it_or_there(
    situation: tuple[Plan, Facts],
) -> None:
    plan, facts = situation
    before, products = set(facts.done), set(facts.artifacts)
    for stage in apply_rules(plan, facts).stages:
        assert set(stage.needs) <= before
        assert set(stage.consumes) <= products
        before.add(stage.key)
        products.update(stage.produces)


@CHECK
@given(situations())
def test_every_unfinished_run_gets_all_that_it_lacks(situation: tuple[Plan, Facts]) -> None:
    plan, facts = situation
    planned = set(keys_of(apply_rules(plan, facts)))
    for run, keys in plan.stages_by_run.items():
        if run in facts.finished or facts.diverged.intersection(keys):
            continue
        for key in keys:
            assert key in planned or key in facts.done


@CHECK
@given(situations())
def test_nothing_is_planned_twice_or_for_finished_and_diverged_runs(
    situation: tuple[Plan, Facts],
) -> None:
    plan, facts = situation
    planned = keys_of(apply_rules(plan, facts))
    assert len(planned) == len(set(planned))
    useful = {
        key
        for run, keys in plan.stages_by_run.items()
        if run not in facts.finished and not facts.diverged.intersection(keys)
        for key in keys
    }
    asked = plan.after_runs()
    useful |= asked | {need for each in plan.stages if each.key in asked for need in each.needs}
    pixels = {key[1:] for key in useful if key.startswith("p")}
    assert set(planned) <= useful | {f"f{name}" for name in pixels}


@CHECK
@given(situations())
def test_a_stage_is_done_again_only_when_its_product_is_gone_and_needed(
    situation: tuple[Plan, Facts],
) -> None:
    plan, facts = situation
    planned = apply_rules(plan, facts)
    needed = {name for stage in planned.stages for name in stage.consumes}
    again = [stage for stage in planned.stages if stage.key in facts.done]
    for stage in again:
        gone = set(stage.produces) - facts.artifacts
        assert gone
        assert isinstance(stage, Analyse) or gone & needed  # people look at what analyses leave
    why = [each for each in planned.decisions if each.why.startswith("done before, but ")]
    assert {each.stage_key for each in why} == {stage.key for stage in again}


@CHECK
@given(situations(), some.randoms(use_true_random=False))
def test_the_order_of_runs_does_not_matter(situation: tuple[Plan, Facts], draw) -> None:
    plan, facts = situation
    by_key = {stage.key: stage for stage in plan.stages}
    runs = list(plan.stages_by_run)
    draw.shuffle(runs)
    shuffled = replace(
        plan,
        stages=tuple(
            by_key[key]
            for run in runs
            for key in (
                *plan.stages_by_run[run],
                *plan.measurements.get(run, ()),
                *plan.analyses.get(run, ()),
            )
        ),
        stages_by_run={run: plan.stages_by_run[run] for run in runs},
    )
    one, other = apply_rules(plan, facts), apply_rules(shuffled, facts)
    assert set(keys_of(one)) == set(keys_of(other))
    assert one.skipped == other.skipped
    assert set(one.decisions) == set(other.decisions)


@CHECK
@given(situations())
def test_planning_twice_is_planning_once(situation: tuple[Plan, Facts]) -> None:
    plan, facts = situation
    once = apply_rules(plan, facts)
    twice = apply_rules(once, facts)
    assert (twice.stages, twice.stages_by_run, twice.skipped) == (
        once.stages,
        once.stages_by_run,
        once.skipped,
    )


@CHECK
@given(situations())
def test_every_stage_is_planned_or_skipped_with_a_reason(situation: tuple[Plan, Facts]) -> None:
    plan, facts = situation
    planned = apply_rules(plan, facts)
    named = set(keys_of(planned)) | set(planned.skipped)
    assert {key for key in named if not key.startswith("f")} == set(keys_of(plan))
    assert set(keys_of(planned)).isdisjoint(planned.skipped)
    assert all(planned.skipped.values())


@CHECK
@given(situations())
def test_nothing_is_trained_to_measure_a_finished_run(situation: tuple[Plan, Facts]) -> None:
    plan, facts = situation
    asked = plan.after_runs()
    others = tuple(stage for stage in plan.stages if stage.key not in asked)
    without = apply_rules(replace(plan, stages=others, measurements={}, analyses={}), facts)
    planned = apply_rules(plan, facts)
    finished = {
        stage.key
        for stage in plan.stages
        if isinstance(stage, AfterTraining) and stage.epoch_number is not None
    }
    if finished == asked:
        trained = [stage.key for stage in planned.stages if isinstance(stage, Train)]
        assert trained == [stage.key for stage in without.stages if isinstance(stage, Train)]
    for stage in planned.stages:
        if stage.key in finished:
            assert isinstance(stage, AfterTraining)
            reads = isinstance(stage, Evaluate) and stage.from_logits
            assert (stage.logits if reads else stage.weights) in facts.artifacts


ONE = plan_of([(0, 3, True)])
KEYS = keys_of(ONE)
BOTH = frozenset({"pixels/p0", "weights/t0.3-last"})


@pytest.mark.parametrize(
    ("done", "artifacts", "planned"),
    [
        ([], [], KEYS),
        (KEYS[:1], BOTH, KEYS[1:]),
        (KEYS[:1], [], KEYS),
        (KEYS[:2], BOTH, KEYS[2:]),
        (KEYS[:2], ["weights/t0.3-last"], [KEYS[0], KEYS[2]]),
        (KEYS[:2], ["pixels/p0"], KEYS[1:]),
        (KEYS[:2], ["pixels/p0", "weights/t0.3-best"], KEYS[1:]),
        (KEYS[:2], [], KEYS),
        (KEYS, [], []),
    ],
)
def test_what_is_left_of_one_run(done: list[str], artifacts, planned: list[str]) -> None:
    facts = Facts(done=frozenset(done), artifacts=frozenset(artifacts))
    assert keys_of(apply_rules(ONE, facts)) == planned


def test_logits_take_the_place_of_images_and_weights_that_are_gone() -> None:
    finished = dict.fromkeys(ONE.stages_by_run, "done")
    plan = with_measurements(ONE, set(finished), finished)
    measured = plan.stages[-1]
    assert isinstance(measured, Evaluate)
    gone = Facts(done=frozenset(KEYS), finished=finished)
    assert apply_rules(plan, gone).stages == ()
    for weights in ([], [measured.weights]):
        facts = replace(gone, artifacts=frozenset([measured.logits, *weights]))
        (left,) = apply_rules(plan, facts).stages
        assert left.key == measured.key
        assert (left.needs, left.consumes) == ((), (measured.logits,))
    assert apply_rules(plan, replace(facts, done=facts.done | {measured.key})).stages == ()


def test_what_weights_that_are_gone_cost_is_said_once_for_all_that_is_asked_of_a_run() -> None:
    both = plan_of([(0, 3, False), (0, 1, False)])
    runs = dict.fromkeys(both.stages_by_run, "done")
    plan = with_measurements(both, {"run-0"}, runs)
    asked = {"run-0": ["maps", "numbers", "weights"], "run-1": ["maps"]}
    plan = with_analyses(plan, asked, runs)
    facts = Facts(
        done=frozenset({"p0", "t0.3", "t0.1", "weights-t0.3", "maps-t0.1"}),
        artifacts=frozenset({"pixels/p0", "analyses/maps-t0.1"}),
        finished=runs,
        seconds={"kind": 2.0},
    )
    planned = apply_rules(plan, facts)
    assert planned.stages == ()
    (decision,) = planned.decisions
    assert decision.why == (
        "maps, numbers, test_m and the arrays of weights of 1 finished run cannot be computed: its"
        " weights are gone; only training again (run --rerun) would bring them back: at most 99"
        " epochs, about 3 min 18 s"
    )
    there = replace(facts, artifacts=facts.artifacts | {"weights/t0.3-best"})
    again = {stage.key: stage for stage in apply_rules(plan, there).stages}
    assert again.keys() == {"m-t0.3", "maps-t0.3", "numbers-t0.3", "weights-t0.3"}
    assert again["weights-t0.3"].consumes == ("weights/t0.3-best",)
    assert analysed(apply_rules(plan, there)) == {"maps": 1, "numbers": 1, "weights": 1}


def test_equal_stages_of_two_runs_are_done_once() -> None:
    plan = apply_rules(plan_of([(0, 1, True), (0, 2, True), (0, 1, True)]), Facts())
    assert keys_of(plan) == ["p0", "t0.1", "et0.1", "t0.2", "et0.2"]


def test_what_diverged_is_neither_trained_again_nor_evaluated() -> None:
    facts = Facts(done=frozenset(KEYS[:2]), diverged=frozenset(KEYS[1:2]))
    plan = apply_rules(ONE, facts)
    assert plan.stages == ()
    assert plan.skipped[KEYS[2]] == "what it needs diverged"


def test_the_cost_counts_seconds_bytes_and_what_is_unknown() -> None:
    facts = Facts(seconds={"kind": 2.0})
    assert cost_of(ONE.stages, facts) == Cost(3, 4, 8.0, 0, 110)
    assert cost_of(ONE.stages, Facts()) == Cost(3, 4, 0.0, 1, 110)
    naive = plan_of([(0, 3, True), (0, 3, True)])
    wanted, planned = plan_costs(naive, apply_rules(naive, facts), facts)
    assert (wanted.seconds, planned.seconds) == (16.0, 8.0)


def test_images_that_analyses_change_count_once_and_as_far_as_the_cache_holds_them() -> None:
    same = {"changed_key": "some images", "changed_bytes": 70}
    analyses = [
        stages.analyse("a", "t", **same),
        stages.analyse("b", "u", **same),
        stages.analyse("c", "t", changed_key="others", changed_bytes=5),
        stages.analyse("d", "t"),
    ]
    assert cost_of(analyses, Facts()).changed_bytes == 75
    trained = stages.train("t", 3, state_bytes=30)
    cost = cost_of([trained, *analyses], Facts(cache_limit=90))
    assert (cost.state_bytes, cost.changed_bytes) == (30, 60)


def shown(plan: Plan) -> list[str]:
    """Return the planned stages with what they need, as text."""
    return [f"{called(stage.key)} <- {' '.join(map(called, stage.needs))}" for stage in plan.stages]


FROZEN = plan_of([(0, 0, True, True), (0, 1, False, True), (0, 2, True, False)])


def test_frozen_features_are_computed_once_for_all_that_need_them() -> None:
    plan = apply_rules(FROZEN, Facts())
    assert shown(plan) == [
        "p0 <- ",
        "f0 <- p0",
        "t0.10 <- p0 f0",
        "et0.10 <- p0 t0.10 f0",
        "t0.11 <- p0 f0",
        "t0.2 <- p0",
        "et0.2 <- p0 t0.2",
    ]
    assert plan.stages_by_run == {
        "run-0": ("p0", features_key(0), "t0.10", "et0.10"),
        "run-1": ("p0", features_key(0), "t0.11"),
        "run-2": ("p0", "t0.2", "et0.2"),
    }
    costs = {stage.key: stage.cost_key for stage in plan.stages if isinstance(stage, Train)}
    assert costs["t0.10"] == costs["t0.11"] != costs["t0.2"]
    assert all(
        (stage.to_json().get("features") == "features/f0") == (features_key(0) in stage.needs)
        for stage in plan.stages
    )


def test_features_that_lie_on_the_disk_are_used_as_they_are() -> None:
    done = Facts(
        done=frozenset({"p0", features_key(0)}),
        artifacts=frozenset({"pixels/p0", "features/f0"}),
        cache_limit=0,
    )
    plan = apply_rules(FROZEN, done)
    assert shown(plan)[0] == "t0.10 <- p0 f0"
    assert plan.decisions == ()
    # another database made them: this one records them as its own, whatever the limit
    elsewhere = replace(done, done=frozenset({"p0"}))
    assert shown(apply_rules(FROZEN, elsewhere))[0] == "f0 <- p0"
    assert apply_rules(FROZEN, elsewhere).decisions == ()
    gone = replace(done, artifacts=frozenset({"pixels/p0"}), cache_limit=100)
    assert shown(apply_rules(FROZEN, gone))[0] == "f0 <- p0"


def test_a_run_whose_training_is_done_needs_no_features() -> None:
    chains = plan_of([(0, 1, False, True)])
    plan = apply_rules(chains, Facts(done=frozenset({"p0", "t0.11"})))
    assert shown(plan) == []
    assert plan.stages_by_run == chains.stages_by_run


def test_features_over_the_limit_of_the_cache_are_computed_in_every_epoch() -> None:
    plan = apply_rules(FROZEN, Facts(cache_limit=49))
    assert "f0" not in keys_of(plan)
    assert [each.stage_key for each in plan.decisions] == ["t0.10", "et0.10", "t0.11"]
    assert plan.decisions[0].why == "frozen features of 50 bytes are over the limit of the cache"


def test_the_limit_is_for_all_features_together() -> None:
    two = plan_of([(0, 0, False, True), (1, 0, False, True)])
    plan = apply_rules(two, Facts(cache_limit=99))
    assert [key for key in keys_of(plan) if key.startswith("f")] == ["f0"]


def test_features_on_the_disk_take_their_part_of_the_limit() -> None:
    two = plan_of([(0, 0, False, True), (1, 0, False, True)])
    there = Facts(
        done=frozenset({"p0", features_key(0)}),
        artifacts=frozenset({"pixels/p0", "features/f0"}),
        cache_limit=99,
    )
    plan = apply_rules(two, there)
    assert [stage.on_features for stage in plan.stages if isinstance(stage, Train)] == [True, False]


def on_features(plan: Plan) -> dict[str, bool]:
    """Return which trainings and evaluations of a plan see features at all."""
    return {stage.key: stage.on_features for stage in plan.stages if isinstance(stage, SeesImages)}


def test_what_an_augmented_training_evaluates_is_taken_from_features() -> None:
    plan = apply_rules(plan_of([(0, 3, True, AUGMENTED)]), Facts())  # 4 epochs, 4/3 of all images
    assert shown(plan) == ["p0 <- ", "f0 <- p0", "t0.23 <- p0 f0", "et0.23 <- p0 t0.23 f0"]
    train = next(stage for stage in plan.stages if isinstance(stage, Train))
    assert (train.on_features, train.trains_on_features) == (True, False)
    assert train.title() == "train mlp, evaluated on features, epochs 1–4"
    assert plan.decisions == ()


def test_features_that_save_fewer_passes_than_they_cost_are_not_made() -> None:
    plan = apply_rules(plan_of([(0, 2, True, AUGMENTED)]), Facts())  # 3 epochs, all images once
    assert shown(plan) == ["p0 <- ", "t0.22 <- p0", "et0.22 <- p0 t0.22"]
    assert {each.why for each in plan.decisions} == {TOO_FEW}


def test_features_pay_for_several_trainings_together_or_beside_one_that_needs_them() -> None:
    two = plan_of([(0, 1, False, AUGMENTED), (0, 2, False, AUGMENTED)])
    assert on_features(apply_rules(two, Facts())) == {"t0.21": True, "t0.22": True}
    beside = plan_of([(0, 0, False, AUGMENTED), (0, 0, False, True)])
    assert on_features(apply_rules(beside, Facts())) == {"t0.20": True, "t0.10": True}


def test_features_on_the_disk_serve_augmented_trainings_whatever_they_save() -> None:
    there = Facts(
        done=frozenset({"p0", features_key(0)}),
        artifacts=frozenset({"pixels/p0", "features/f0"}),
        cache_limit=0,
    )
    plan = apply_rules(plan_of([(0, 0, True, AUGMENTED)]), there)
    assert shown(plan) == ["t0.20 <- p0 f0", "et0.20 <- p0 t0.20 f0"]


def test_an_augmented_training_that_goes_on_uses_features_as_it_began() -> None:
    plan = apply_rules(plan_of([(0, 3, False, AUGMENTED)]), Facts())
    (train,) = (stage for stage in plan.stages if isinstance(stage, Train))
    naive = plan_of([(0, 3, False, AUGMENTED)])
    left = replace(
        naive,
        stages=tuple(
            replace(stage, epochs=1) if isinstance(stage, Train) else stage
            for stage in naive.stages
        ),
    )
    again = use_frozen_features(left, Facts())
    assert on_features(again) == {train.key: True}


def test_features_for_whole_trainings_have_the_room_of_the_cache_before_others() -> None:
    plan = plan_of([(0, 3, False, AUGMENTED), (1, 0, False, True)])
    planned = apply_rules(plan, Facts(cache_limit=99))
    assert on_features(planned) == {"t0.23": False, "t1.10": True}
    (decision,) = planned.decisions
    assert decision.stage_key == "t0.23"
    assert decision.why == "frozen features of 50 bytes are over the limit of the cache"


def test_what_is_measured_of_finished_augmented_runs_makes_no_features() -> None:
    naive = plan_of([(0, 3, False, AUGMENTED)])
    plan = with_measurements(naive, {"run-0"}, {"run-0"})
    facts = Facts(
        done=frozenset({"p0", "t0.23"}),
        artifacts=frozenset({"pixels/p0", "weights/t0.23-best"}),
        finished={"run-0": "done"},
    )
    assert shown(apply_rules(plan, facts)) == ["m-t0.23 <- p0"]
