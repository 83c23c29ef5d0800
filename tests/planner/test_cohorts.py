"""Which trainings are done together, and which are not."""

from dataclasses import replace
from typing import Any

import pytest
import stages
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as some
from situations import check_cohorts, situations

from runner.core.plan import Facts, Plan
from runner.core.prefix import FrozenPrefix
from runner.core.run import ResolvedSettings
from runner.core.stages import Stage, Train
from runner.core.stages.training import HELD_BYTES
from runner.planner.rules import apply_rules, rules_without
from runner.planner.sampling import sample_runs, shared_stages
from runner.planner.together import LIGHT, MOST, train_together, trained_together

PREFIX = FrozenPrefix("f", "flatten", (3,), None)
AUGMENTED = ResolvedSettings({"model": {"name": "mlp"}, "train": {"augment": {"steps": ["flip"]}}})
PLAIN = ResolvedSettings({"model": {"name": "mlp"}, "train": {"precision": "fp32"}})
IN_BF16 = ResolvedSettings({"model": {"name": "mlp"}, "train": {"precision": "bf16"}})


def frozen(key: str, length: int = 9, **others: Any) -> Train:
    """Return a training of a frozen, augmented network, which sees the batches of the stream b."""
    return stages.train(
        key, length, **{"stream": "b", "prefix": PREFIX, "settings": AUGMENTED, **others}
    )


def light(key: str, **others: Any) -> Train:
    """Return a training of a small network without frozen layers, on augmented images."""
    return frozen(key, **{"prefix": None, "multiply_adds": LIGHT, **others})


def plan_of(*trainings: Stage) -> Plan:
    runs = {f"run {each.key}": ("p", each.key) for each in trainings}
    return Plan((stages.prepare("p"), *trainings), runs)


def together(*trainings: Stage, **facts: Any) -> list[tuple[str, ...]]:
    plan = train_together(plan_of(*trainings), Facts(**facts))
    check_cohorts(plan)
    return [cohort.stages for cohort in plan.cohorts]


def test_trainings_of_one_stream_and_one_frozen_prefix_are_done_together() -> None:
    plan = train_together(plan_of(frozen("a"), frozen("b"), frozen("c", 7)), Facts())
    ((cohort,), before) = plan.cohorts, plan_of(frozen("a"), frozen("b"), frozen("c", 7))
    assert cohort.stages == ("a", "b", "c")
    assert cohort.why == (
        "3 trainings share augmented images and the output of their frozen layers"
    )
    assert replace(plan, cohorts=()) == before


def test_one_training_is_no_cohort() -> None:
    assert together(frozen("a"), frozen("b", stream="others")) == []


@pytest.mark.parametrize(
    "other",
    [
        {"stream": "other batches"},
        {"stream": ""},
        {"pixels_key": "other pixels"},
        {"prefix": replace(PREFIX, key="g")},
        {"prefix": replace(PREFIX, key="")},
        {"on_features": True},
        {"settings": IN_BF16},
        {"recorded": 9},
        {"epochs": 0},
        {"multiply_adds": 5},
    ],
)
def test_what_is_not_alike_is_not_done_together(other: dict[str, Any]) -> None:
    ours = frozen("a", settings=PLAIN)
    assert together(ours, frozen("b", settings=PLAIN)) == [("a", "b")]
    assert together(ours, replace(frozen("b", settings=PLAIN), **other)) == []


def test_networks_of_other_sizes_go_together_where_they_have_equally_many_threads() -> None:
    two = frozen("a", multiply_adds=3), frozen("b", multiply_adds=5)
    assert together(*two, threads={3: 2, 5: 2}) == [("a", "b")]
    assert together(*two, threads={3: 1, 5: 2}) == []


def test_features_of_both_views_leave_nothing_dear_to_share() -> None:
    mirrored = replace(PREFIX, views=2)
    both = {"prefix": mirrored, "on_features": True, "multiply_adds": LIGHT}
    on_features = [frozen(key, **both) for key in "ab"]
    assert together(*on_features) == []
    evaluated = [frozen(key, on_features=True) for key in "ab"]
    assert together(*evaluated) == [("a", "b")]


def test_a_frozen_prefix_without_augmentation_is_shared_where_there_are_no_features() -> None:
    plan = train_together(plan_of(*(frozen(key, settings=PLAIN) for key in "ab")), Facts())
    assert [cohort.why for cohort in plan.cohorts] == [
        "2 trainings share the output of their frozen layers"
    ]


@pytest.mark.parametrize(
    ("multiply_adds", "settings", "is_shared"),
    [(LIGHT, AUGMENTED, True), (LIGHT + 1, AUGMENTED, False), (0, AUGMENTED, False),
     (LIGHT, PLAIN, False)],
)  # fmt: skip
def test_augmentation_alone_is_dear_beside_a_small_network_only(
    multiply_adds: int, settings: ResolvedSettings, is_shared: bool
) -> None:
    two = [light(key, multiply_adds=multiply_adds, settings=settings) for key in "ab"]
    assert bool(together(*two)) == is_shared


def test_trainings_that_need_one_another_are_not_done_together() -> None:
    """Neither directly, nor by way of another cohort."""
    a1, b1 = frozen("a1", 2), frozen("b1", 2)
    a2 = frozen("a2", stages.segments(("a1", 2), ("a2", 2)), epochs=2, needs=("p", "a1"))
    b2 = frozen("b2", stages.segments(("b1", 2), ("b2", 2)), epochs=2, needs=("p", "b1"))
    assert together(a1, a2) == []
    assert together(a1, a2, b1, b2) == [("a1", "b1"), ("a2", "b2")]
    c2 = frozen("c2", 4, epochs=2)
    assert together(a1, a2, b1, c2) == [("a1", "b1", "c2")]


def test_who_is_ahead_waits_for_no_more_epochs_than_it_has_left() -> None:
    fresh, half, ahead = frozen("a", 20), frozen("b", 20, epochs=10), frozen("c", 20, epochs=9)
    assert together(fresh, half) == [("a", "b")]
    assert together(fresh, ahead) == []
    assert together(ahead, half, fresh) == [("b", "a")]
    assert together(ahead, half) == [("c", "b")]


def test_a_large_group_falls_into_parts_of_about_one_size() -> None:
    many = [frozen(f"t{number:02d}") for number in range(MOST + 3)]
    parts = together(*many)
    assert [len(part) for part in parts] == [10, 9]
    assert [key for part in parts for key in part] == [stage.key for stage in many]


@pytest.mark.parametrize(
    ("memory", "sizes"), [(None, [4]), (800, [4]), (799, [2, 2]), (400, [2, 2]), (399, [])]
)
def test_states_take_half_of_the_memory_at_most(memory: int | None, sizes: list[int]) -> None:
    four = [frozen(key, state_bytes=100) for key in "abcd"]
    assert [len(part) for part in together(*four, memory=memory)] == sizes


@pytest.mark.parametrize(
    ("logits", "memory", "sizes"),
    [(100, 1600, [4]), (100, 1599, [2, 2]), (HELD_BYTES + 1, 800, [4]), (HELD_BYTES, 800, [])],
)
def test_logits_that_trainings_hold_stand_in_memory_beside_states(
    logits: int, memory: int, sizes: list[int]
) -> None:
    four = [frozen(key, state_bytes=100, logits_bytes=logits) for key in "abcd"]
    assert [len(part) for part in together(*four, memory=memory)] == sizes


@settings(max_examples=examples(50))
@given(situations(), some.sampled_from([None, 0, 400, 10**6]))
def test_what_is_planned_stays_what_it_was(
    situation: tuple[Plan, Facts], memory: int | None
) -> None:
    plan, facts = situation
    facts = replace(facts, memory=memory)
    with_it = apply_rules(plan, facts)
    without = apply_rules(plan, facts, rules_without({"train_together"}))
    check_cohorts(with_it)
    assert without.cohorts == ()
    assert replace(with_it, cohorts=()) == without


def test_a_plan_says_which_runs_train_together() -> None:
    plan = train_together(plan_of(*(frozen(key) for key in "abcde")), Facts())
    names = {run: run.removeprefix("run ").upper() for run in plan.stages_by_run}
    (told,) = trained_together(plan, names)
    assert told.runs == ("A", "B", "C", "D", "E")
    assert told.words() == (
        "A, B, C, D and 1 more: "
        "5 trainings share augmented images and the output of their frozen layers"
    )


def test_a_sample_takes_runs_that_train_together_before_others() -> None:
    plan = plan_of(frozen("a", stream="x"), frozen("b"), frozen("c", stream="y"), frozen("d"))
    plan = train_together(plan, Facts())
    assert sample_runs(plan, 2) == ("run b", "run d")
    assert [len(keys) for keys in shared_stages(plan).values()] == [0, 1, 0, 1]
