"""A training that is asked to stop within an epoch goes on with its next step."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from benches import CPU, Bench, Draws, plain_records, reading_of
from test_resume import (
    STEPS,
    checkpoint_of,
    flip_a_byte,
    settings_for,
    stop_after,
    stop_at_once_after,
    undisturbed,
)
from test_states import FAMILY, family_of

from runner.artifacts.states import StoredState, every_state, readers_of_checkpoints
from runner.core.artifacts import checkpoint_name
from runner.core.errors import Interrupted
from runner.core.stages import Train
from runner.engine.job import StageJob
from runner.engine.numerics import begin_numerics
from runner.engine.training.checkpoint import load_checkpoint
from runner.engine.training.stored import states_on_path, tensors_at_start


def stopped(bench: Bench, steps: int, attempt: int = 1) -> str:
    """Stop a training after so many steps; return what is said."""
    bench.options["should_stop"] = stop_after(steps - 1)
    with pytest.raises(Interrupted) as caught:
        bench.do("train", attempt)
    del bench.options["should_stop"]
    return caught.value.found


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Return a training of five epochs of which nothing was trained."""
    bench = Bench(tmp_path / "bench", settings_for("adam"), options={"checkpoint_seconds": 0.0})
    bench.do("prepare")
    return bench


def states_in(bench: Bench) -> list[tuple[int, int]]:
    found = every_state(bench.context().artifacts)
    return [(each.epoch, each.steps) for each in found if each.steps]


def within(bench: Bench) -> Path:
    return bench.context().artifact_path(checkpoint_name(bench.stage("train").key, within=True))


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("steps", [1, 2 * STEPS + 1, 5 * STEPS])
def test_it_goes_on_from_there_and_ends_as_if_undisturbed(
    steps: int, bench: Bench, tmp_path: Path
) -> None:
    """Also after the last step of an epoch, which is still to be evaluated."""
    epoch, step = (steps - 1) // STEPS + 1, (steps - 1) % STEPS + 1
    where = f"epoch {epoch} after step {step}"
    assert stopped(bench, steps) == f"stopped in {where} of 3; this training goes on from there"
    assert states_in(bench) == [(epoch - 1, step)]
    with Draws() as draws:
        outcome = bench.do("train", 2)
    assert draws.count == 0
    assert bench.notes == [f"continuing in {where}"]
    expected, whole = undisturbed("adam", tmp_path / "whole")
    assert plain_records(bench.read(outcome)) == plain_records(expected.read(whole))
    assert bench.digest() == expected.digest()


@pytest.mark.slow
def test_an_epoch_that_never_has_time_for_all_its_steps_ends_all_the_same(
    bench: Bench, tmp_path: Path
) -> None:
    attempts = 1
    while True:
        bench.options["should_stop"] = stop_after(0)  # one step each
        try:
            outcome = bench.do("train", attempts)
        except Interrupted:
            attempts += 1
            continue
        break
    expected, whole = undisturbed("adam", tmp_path / "whole")
    assert attempts == 5 * STEPS + 1
    assert plain_records(bench.read(outcome)) == plain_records(expected.read(whole))
    assert bench.digest() == expected.digest()


def test_seconds_of_an_epoch_are_those_of_all_its_parts(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped(bench, 1)
    change(within(bench), lambda values: values["started"].update(seconds=1000.0))
    outcome = bench.do("train", 2)
    seconds = [record.seconds for record in bench.read(outcome)]
    assert seconds[0] > 1000 > max(seconds[1:])


def change(folder: Path, how: Callable[[dict[str, Any]], None]) -> None:
    path = folder / "checkpoint.json"
    values = json.loads(path.read_text())
    how(values)
    path.write_text(json.dumps(values))


def test_a_second_ctrl_c_leaves_the_checkpoint_before(bench: Bench) -> None:
    bench.options["should_stop"] = stop_at_once_after(2 * STEPS + 1)
    with pytest.raises(KeyboardInterrupt):
        bench.do("train")
    assert states_in(bench) == []
    del bench.options["should_stop"]
    bench.do("train", 2)
    assert bench.notes == ["continuing after epoch 2"]


def test_the_next_checkpoint_takes_its_place(bench: Bench) -> None:
    stopped(bench, 1)
    bench.options["should_stop"] = stop_at_once_after(STEPS)
    with pytest.raises(KeyboardInterrupt):
        bench.do("train", 2)
    assert states_in(bench) == []
    names = sorted(path.name for path in checkpoint_of(bench).iterdir())
    assert [name[:7] for name in names] == ["checkpo", "epoch-1"]


def no_losses(folder: Path) -> None:
    change(folder, lambda values: values["started"].pop("losses"))


def other_numerics(folder: Path) -> None:
    change(folder, lambda values: values["numerics"].update(threads=99))


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("damage", [flip_a_byte, shutil.rmtree, no_losses, other_numerics])
def test_where_it_cannot_be_used_the_checkpoint_before_is(
    damage: Callable[[Path], None], bench: Bench, tmp_path: Path
) -> None:
    stopped(bench, 2 * STEPS + 1)
    damage(within(bench))
    bench.do("train", 2)
    assert bench.notes[-1] == "continuing after epoch 2"
    expected, _ = undisturbed("adam", tmp_path / "whole")
    assert bench.digest() == expected.digest()


def test_why_both_cannot_be_used_is_said_once(bench: Bench) -> None:
    stopped(bench, 2 * STEPS + 1)
    bench.options["numerics"] = OTHER
    outcome = bench.do("train", 2)
    assert reading_of(outcome)["reads"] == [[2, 1, 5]]
    why = "was made with another device, torch, engine or threads (--accept-mixed goes on)"
    assert bench.notes == [f"not continuing: the checkpoint {why}"]


def test_under_other_numerics_the_checkpoint_before_is_continued_also_where_that_is_allowed(
    bench: Bench,
) -> None:
    """Of the steps within an epoch no record tells how they were computed."""
    stopped(bench, 2 * STEPS + 1)
    bench.options |= {"numerics": OTHER, "accept_mixed": True}
    outcome = bench.do("train", 2)
    assert reading_of(outcome)["reads"] == [[1, 1, 2], [2, 3, 5]]
    assert bench.notes[-1] == "continuing after epoch 2"


def test_nothing_is_said_to_help_where_only_one_within_an_epoch_was_made_otherwise(
    bench: Bench,
) -> None:
    bench.options["checkpoint_seconds"] = 1e6
    stopped(bench, 1)
    bench.options["numerics"] = OTHER
    bench.do("train", 2)
    assert bench.notes == [
        "not continuing: the checkpoint was made with another device, torch, engine or threads"
    ]


AFTER, WITHIN = "checkpoints/other", "checkpoints/other-within"
OTHER = {"device": "cpu", "threads": 8}


def brought(
    bench: Bench, there: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """Return what a training brings from a shared store, by epochs and steps of what is there."""
    stage, context = bench.stage("train"), bench.context()
    assert isinstance(stage, Train)
    segment = stage.trajectory.segments[0].key
    found = [
        StoredState(Path("elsewhere"), segment, epoch, "other", steps) for epoch, steps in there
    ]

    def told(state: StoredState) -> dict[str, Any]:
        started = {"started": {"losses": [0.5] * state.steps}} if state.steps else {}
        return {"numerics": begin_numerics(CPU).of_machine(), **started}

    asked: list[str] = []
    where = "runner.engine.training.stored"
    pairs = [(each, told(each)) for each in found]
    monkeypatch.setattr(f"{where}.states_elsewhere", lambda *given, **named: pairs)
    monkeypatch.setattr(f"{where}.fetched", lambda context, name: asked.append(name) is None)
    shared: Any = object()
    job = StageJob(stage, 2, lambda records: None, lambda ranges: True, {})
    states_on_path(replace(context, shared=shared), job)
    return asked


@pytest.mark.parametrize(
    ("there", "names"),
    [
        ([(1, 0)], []),
        ([(2, 0)], []),
        ([(3, 0)], [AFTER]),
        ([(2, 1), (1, 0)], []),
        ([(2, 2), (2, 0)], [WITHIN]),
        ([(3, 1), (2, 2), (3, 0)], [WITHIN, AFTER]),
        ([(3, 2), (3, 1), (3, 0)], [WITHIN, AFTER]),
        ([(3, 0), (2, 2), (2, 0)], [AFTER]),
    ],
)
def test_what_is_shared_is_brought_where_it_is_further(
    there: list[tuple[int, int]],
    names: list[str],
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the furthest after an epoch, as one within an epoch may turn out not to do."""
    bench.options["checkpoint_seconds"] = 1e6
    stopped(bench, 2 * STEPS + 1)
    assert brought(bench, there, monkeypatch) == names


def test_none_within_an_epoch_counts_under_other_numerics_also_where_others_are_accepted(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither one that lies here, nor one that is shared, nor for how the weights are begun."""
    bench.options["checkpoint_seconds"] = 1e6
    stopped(bench, 2 * STEPS + 1)
    states = list(every_state(bench.context().artifacts))
    assert len(tensors_at_start(bench.context(), states)) > 0
    bench.options |= {"numerics": OTHER, "accept_mixed": True}
    assert brought(bench, [(4, 1), (1, 0)], monkeypatch) == [AFTER]
    assert tensors_at_start(bench.context(), states) == frozenset()


def test_what_cannot_be_written_costs_the_epoch_and_is_said(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any) -> None:
        raise OSError("no space")

    bench.options["checkpoint_seconds"] = 1e6
    monkeypatch.setattr("runner.engine.training.book.save_checkpoint", full)
    said = stopped(bench, STEPS + 1)
    assert said.endswith("step 1 of 3; this training starts again from its first epoch")
    assert bench.notes == ["where this training was stopped is not kept: OSError: no space"]


def test_a_stop_that_cannot_be_written_says_where_the_one_before_it_was(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(*args: Any) -> str:
        raise OSError(28, "No space left on device")

    bench.options["checkpoint_seconds"] = 1e6
    stopped(bench, STEPS + 1)
    with monkeypatch.context() as patch:
        patch.setattr("runner.engine.training.checkpoint.write_tensors", full)
        said = stopped(bench, STEPS, 2)
    assert said == (
        "stopped in epoch 3 after step 1 of 3; this training goes on in epoch 2 after step 1"
    )
    bench.notes.clear()
    bench.do("train", 3)
    assert bench.notes == ["continuing in epoch 2 after step 1"]
    expected, _ = undisturbed("adam", tmp_path / "whole")
    assert bench.digest() == expected.digest()


def test_a_first_stop_that_cannot_be_written_leaves_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("runner.engine.training.checkpoint.write_tensors", full)
    said = stopped(bench, 1)
    assert said.endswith("this training starts again from its first epoch")
    assert list(bench.context().artifacts.home("checkpoints").iterdir()) == []


def test_without_a_checkpoint_no_finished_epoch_is_trained_again(bench: Bench) -> None:
    bench.options["checkpoint_seconds"] = 1e6
    stopped(bench, 3 * STEPS + 2)
    assert reading_of(bench.do("train", 2))["reads"] == [[1, 1, 3], [2, 4, 5]]


def test_readers_that_want_no_further_epoch_do_not_use_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its network has seen images of an epoch that is none of theirs."""
    bench = family_of(tmp_path, monkeypatch, checkpoint_seconds=0.0)
    stopped(bench, 2 * STEPS + 1)
    (state,) = (each for each in every_state(bench.context().artifacts) if each.steps)
    found = load_checkpoint(state.folder)
    assert found is not None
    assert found.values["epoch"] == 2
    monkeypatch.setattr("test_states.FAMILY", {"two epochs": FAMILY["two epochs"]})
    shorter = family_of(tmp_path, monkeypatch)
    outcome = shorter.do("train", 2)
    assert shorter.notes == ["continuing after epoch 2"]
    assert outcome.values["reads"] == [[1, 1, 2]]


def test_it_says_for_whom_it_is(bench: Bench) -> None:
    bench.options["checkpoint_seconds"] = 1e6
    stopped(bench, 1)
    artifacts = bench.context().artifacts
    stage = bench.stage("train")
    assert readers_of_checkpoints(artifacts) == {stage.key: sorted(stage.readers)}
