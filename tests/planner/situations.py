"""Naive plans, and facts that can come about with them; and what every rule has to leave true."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

import stages
from hypothesis import strategies as some

from runner.core.keys import content_key
from runner.core.plan import Facts, Plan
from runner.core.prefix import FrozenPrefix
from runner.core.stages import Analyse, Evaluate, Stage, Train
from runner.planner.cost import Cost, cost_of
from runner.planner.features import features_of, use_frozen_features
from runner.planner.rules import merge_equal_stages

AUGMENTED = "augmented"
"""Frozen, and trained on images that are augmented: a third of all is evaluated each epoch."""


def chain(
    pixels: int, training: int, tested: bool, frozen: bool | str = False
) -> tuple[Stage, ...]:
    if frozen:
        views = None if frozen == AUGMENTED else 1
        prefix = FrozenPrefix(f"f{pixels}", "flatten", (3,), views, num_bytes=50)
        prepare, *others = chain(pixels, (20 if views is None else 10) + training, tested)
        found = [replace(stage, prefix=prefix) for stage in others]
        found[0] = replace(found[0], evaluated=1 / 3, stream=f"b{pixels}")
        return (prepare, *found)
    prepare = stages.prepare(f"p{pixels}", num_bytes=100, cost_key="")
    name = f"t{pixels}.{training}"
    # trainings of odd names keep two weights, of which the evaluation looks at the latter
    rule = stages.reader(tested="last" if training % 2 else "best")
    train = stages.train(
        name, training % 10 + 1, prepare.key, {name: rule}, cost_key="kind", num_bytes=10
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


def plan_of(wanted: list[tuple[int, int, bool] | tuple[int, int, bool, bool | str]]) -> Plan:
    chains = {f"run-{index}": chain(*each) for index, each in enumerate(wanted)}
    return Plan(
        stages=tuple(stage for each in chains.values() for stage in each),
        stages_by_run={run: stages.keys_of(each) for run, each in chains.items()},
    )


WANTED = some.lists(
    some.tuples(
        some.integers(0, 2),
        some.integers(0, 3),
        some.booleans(),
        some.sampled_from([False, True, AUGMENTED]),
    ),
    min_size=1,
    max_size=7,
)


def with_measurements(plan: Plan, asked: set[str], finished: Collection[str]) -> Plan:
    """Return the plan with an evaluation of a further measure for each run of ``asked``."""
    trainings = {stage.key: stage for stage in plan.stages if isinstance(stage, Train)}
    own = {
        run: next(key for key in keys if key in trainings)
        for run, keys in plan.stages_by_run.items()
    }
    ended = {own[run] for run in finished}
    added: dict[str, Stage] = {}
    for run in sorted(asked):
        training = trainings[own[run]]
        measured = stages.evaluate(
            f"m-{training.key}", training.key, training.needs[0], measures=("m",)
        )
        if training.key in ended:
            measured = replace(measured, needs=training.needs, trainings=(), epoch_number=1)
        added[run] = measured
    return replace(
        plan,
        stages=(*plan.stages, *added.values()),
        measurements={run: (stage.key,) for run, stage in added.items()},
    )


def with_analyses(
    plan: Plan, asked: Mapping[str, Collection[str]], finished: Collection[str]
) -> Plan:
    """Return the plan with analyses of some runs.

    Args:
        plan: of the runs.
        asked: for each run, of `maps` (arrays of images), `numbers` (values of images) and
            `weights` (arrays of the network alone).
        finished: runs with a result.
    """
    trainings = {stage.key: stage for stage in plan.stages if isinstance(stage, Train)}
    added: dict[str, list[Stage]] = {}
    for run in sorted(asked):
        training = next(trainings[key] for key in plan.stages_by_run[run] if key in trainings)
        for name in sorted(asked[run]):
            images = () if name == "weights" else training.needs
            analysis = stages.analyse(
                f"{name}-{training.key}",
                training.key,
                training.needs[0],
                called=name,
                leaves_arrays=name != "numbers",
                image_shape=(1, 2, 2) if name == "weights" else None,
                needs=(*images, training.key),
            )
            if any(training.key in plan.stages_by_run[each] for each in finished):
                analysis = replace(analysis, needs=images, trainings=(), epoch_number=1)
            added.setdefault(run, []).append(analysis)
    return replace(
        plan,
        stages=(*plan.stages, *(stage for each in added.values() for stage in each)),
        analyses={run: stages.keys_of(each) for run, each in added.items()},
    )


ANALYSES = some.sets(some.sampled_from(["maps", "numbers", "weights"]))


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
    plan = with_measurements(
        plan, {run for run in plan.stages_by_run if draw(some.booleans())}, finished
    )
    plan = with_analyses(plan, {run: draw(ANALYSES) for run in plan.stages_by_run}, finished)
    for stage in merge_equal_stages(plan, Facts()).stages:
        if isinstance(stage, Analyse) and not set(stage.needs) - done and draw(some.booleans()):
            if diverged.intersection(stage.needs):
                continue
            done.add(stage.key)
            artifacts |= {name for name in stage.produces if draw(some.booleans())}
    measured = [each for each in plan.stages if isinstance(each, Evaluate) and each.measures]
    artifacts |= {each.logits for each in measured if draw(some.booleans())}
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


def check_rule(rule: Callable[[Plan, Facts], Plan], plan: Plan, facts: Facts) -> Plan:
    """Check what holds of every rule; return the plan after it."""
    after = rule(plan, facts)
    assert without_features(after.stages_by_run) == without_features(plan.stages_by_run), (
        "what runs read stays"
    )
    again = rule(after, facts)
    assert (again.stages, again.stages_by_run, again.skipped) == (
        *(after.stages, after.stages_by_run, after.skipped),
    ), f"{rule.__name__}: applied again, it changes nothing"
    before = set(facts.done)
    for stage in after.stages:
        assert set(stage.needs) <= before, "parents first"
        before.add(stage.key)
    old, new = cost_of(plan.stages, facts), cost_of(after.stages, facts)
    # frozen features take a stage and disk, and how long training on them takes is another kind
    shared = rule is use_frozen_features
    for name in ("epochs", "seconds") if shared else Cost.__slots__:
        assert getattr(new, name) <= getattr(old, name), f"never dearer: {name}"
    named = {stage.key for stage in after.stages} | set(after.skipped)
    assert {stage.key for stage in plan.stages} <= named, "what is left out has a reason"
    assert all(after.skipped.values())
    assert all(each.why for each in after.decisions)
    assert after.measurements == plan.measurements, "what tables ask for stays"
    assert after.analyses == plan.analyses, "what analyses are asked for stays"
    check_cohorts(after)
    return after


def check_cohorts(plan: Plan) -> None:
    """Check that trainings that are done together can be: none waits for another, or for ever."""
    stages = {stage.key: stage for stage in plan.stages}
    together = [key for cohort in plan.cohorts for key in cohort.stages]
    assert len(together) == len(set(together)), "a training is in one cohort at most"
    unit = {key: key for key in stages}
    for cohort in plan.cohorts:
        assert len(cohort.stages) > 1
        assert cohort.why.startswith(f"{len(cohort.stages)} trainings share ")
        assert list(cohort.stages) == [key for key in stages if key in cohort.stages]
        for key in cohort.stages:
            stage = stages[key]
            assert isinstance(stage, Train)
            assert stage.epochs
            assert stage.recorded is None
            unit[key] = cohort.stages[0]
    ended: set[str] = set()
    left = dict.fromkeys(unit.values())
    while left:
        ready = [
            each
            for each in left
            if all(
                need not in unit or unit[need] in ended
                for key, mine in unit.items()
                if mine == each
                for need in stages[key].needs
            )
        ]
        assert ready, "cohorts wait for one another"
        ended.update(ready)
        left = {each: None for each in left if each not in ended}
