"""The lines of a run where standard error is no terminal: few, and never long in coming."""

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest
import stages
from rich.console import Console

from runner.cli import progress
from runner.cli.progress import LiveProgress, PlainProgress
from runner.core.plan import Facts, Plan
from runner.core.run import ResolvedSettings
from runner.core.stages import Stage
from runner.engine.context import Progress

PREPARE = stages.prepare(data=ResolvedSettings({"dataset": "caltech101"}))
TRAIN = stages.train("t", 30, cost_key="k")
TEST = stages.evaluate("e", "t")

Tell = Callable[[float, Callable[[PlainProgress], None]], list[str]]


def wanted(chains: Mapping[str, tuple[Stage, ...]], workers: int = 1) -> Any:
    """Return the plan of runs, by their names."""
    cells = [
        SimpleNamespace(
            cell=SimpleNamespace(name=name, seed=0, fold=0), run=SimpleNamespace(run_key=f"r{name}")
        )
        for name in chains
    ]
    distinct = {stage.key: stage for chain in chains.values() for stage in chain}
    return SimpleNamespace(
        cells=cells,
        chains={f"r{name}": chain for name, chain in chains.items()},
        plan=Plan(tuple(distinct.values()), {}),
        facts=Facts(),
        bound=SimpleNamespace(request=SimpleNamespace(num_workers=workers)),
    )


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Tell:
    """Set the clock, tell something, and return the lines that are printed."""
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock.now)
    shown = PlainProgress(wanted({"lr=0.1": (PREPARE, TRAIN, TEST)}))

    def tell(seconds: float, said: Callable[[PlainProgress], None]) -> list[str]:
        clock.now = 1000.0 + seconds
        said(shown)
        return capsys.readouterr().err.splitlines()

    return tell


def began(stage: Stage) -> Callable[[PlainProgress], None]:
    return lambda shown: shown.on_stage_start(stage)


def moved(stage: Stage, *values: Any, **named: Any) -> Callable[[PlainProgress], None]:
    return lambda shown: shown.on_stage_progress(stage, Progress(*values, **named))


def ended(stage: Stage, seconds: float) -> Callable[[PlainProgress], None]:
    return lambda shown: shown.on_stage_end(stage, "done", seconds, "")


def test_short_stage_says_only_that_it_ended(tell: Tell) -> None:
    assert tell(0, began(PREPARE)) == ["prepare caltech101"]
    assert tell(9, moved(PREPARE, 256, 9000)) == []
    assert tell(9.5, ended(PREPARE, 9.5)) == []
    assert tell(9.5, began(TRAIN)) == []
    assert tell(19, moved(TRAIN, 5, 100, 30, 30, 0.5, 0.9)) == []
    assert tell(19, ended(TRAIN, 9.5)) == ["[1/1] lr=0.1 seed=0: done in 9.5 s"]


def test_long_training_tells_of_the_last_epoch_every_half_minute(tell: Tell) -> None:
    tell(0, began(TRAIN))
    assert tell(1, moved(TRAIN, 0, 10, 1, 30, 2.5, 0.1)) == []
    assert tell(11, moved(TRAIN, 5, 10, 1, 30, 2.5, 0.1)) == [
        "lr=0.1 seed=0: epoch 1/30 step 5/10 loss 2.500 accuracy 0.100; about 9 min 50 s left"
    ]
    lines = []
    for second in range(12, 102):
        epoch, step = divmod(second - 1, 20)
        here = moved(TRAIN, step // 2, 10, epoch + 1, 30, 2.0, 0.2, val_accuracy=0.25)
        lines += tell(second, here)
    assert lines == [
        "lr=0.1 seed=0: epoch 3/30 step 0/10 loss 2.000 accuracy 0.200,"
        " val_accuracy 0.250 after epoch 2; about 9 min 20 s left",
        "lr=0.1 seed=0: epoch 4/30 step 5/10 loss 2.000 accuracy 0.200,"
        " val_accuracy 0.250 after epoch 3; about 8 min 50 s left",
        "lr=0.1 seed=0: epoch 6/30 step 0/10 loss 2.000 accuracy 0.200,"
        " val_accuracy 0.250 after epoch 5; about 8 min 20 s left",
    ]


def test_evaluation_and_preparation_tell_how_many_images_are_done(tell: Tell) -> None:
    tell(0, began(PREPARE))
    assert tell(20, moved(PREPARE, 1000, 9000)) == [
        "prepare caltech101: 1000/9000 images, 2 min 40 s more"
    ]
    tell(60, began(TRAIN))
    (line,) = tell(90, moved(TRAIN, 64, 3000, 2, 30, split="val", val_accuracy=0.5))
    assert line.startswith("lr=0.1 seed=0: epoch 2/30 64/3000 val images, val_accuracy 0.500 after")
    tell(200, ended(TRAIN, 140))
    assert tell(200, began(TEST)) == []
    assert tell(231, moved(TEST, 500, 1000, split="test")) == [
        "lr=0.1 seed=0: 500/1000 test images, 31 s more"
    ]


def test_trainings_that_end_often_say_nothing_in_between(tell: Tell) -> None:
    tell(0, began(TRAIN))
    assert len(tell(12, moved(TRAIN, 5, 10, 1, 30, 2.5, 0.1))) == 1
    for start in range(20, 200, 20):
        tell(start, ended(TRAIN, 20))
        tell(start, began(TRAIN))
        assert tell(start + 15, moved(TRAIN, 5, 10, 1, 30, 2.5, 0.1)) == []


def test_training_of_a_plan_before_counts_while_it_is_at_work(tell: Tell) -> None:
    before = stages.train("before", 30)
    assert tell(0, began(before)) == []
    assert tell(5, began(TRAIN)) == []
    assert tell(9, ended(TRAIN, 4)) == ["[1/2] lr=0.1 seed=0: done in 4.0 s"]
    assert tell(19, ended(before, 19)) == ["[2/2] before: done in 19 s"]


def test_trainings_that_are_done_together_say_how_many_they_are(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock.now)
    one, two, later = (stages.train(key, 10, cost_key="k") for key in ("one", "two", "later"))
    plan = wanted({"one": (one,), "two": (two,), "later": (later,)})
    shown = PlainProgress(plan)

    def told(seconds: float, said: Callable[[PlainProgress], None]) -> list[str]:
        clock.now = 1000.0 + seconds
        said(shown)
        return capsys.readouterr().err.splitlines()

    assert [*told(0, began(one)), *told(0, began(two))] == []
    assert [*told(1, moved(one, 0, 10, 1, 10)), *told(1, moved(two, 0, 10, 1, 10))] == []
    # both have trained two epochs in 20 seconds: 5 seconds for each of 8 + 8 + 10 to come
    assert told(21, moved(one, 0, 10, 3, 10)) == [
        "one seed=0: epoch 3/10 step 0/10; 2 trainings together; about 2 min 10 s left"
    ]
    assert told(81, moved(two, 10, 10, 9, 10)) == [
        "two seed=0: epoch 9/10 step 10/10; 2 trainings together; about 53 s left"
    ]
    assert told(101, ended(one, 50)) == ["[1/3] one seed=0: done in 50 s; about 1 min 01 s left"]
    assert told(102, ended(two, 50)) == ["[2/3] two seed=0: done in 50 s; about 56 s left"]
    assert shown._estimate.together == 0
    told(103, began(later))
    assert shown._estimate.together == 1
    shown.on_stage_left(later)
    assert shown._estimate.together == 0


def test_trainings_of_several_workers_take_their_share_of_the_time(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock.now)
    one, two, later = (stages.train(key, 10, cost_key="k") for key in ("one", "two", "later"))
    shown = PlainProgress(wanted({"one": (one,), "two": (two,), "later": (later,)}, workers=2))

    def told(seconds: float, said: Callable[[PlainProgress], None]) -> list[str]:
        clock.now = 1000.0 + seconds
        said(shown)
        return capsys.readouterr().err.splitlines()

    assert [*told(0, began(one)), *told(0, moved(one, 0, 10, 1, 10)), *told(10, began(two))] == []
    assert told(10, moved(two, 0, 10, 1, 10)) == []
    # one has trained 4 epochs in 40 seconds: 10 seconds for each of 6 + 10 + 10, by two workers
    assert told(40, moved(one, 0, 10, 5, 10)) == [
        "one seed=0: epoch 5/10 step 0/10; 2 trainings at once; about 2 min 10 s left"
    ]
    told(99, moved(one, 10, 10, 10, 10))
    (line,) = told(100, ended(one, 100))
    assert line == "[1/3] one seed=0: done in 1 min 40 s; about 1 min 40 s left"


def test_of_several_trainings_a_terminal_shows_one_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock.now)
    one, two = (stages.train(key, 10, cost_key="k") for key in ("one", "two"))
    shown = LiveProgress(wanted({"one": (one,), "two": (two,)}), Console(quiet=True))
    grid, line = shown._bars.tasks

    def told(seconds: float, stage: Stage, epoch: int) -> str:
        clock.now = 1000.0 + seconds
        shown.on_stage_progress(stage, Progress(0, 10, epoch, 10))
        return line.description

    try:
        for stage in (one, two):
            shown.on_stage_start(stage)
        assert told(1, one, 1) == "one seed=0 (2 trainings together)"
        assert told(1.1, two, 1) == "one seed=0 (2 trainings together)"
        assert told(1.5, one, 6) == "one seed=0 (2 trainings together)"
        assert told(1.6, two, 6) == "one seed=0 (2 trainings together)"
        assert grid.completed == 1.0  # half of each
        shown.on_stage_end(one, "done", 1.0, "")
        assert told(1.7, two, 8) == "two seed=0"
    finally:
        shown.close()
