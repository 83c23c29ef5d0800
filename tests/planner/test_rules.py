"""Every rule keeps what is wanted, needs nothing that is not there, and never costs more."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
import stages
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as some

from runner.core.keys import content_key
from runner.core.plan import Facts, Plan
from runner.core.stages import FrozenPrefix, Stage, Train
from runner.planner.cost import Cost, cost_of, plan_costs
from runner.planner.features import features_of
from runner.planner.rules import RULES, apply_rules, merge_equal_stages, use_frozen_features

CHECK = settings(max_examples=examples(50))


def chain(pixels: int, training: int, tested: bool, frozen: bool = False) -> tuple[Stage, ...]:
    if frozen:
        prefix = FrozenPrefix(f"f{pixels}", "flatten", (3,), num_bytes=50)
        prepare, *others = chain(pixels, 10 + training, tested)
        return (prepare, *(replace(stage, prefix=prefix) for stage in others))
    prepare = stages.prepare(f"p{pixels}", num_bytes=100, cost_key="")
    name = f"t{pixels}.{training}"
    # trainings of odd names keep two weights, of which the evaluation looks at the latter
    rule = stages.reader(tested="last" if training % 2 else "best")
    train = stages.train(
        name, training + 1, prepare.key, {name: rule}, cost_key="kind", num_bytes=10
    )
    if not tested:
        return (prepare, train)
    return (prepare, train, stages.evaluate(f"e{name}", name, prepare.key, epoch=rule.keeps[-1]))


def features_key(pixels: int) -> str:
    """Return the key of the stage that computes the frozen prefix."""
    return content_key("stage", f"f{pixels}")


FEATURES = {features_key(pixels): f"f{pixels}" for pixels in range(3)}


def called(key: str) -> str:
    """Return what tests call a stage."""
    return FEATURES.get(key, key)


def plan_of(wanted: list[tuple[int, int, bool] | tuple[int, int, bool, bool]]) -> Plan:
    chains = {f"run-{index}": chain(*each) for index, each in enumerate(wanted)}
    return Plan(
        stages=tuple(stage for each in chains.values() for stage in each),
        stages_by_run={run: stages.keys_of(each) for run, each in chains.items()},
    )


WANTED = some.lists(
    some.tuples(some.integers(0, 2), some.integers(0, 3), some.booleans(), some.booleans()),
    min_size=1,
    max_size=7,
)


@some.composite
def situations(draw) -> tuple[Plan, Facts]:
    """Draw a naive plan, and facts that can come about."""
    plan = plan_of(draw(WANTED))
    done: set[str] = set()
    diverged: set[str] = set()
    artifacts: set[str] = set()
    distinct = merge_equal_stages(plan, Facts()).stages
    for stage in [*distinct[:1], *features_of(distinct).values(), *distinct[1:]]:
        ready = all(need in done and need not in diverged for need in stage.needs)
        if not ready or not draw(some.booleans()):
            continue
        done.add(stage.key)
        if isinstance(stage, Train) and draw(some.booleans()):
            diverged.add(stage.key)
        else:
            artifacts |= {name for name in stage.produces if draw(some.booleans())}
    ended = [
        run
        for run, keys in plan.stages_by_run.items()
        if all(key in done for key in keys) or diverged.intersection(keys)
    ]
    finished = {run: "done" for run in ended if draw(some.booleans())}
    seconds = draw(some.sampled_from([{}, {"kind": 2.0}]))
    facts = Facts(
        done=frozenset(done),
        diverged=frozenset(diverged),
        artifacts=frozenset(artifacts),
        finished=finished,
        seconds=seconds,
    )
    return plan, facts


def keys_of(plan: Plan) -> list[str]:
    return [called(stage.key) for stage in plan.stages]


def without_features(reads: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    return {run: tuple(key for key in keys if key not in FEATURES) for run, keys in reads.items()}


@CHECK
@given(situations())
def test_what_is_wanted_stays(situation: tuple[Plan, Facts]) -> None:
    plan, facts = situation
    for rule in RULES:
        assert without_features(rule(plan, facts).stages_by_run) == plan.stages_by_run
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
        assert needed.intersection(stage.produces) - facts.artifacts
    assert {each.stage_key for each in planned.decisions} == {stage.key for stage in again}


@CHECK
@given(situations())
def test_no_rule_raises_the_cost(situation: tuple[Plan, Facts]) -> None:
    plan, facts = situation
    for rule in RULES:
        after = rule(plan, facts)
        old, new = cost_of(plan.stages, facts), cost_of(after.stages, facts)
        # frozen features take a stage and disk, and how long training on them takes is another kind
        shared = rule is use_frozen_features
        for name in ("epochs", "seconds") if shared else Cost.__slots__:
            assert getattr(new, name) <= getattr(old, name)
        plan = after


@CHECK
@given(situations(), some.randoms(use_true_random=False))
def test_the_order_of_runs_does_not_matter(situation: tuple[Plan, Facts], draw) -> None:
    plan, facts = situation
    by_key = {stage.key: stage for stage in plan.stages}
    runs = list(plan.stages_by_run)
    draw.shuffle(runs)
    shuffled = replace(
        plan,
        stages=tuple(by_key[key] for run in runs for key in plan.stages_by_run[run]),
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
