"""States that trainings leave: for which others they are a beginning, and for which not."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from benches import Bench, plain_records, reading_of, settings_of
from test_resume import STEPS, stop_after, stop_at_once_after

from runner.core.errors import Interrupted
from runner.core.reader import Reader, SelectRule
from runner.core.stages import Stage, Train
from runner.engine.context import Outcome
from runner.engine.training.checkpoint import Checkpoint, load_checkpoint

LEARNING = {"optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.9}, "epochs": 6}


def trained(folder: Path, train: dict[str, Any], attempt: int, **others: Any):
    """Train in a folder in which others may have left states; return the bench and the outcome."""
    bench = Bench(folder, settings_of({**LEARNING, **train}, **others))
    bench.do("prepare")
    return bench, bench.do("train", attempt)


def reads(outcome: Outcome) -> list[list[int]]:
    return reading_of(outcome)["reads"]


def state_folders(folder: Path) -> list[Path]:
    return sorted((folder / "states" / "database").iterdir())


@pytest.mark.slow
def test_a_training_goes_on_from_the_furthest_state_of_its_path(tmp_path: Path) -> None:
    for attempt, epochs in ((1, 2), (2, 4)):
        trained(tmp_path, {"epochs": epochs, "best": {"monitor": "last"}}, attempt)
    last = {"best": {"monitor": "last"}}
    bench, outcome = trained(tmp_path, last, 3)
    assert reads(outcome) == [[1, 1, 2], [2, 3, 4], [3, 5, 6]]
    assert bench.notes == ["continuing after epoch 4"]
    whole, expected = trained(tmp_path / "whole", last, 1)
    assert bench.digest() == whole.digest()
    assert reading_of(outcome)["best_epoch"] == reading_of(expected)["best_epoch"] == 6


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize(("limit", "first"), [(20.0, 3), (50.0, 3), (19.0, 1)])
def test_a_state_is_none_for_a_stricter_limit_of_divergence(
    limit: float, first: int, tmp_path: Path
) -> None:
    trained(tmp_path, {"epochs": 2}, 1)
    _, outcome = trained(tmp_path, {"diverged_if": limit}, 2)
    assert [start for attempt, start, _ in reads(outcome) if attempt == 2] == [first]


@pytest.mark.slow
def test_a_state_made_under_the_strictest_limit_stays_one(tmp_path: Path) -> None:
    trained(tmp_path, {"epochs": 2, "diverged_if": 5.0}, 1)
    trained(tmp_path, {"epochs": 2, "best": {"monitor": "train_loss"}}, 2)
    _, outcome = trained(tmp_path, {"diverged_if": 6.0}, 3)
    assert [start for attempt, start, _ in reads(outcome) if attempt == 3] == [3]


@pytest.mark.slow
def test_a_state_without_the_weights_that_are_wanted_is_not_gone_on_from(tmp_path: Path) -> None:
    """Its best epoch is the last; by accuracy it was an earlier one."""
    trained(tmp_path, {"best": {"monitor": "last"}}, 1)
    bench, outcome = trained(tmp_path, {"best": {"monitor": "val_accuracy"}, "epochs": 6}, 2)
    assert reading_of(outcome)["best_epoch"] < 6
    assert reads(outcome) == [[2, 1, 6]]
    whole, _ = trained(tmp_path / "whole", {}, 1)
    assert bench.digest() == whole.digest()


@pytest.mark.slow
def test_trainings_that_end_in_one_state_both_leave_their_weights_there(tmp_path: Path) -> None:
    trained(tmp_path, {"best": {"monitor": "last"}}, 1)
    _, outcome = trained(tmp_path, {"best": {"monitor": "val_accuracy"}}, 2)
    (folder,) = state_folders(tmp_path)
    found = load_checkpoint(folder)
    assert found is not None
    assert set(found.values["best_epochs"]) == {reading_of(outcome)["best_epoch"], 6}
    _, again = trained(tmp_path, {"best": {"monitor": "last"}, "diverged_if": 21.0}, 3)
    assert all(attempt != 3 for attempt, _, _ in reads(again))


@pytest.mark.slow
def test_weights_of_a_tested_last_epoch_are_kept_beside_later_ones(tmp_path: Path) -> None:
    """A reader that stops early has read less than the training from whose state it begins."""
    patience = {"early_stopping": {"monitor": "val_accuracy", "patience": 1}}
    stopping = {**patience, "epochs": 40}
    test_last = {"test": "last"}
    alone, outcome = trained(tmp_path / "a", stopping, 1, evaluate=test_last)
    last = reading_of(outcome)["last_epoch"]
    assert last < 40
    (folder,) = state_folders(tmp_path / "a")
    found = load_checkpoint(folder)
    assert found is not None
    assert {last, reading_of(outcome)["best_epoch"]} == set(found.values["best_epochs"])
    # a training to the end leaves a state that lacks the epoch at which this one stops
    trained(tmp_path / "b", {"epochs": 40}, 1)
    bench, other = trained(tmp_path / "b", stopping, 2, evaluate=test_last)
    assert bench.digest("last") == alone.digest("last")
    assert bench.digest() == alone.digest()
    assert plain_records(bench.read(other)) == plain_records(alone.read(outcome))


@pytest.mark.slow
def test_states_are_left_alone_where_nothing_is_to_be_shared(tmp_path: Path) -> None:
    trained(tmp_path, {"epochs": 2}, 1)
    bench = Bench(tmp_path, settings_of(LEARNING), options={"share_states": False})
    bench.do("prepare")
    assert reads(bench.do("train", 2)) == [[2, 1, 6]]


@pytest.mark.slow
def test_another_seed_or_rate_finds_no_state(tmp_path: Path) -> None:
    trained(tmp_path, {"epochs": 2}, 1)
    rate = {"optimizer": {"name": "sgd", "lr": 0.2, "momentum": 0.9}}
    assert reads(trained(tmp_path, rate, 2)[1]) == [[2, 1, 6]]
    assert reads(trained(tmp_path, {}, 3, seed=1)[1]) == [[3, 1, 6]]


def test_a_state_that_another_process_removes_while_it_is_read_is_gone_on_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_and_lose(folder: Path) -> Checkpoint | None:
        found = load_checkpoint(folder)
        shutil.rmtree(folder)
        return found

    trained(tmp_path, {"epochs": 2}, 1)
    monkeypatch.setattr("runner.engine.training.resume.load_checkpoint", read_and_lose)
    _, outcome = trained(tmp_path, {}, 2)
    assert reads(outcome) == [[1, 1, 2], [2, 3, 6]]


def test_a_checkpoint_of_another_training_of_the_same_epochs_is_gone_on_from(
    tmp_path: Path,
) -> None:
    """Alone or in a family, for four epochs or six: what counts is where on the path it lies."""
    bench = Bench(tmp_path, settings_of({**LEARNING, "epochs": 4}))
    bench.do("prepare")
    bench.options |= {"checkpoint_seconds": 0.0, "should_stop": stop_after(3 * STEPS)}
    with pytest.raises(Interrupted):
        bench.do("train", 1)
    longer, outcome = trained(tmp_path, {}, 2)
    assert reads(outcome) == [[1, 1, 3], [2, 4, 6]]
    assert longer.notes == ["continuing in epoch 4 after step 1"]
    unshared = Bench(tmp_path, settings_of(LEARNING), options={"share_states": False})
    assert reads(unshared.do("train", 3)) == [[3, 1, 6]]


FAMILY = {
    "two epochs": Reader(2, None, SelectRule("val_loss", "min"), "last", 20.0),
    "all": Reader(6, None, SelectRule("last", "max"), "best", 20.0),
}


def family_of(folder: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> Bench:
    """Return a training with two readers, of which one is satisfied by its second epoch."""
    bench = Bench(folder, settings_of(LEARNING), options=options)
    bench.do("prepare")
    monkeypatch.setattr(Bench, "stage", lambda self, kind: _with_readers(self, kind))
    return bench


def _with_readers(bench: Bench, kind: str) -> Stage:
    stage = next(each for each in bench.chain if each.kind == kind)
    return replace(stage, readers=FAMILY) if isinstance(stage, Train) else stage


@pytest.mark.slow
def test_weights_of_satisfied_readers_are_kept_on_the_disk_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = family_of(tmp_path / "whole", monkeypatch)
    expected = whole.do("train")
    part = family_of(tmp_path / "part", monkeypatch, checkpoint_seconds=0.0)
    part.options["should_stop"] = stop_at_once_after(4 * STEPS)
    with pytest.raises(KeyboardInterrupt):
        part.do("train", 1)
    (folder,) = (tmp_path / "part" / "checkpoints" / "database").iterdir()
    found = load_checkpoint(folder)
    assert found is not None
    assert found.values["best_epochs"] == [4]
    del part.options["should_stop"]
    outcome = part.do("train", 2)
    assert part.notes == ["continuing after epoch 4"]
    assert {each.name: each for each in outcome.produced} == {
        each.name: each for each in expected.produced
    }
    # the state at the end holds them again, for later readers
    (end,) = state_folders(tmp_path / "part")
    kept = load_checkpoint(end)
    assert kept is not None
    assert {2, 6} <= set(kept.values["best_epochs"])


@pytest.mark.slow
def test_without_the_weights_of_a_satisfied_reader_a_training_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = family_of(tmp_path, monkeypatch, checkpoint_seconds=0.0)
    bench.options["should_stop"] = stop_after(4 * STEPS)
    with pytest.raises(Interrupted):
        bench.do("train", 1)
    next(tmp_path.rglob("two epochs-last.safetensors")).unlink()
    del bench.options["should_stop"]
    outcome = bench.do("train", 2)
    assert outcome.values["reads"] == [[2, 1, 6]]
    assert {each.name for each in outcome.produced} == {
        "weights/two epochs-best",
        "weights/two epochs-last",
        "weights/all-best",
        "logits/two epochs-best-val",
        "logits/two epochs-last-val",
        "logits/all-best-val",
    }
