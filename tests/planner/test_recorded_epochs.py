"""Runs whose every epoch is recorded are read; nothing else changes, and nothing costs more."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from examples import examples
from families import chain_of, naive, path_of, trainings
from hypothesis import given, settings
from hypothesis import strategies as some

from runner.core.plan import Facts, Plan, Record
from runner.core.reader import Reader, SelectRule, StopRule, epochs_to_keep, replayed
from runner.core.records import EpochRange, EpochRecord
from runner.core.stages import Evaluate, Stage, Train
from runner.planner.cost import cost_of
from runner.planner.recorded import read_recorded_epochs, record_for
from runner.planner.rules import RULES, apply_rules, merge_equal_stages

CHECK = settings(max_examples=examples(150), deadline=None)
BEST = SelectRule("val_accuracy", "max")


def chain(
    name: str,
    path: str,
    limit: float = 20.0,
    stop: StopRule | None = None,
    select: SelectRule = BEST,
    tested: str = "best",
) -> tuple[Stage, ...]:
    """Return the chain of a run whose budget is the length of its path."""
    prepare, train, evaluate = chain_of(name, path)
    assert isinstance(train, Train)
    reader = Reader(train.last_epoch, stop, select, tested, limit)
    return (prepare, replace(train, readers={name: reader}, state_bytes=30), evaluate)


def record(
    path: str,
    accuracies: Sequence[float],
    kept: Sequence[int],
    limit: float = 20.0,
    diverged: bool = False,
) -> Record:
    """Return the record of a training, with its accuracies and the epochs whose weights it kept."""
    last = len(accuracies)
    return Record(
        trajectory=path_of(path),
        ranges=(EpochRange(1, 1, last),),
        history=[{"val_accuracy": each, "val_loss": 1 - each} for each in accuracies],
        limit=limit,
        ending=EpochRecord(last + 1, (), (1.0, 9.0), 0.1, 1.0) if diverged else None,
        kept={epoch: ((f"weights/old-{epoch}", "digest"),) for epoch in kept},
    )


RISING = [0.1, 0.3, 0.6, 0.9, 0.7, 0.8, 0.5, 0.6, 0.7, 0.8]
"""The best of ten epochs is the fourth."""
BUT_THE_BEST = "epochs 1–3 are recorded, but the weights of epoch 3, the best of them, are gone"
BUT_THE_LAST = "epochs 1–6 are recorded, but the weights of epoch 6, the last of them, are gone"
PATIENCE = StopRule("val_accuracy", "max", 2)


def shown(plan: Plan) -> list[str]:
    """Return the stages but preparing as text: what is trained, read and tested after what."""
    lines = []
    for stage in plan.stages:
        if isinstance(stage, Train):
            does = f"train {stage.first_epoch}-{stage.first_epoch + stage.epochs - 1}"
            does = does if stage.recorded is None else f"read 1-{stage.recorded}"
            lines.append(f"{does}: {' '.join(sorted(stage.readers))}")
        elif isinstance(stage, Evaluate):
            lines.append(f"test {stage.solo_key}")
    return lines


def read(*chains: tuple[Stage, ...], records: Sequence[Record], **facts: object) -> Plan:
    plan = naive({each[1].key: each for each in chains})
    return apply_rules(plan, Facts(records=tuple(records), **facts))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("run", "old", "expected", "notes"),
    [
        pytest.param(
            chain("A", "x6"), record("x10", RISING, [4]), ["read 1-6: A", "test A"], [], id="budget"
        ),
        pytest.param(
            chain("A", "x3"),
            record("x10", RISING, [4]),
            ["train 1-3: A", "test A"],
            [BUT_THE_BEST],
            id="weights gone",
        ),
        pytest.param(
            chain("A", "x12"),
            record("x10", RISING, [4]),
            ["train 1-12: A", "test A"],
            [],
            id="not all epochs",
        ),
        pytest.param(
            chain("A", "x20", stop=PATIENCE),
            record("x10", RISING, [4]),
            ["read 1-6: A", "test A"],
            [],
            id="patience",
        ),
        pytest.param(
            chain("A", "x10", select=SelectRule("val_loss", "max")),
            record("x10", RISING, [1]),
            ["read 1-10: A", "test A"],
            [],
            id="another best rule",
        ),
        pytest.param(
            chain("A", "x6", tested="last"),
            record("x10", RISING, [4]),
            ["train 1-6: A", "test A"],
            [BUT_THE_LAST],
            id="last tested, gone",
        ),
        pytest.param(
            chain("A", "x6", tested="last"),
            record("x10", RISING, [4, 6]),
            ["read 1-6: A", "test A"],
            [],
            id="last tested",
        ),
        pytest.param(
            chain("A", "x6", select=SelectRule("last", "max")),
            record("x10", RISING, []),
            ["train 1-6: A", "test A"],
            [BUT_THE_LAST],
            id="last is best",
        ),
        pytest.param(
            chain("A", "x1"),
            record("x10", RISING, []),
            ["train 1-1: A", "test A"],
            ["epoch 1 is recorded, but its weights are gone"],
            id="one epoch",
        ),
        pytest.param(
            chain("A", "x6"),
            record("x4 y6", RISING, [4]),
            ["train 1-6: A", "test A"],
            [],
            id="parts before",
        ),
        pytest.param(
            chain("A", "x6"),
            record("x7 y3", RISING, [4]),
            ["read 1-6: A", "test A"],
            [],
            id="parts behind",
        ),
        pytest.param(
            chain("A", "z6"),
            record("x10", RISING, [4]),
            ["train 1-6: A", "test A"],
            [],
            id="another trajectory",
        ),
        pytest.param(
            chain("A", "x6", limit=30.0),
            record("x10", RISING, [4]),
            ["read 1-6: A", "test A"],
            [],
            id="higher limit of divergence",
        ),
        pytest.param(
            chain("A", "x6", limit=10.0),
            record("x10", RISING, [4]),
            ["train 1-6: A", "test A"],
            [],
            id="lower limit of divergence",
        ),
        pytest.param(
            chain("A", "x6"),
            record("x10", RISING[:3], [], diverged=True),
            ["read 1-4: A", "test A"],
            [],
            id="diverged within",
        ),
        pytest.param(
            chain("A", "x4"),
            record("x10", RISING[:4], [4], diverged=True),
            ["read 1-4: A", "test A"],
            [],
            id="diverged behind",
        ),
        pytest.param(
            chain("A", "x6", limit=30.0),
            record("x10", RISING[:3], [], diverged=True),
            ["train 1-6: A", "test A"],
            [],
            id="diverged under a lower limit",
        ),
    ],
)
def test_what_is_recorded_is_read_and_else_trained(
    run: tuple[Stage, ...], old: Record, expected: list[str], notes: list[str]
) -> None:
    plan = read(run, records=[old])
    assert shown(plan) == expected
    assert [each.why for each in plan.decisions] == notes
    assert all(
        stage.epochs == 0 and stage.state_bytes == 0
        for stage in trainings(plan)
        if stage.recorded is not None
    )


def test_the_record_that_has_the_weights_is_the_one_that_is_read() -> None:
    old = [record("x10", RISING, []), record("x10", RISING, [4]), record("x8", RISING[:8], [3])]
    (stage,) = trainings(read(chain("A", "x6"), records=old))
    assert record_for(stage, old) is old[1]


def test_a_run_that_is_read_has_its_part_in_the_keys_of_the_others() -> None:
    chains = (chain("A", "x6"), chain("B", "x20"), chain("C", "x14 y6"))
    before = apply_rules(naive({each[1].key: each for each in chains}), Facts())
    after = read(*chains, records=[record("x10", RISING, [4])])
    assert shown(before)[0] == "train 1-14: A B C"
    assert shown(after)[0] == "read 1-6: A"
    assert shown(after)[2] == "train 1-14: B C"
    assert after.stages_by_run["A"] == ("p", "A", "test-A")
    for run in ("B", "C"):
        assert after.stages_by_run[run] == before.stages_by_run[run]


def test_states_that_hold_weights_are_kept_until_they_are_read() -> None:
    beside = {4: (("states/x-10", ""),), 6: (("states/x-6", ""),)}
    old = replace(record("x10", RISING, []), kept=beside)
    there = frozenset({"pixels/p", "states/x-10", "states/x-6"})
    plan = read(chain("A", "x6"), records=[old], done=frozenset({"p"}), artifacts=there)
    (stage,) = trainings(plan)
    assert stage.consumes == ("pixels/p", "states/x-10")


def test_a_run_that_has_ended_in_a_training_is_not_read_again() -> None:
    records = [record("x10", RISING, [4])]
    plan = read(chain("A", "x6"), chain("B", "x8"), records=records, ended=frozenset({"A"}))
    assert shown(plan) == ["train 1-6: A", "test A", "read 1-8: B", "test B"]


STOPS = some.none() | some.builds(
    StopRule,
    some.sampled_from(["val_accuracy", "val_loss"]),
    some.sampled_from(["min", "max"]),
    some.integers(1, 3),
)
SELECTS = some.builds(
    SelectRule,
    some.sampled_from(["val_accuracy", "val_loss", "last"]),
    some.sampled_from(["min", "max"]),
)
PATHS = some.lists(
    some.tuples(some.sampled_from("xy"), some.integers(1, 4)), min_size=1, max_size=3
).map(lambda pieces: " ".join(f"{values}{length}" for values, length in pieces))
LIMITS = some.sampled_from([20.0, 20.0, 5.0])


@some.composite
def situations(draw) -> tuple[Plan, Facts]:
    """Draw runs, some with results, and records of trainings of the same kinds."""
    chains = {
        f"R{number}": chain(
            f"R{number}",
            path,
            draw(LIMITS),
            draw(STOPS),
            draw(SELECTS),
            draw(some.sampled_from(["best", "last"])),
        )
        for number, path in enumerate(draw(some.lists(PATHS, min_size=1, max_size=6)))
    }
    records = []
    for path in draw(some.lists(PATHS, max_size=3)):
        length = path_of(path).last_epoch
        recorded = draw(some.integers(1, length))
        accuracies = draw(
            some.lists(some.sampled_from([0.1, 0.5, 0.9]), min_size=recorded, max_size=recorded)
        )
        kept = [epoch for epoch in range(1, recorded + 1) if draw(some.booleans())]
        diverged = recorded < length and draw(some.booleans())
        records.append(record(path, accuracies, kept, draw(LIMITS), diverged))
    finished = {run: "done" for run in chains if draw(some.integers(0, 3)) == 0}
    seconds = draw(some.sampled_from([{}, {"t": 2.0, "p": 1.0}]))
    return naive(chains), Facts(records=tuple(records), finished=finished, seconds=seconds)


@CHECK
@given(situations())
def test_reading_never_costs_more(situation: tuple[Plan, Facts]) -> None:
    plan, facts = situation
    one, other = apply_rules(plan, facts), apply_rules(plan, replace(facts, records=()))
    old, new = cost_of(other.stages, facts), cost_of(one.stages, facts)
    for name in ("epochs", "seconds", "unknown", "num_bytes", "state_bytes"):
        assert getattr(new, name) <= getattr(old, name)
    merged = merge_equal_stages(plan, facts)
    alone, fewer = (
        cost_of(each.stages, facts) for each in (merged, read_recorded_epochs(merged, facts))
    )
    assert fewer.epochs <= alone.epochs
    assert fewer.stages == alone.stages


@CHECK
@given(situations())
def test_what_is_read_is_all_there_and_who_is_not_read_keeps_its_stages(
    situation: tuple[Plan, Facts],
) -> None:
    plan, facts = situation
    after, before = apply_rules(plan, facts), apply_rules(plan, replace(facts, records=()))
    for run, keys in after.stages_by_run.items():
        stage = next((each for each in trainings(after) if each.key in keys), None)
        if stage is None or stage.recorded is None:
            # as where others have ended, a beginning in common may be one stage with what follows
            assert set(keys) <= set(before.stages_by_run[run]) or run in facts.finished
            continue
        assert run not in facts.finished
        assert keys == plan.stages_by_run[run]
        found = record_for(stage, facts.records)
        assert found is not None
        reader = stage.readers[run]
        last = stage.recorded
        states = replayed({run: reader}, found.history[:last])
        assert found.limit <= reader.diverged_if
        if states[run].finished:
            assert states[run].epoch == last
            assert epochs_to_keep({run: reader}, states) <= found.kept.keys()
        else:
            assert found.ending is not None
            assert (found.ending.epoch, found.limit) == (last, reader.diverged_if)


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
    names = [rule.__name__ for rule in RULES]
    assert names.index("read_recorded_epochs") < names.index("share_trajectories")
