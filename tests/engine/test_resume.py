"""A training that was interrupted and continued is the undisturbed one, bit for bit."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from benches import Bench, Draws, plain_records, reading_of, settings_of

from runner.core.errors import Interrupted
from runner.core.records import Produced
from runner.engine.context import Outcome

CONVNET = {"name": "convnet", "filters": [4, 6], "batch_norm": True}
DROPPING = {"name": "mlp", "hidden": [12, 8], "batch_norm": True, "dropout": 0.4}
PLATEAU = {"name": "plateau", "patience": 0, "threshold": 0.5, "factor": 0.5}
STOPPING = {"monitor": "val_accuracy", "patience": 3, "tolerance": 0.02}
STEPS = 3
"""Of an epoch."""

CASES: dict[str, dict[str, Any]] = {
    "sgd": {"train": {"optimizer": {"name": "sgd", "lr": 0.1}}},
    "sgd momentum": {"model": CONVNET},
    "sgd nesterov": {
        "train": {
            "optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.8, "nesterov": True},
            "clip_grad_norm": 0.5,
        }
    },
    "adam": {"train": {"optimizer": {"name": "adam", "lr": 0.01}}, "model": DROPPING},
    "adamw, convolutions": {
        "train": {"optimizer": {"name": "adamw", "lr": 0.01}, "schedule": {"name": "cosine"}},
        "model": {**CONVNET, "dropout": 0.3},
    },
    "plateau": {"train": {"schedule": PLATEAU}, "model": DROPPING},
    "early stopping": {"train": {"early_stopping": STOPPING, "epochs": 50}},
    "last, train_eval and test": {
        "train": {"best": {"monitor": "last"}},
        "evaluate": {"test": "each_epoch", "train_eval": "full"},
    },
    "last tested": {"evaluate": {"test": "last"}, "model": DROPPING},
    "balanced epochs": {"train": {"sampling": "balanced"}, "model": DROPPING},
    "weighted classes": {
        "train": {
            "loss": {"name": "focal", "class_weights": [1.0, 2.0, 0.5]},
            "early_stopping": {"monitor": "train_loss", "patience": 4},
        },
    },
    "bf16": {"train": {"precision": "bf16"}, "model": CONVNET},
}


def settings_for(case: str):
    values = CASES[case]
    return settings_of(**{**values, "train": {"epochs": 5, **values.get("train", {})}})


def stop_after(steps: int):
    """Return a should_stop that is True from a number of steps on."""
    asked = 0

    def should_stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > steps

    return should_stop


def stop_at_once_after(steps: int):
    """Return what a second Ctrl-C does instead: nothing of the epoch in progress is kept."""
    asked = stop_after(steps)

    def should_stop() -> bool:
        if asked():
            raise KeyboardInterrupt
        return False

    return should_stop


def but_logits(outcome: Outcome) -> list[Produced]:
    """Return what a training has left, without logits: a stop that is asked for costs those."""
    return [each for each in outcome.produced if not each.name.startswith("logits/")]


def undisturbed(case: str, folder: Path) -> tuple[Bench, Outcome]:
    bench = Bench(folder, settings_for(case))
    return bench, bench.train()


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_interrupted_in_every_epoch_it_ends_as_if_undisturbed(case: str, tmp_path: Path) -> None:
    expected, outcome = undisturbed(case, tmp_path / "whole")
    bench = Bench(tmp_path / "parts", settings_for(case), options={"checkpoint_seconds": 0.0})
    bench.do("prepare")
    attempt = 1
    while True:
        bench.options["should_stop"] = stop_after(STEPS + 1)  # in the second epoch of each attempt
        try:
            continued = bench.do("train", attempt)
        except Interrupted:
            attempt += 1
            continue
        break
    epochs = reading_of(outcome)["last_epoch"]
    assert attempt == 1 + epochs * STEPS // (STEPS + 1)
    reads = reading_of(continued)["reads"]
    assert [epoch for _, first, last in reads for epoch in range(first, last + 1)] == [
        *range(1, epochs + 1)
    ]
    assert plain_records(bench.read(continued)) == plain_records(expected.read(outcome))
    assert but_logits(continued) == but_logits(outcome)
    assert bench.digest() == expected.digest()
    assert list(continued.values["readers"]) == list(outcome.values["readers"])
    assert {**reading_of(continued), "reads": None} == {**reading_of(outcome), "reads": None}
    assert continued.values["reads"] == reading_of(continued)["reads"]
    assert set(continued.values) == set(outcome.values)


@pytest.mark.slow
def test_the_cases_stop_early_and_lower_the_rate(tmp_path: Path) -> None:
    """Otherwise the test above would show less than it says."""
    _, outcome = undisturbed("early stopping", tmp_path / "a")
    assert reading_of(outcome)["stopped_early"]
    assert 3 < reading_of(outcome)["last_epoch"] < 50
    bench, outcome = undisturbed("plateau", tmp_path / "b")
    assert len({record.learning_rate for record in bench.read(outcome)}) > 1


@pytest.fixture
def interrupted(tmp_path: Path) -> Bench:
    """Return a training of five epochs, stopped at once in the third, with a checkpoint."""
    bench = Bench(tmp_path, settings_for("adam"), options={"checkpoint_seconds": 0.0})
    bench.do("prepare")
    bench.options["should_stop"] = stop_at_once_after(2 * STEPS + 1)
    with pytest.raises(KeyboardInterrupt):
        bench.do("train")
    del bench.options["should_stop"]
    return bench


def checkpoint_of(bench: Bench) -> Path:
    return bench.context().artifacts.checkpoint(bench.stage("train").key)


def first_epoch(bench: Bench, outcome: Outcome, attempt: int = 2) -> int:
    return next(first for each, first, _ in reading_of(outcome)["reads"] if each == attempt)


def test_a_checkpoint_is_continued_after_its_epoch(interrupted: Bench) -> None:
    outcome = interrupted.do("train", 2)
    assert reading_of(outcome)["reads"] == [[1, 1, 2], [2, 3, 5]]
    assert interrupted.notes == ["continuing after epoch 2"]


def test_a_training_that_goes_on_draws_no_weights(interrupted: Bench) -> None:
    with Draws() as draws:
        interrupted.do("train", 2)
    assert draws.count == 0


@pytest.mark.slow
def test_a_checkpoint_that_is_found_damaged_leaves_the_weights_to_be_drawn(
    interrupted: Bench, tmp_path: Path
) -> None:
    (tensors,) = checkpoint_of(interrupted).glob("*.safetensors")
    content = bytearray(tensors.read_bytes())
    content[-1] ^= 1
    tensors.write_bytes(content)
    outcome = interrupted.do("train", 2)
    assert reading_of(outcome)["reads"] == [[2, 1, 5]]
    expected, _ = undisturbed("adam", tmp_path / "whole")
    assert interrupted.digest() == expected.digest()


def test_only_the_newest_checkpoint_is_kept(interrupted: Bench) -> None:
    description, tensors = sorted(path.name for path in checkpoint_of(interrupted).iterdir())
    assert description == "checkpoint.json"
    assert re.fullmatch(r"epoch-2-[0-9a-f]{16}\.safetensors", tensors)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (
            {"numerics": {"device": "cpu", "threads": 8}},
            "another device, torch, engine or threads",
        ),
    ],
)
def test_a_foreign_checkpoint_is_not_continued(
    interrupted: Bench, options: dict[str, Any], why: str
) -> None:
    interrupted.options |= options
    outcome = interrupted.do("train", 2)
    assert reading_of(outcome)["reads"] == [[2, 1, 5]]
    assert why in interrupted.notes[0]


def test_a_checkpoint_of_other_numerics_is_continued_when_asked_for(interrupted: Bench) -> None:
    interrupted.options |= {"numerics": {"device": "cpu", "threads": 8}, "accept_mixed": True}
    outcome = interrupted.do("train", 2)
    assert reading_of(outcome)["reads"] == [[1, 1, 2], [2, 3, 5]]


def test_another_database_does_not_see_the_checkpoint(interrupted: Bench) -> None:
    mine = checkpoint_of(interrupted)
    interrupted.options["database"] = "another"
    outcome = interrupted.do("train", 2)
    assert reading_of(outcome)["reads"] == [[2, 1, 5]]
    assert (mine / "checkpoint.json").exists()


def test_a_checkpoint_of_other_pixels_is_not_continued(interrupted: Bench) -> None:
    path = checkpoint_of(interrupted) / "checkpoint.json"
    inputs = {"pixels": "other", "features": ""}
    path.write_text(json.dumps({**json.loads(path.read_text()), "inputs": inputs}))
    outcome = interrupted.do("train", 2)
    assert reading_of(outcome)["reads"] == [[2, 1, 5]]
    assert "other pixels" in interrupted.notes[0]


def test_a_checkpoint_of_epochs_that_are_not_recorded_is_not_continued(interrupted: Bench) -> None:
    asked: list[Any] = []
    interrupted.can_continue = lambda ranges: asked.append(ranges) is not None
    outcome = interrupted.do("train", 2)
    assert asked == [[[1, 1, 2]]]
    assert reading_of(outcome)["reads"] == [[2, 1, 5]]
    assert "epochs that the database lacks" in interrupted.notes[0]


def flip_a_byte(folder: Path) -> None:
    (path,) = folder.glob("*.safetensors")
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


def truncate(folder: Path) -> None:
    (path,) = folder.glob("epoch-2-*.safetensors")
    path.write_bytes(path.read_bytes()[:-1])


def lose_tensors(folder: Path) -> None:
    (path,) = folder.glob("epoch-2-*.safetensors")
    path.unlink()


def break_json(folder: Path) -> None:
    (folder / "checkpoint.json").write_text('{"epoch": 2')


def no_mapping(folder: Path) -> None:
    (folder / "checkpoint.json").write_text("null")


def no_checksum(folder: Path) -> None:
    path = folder / "checkpoint.json"
    values = json.loads(path.read_text())
    del values["sha256"]
    path.write_text(json.dumps(values))


def no_segment(folder: Path) -> None:
    path = folder / "checkpoint.json"
    values = json.loads(path.read_text())
    del values["segment"]
    path.write_text(json.dumps(values))


@pytest.mark.slow
@pytest.mark.parametrize(
    "damage",
    [flip_a_byte, truncate, lose_tensors, break_json, no_mapping, no_checksum, no_segment],
)
def test_a_damaged_checkpoint_is_not_continued(interrupted: Bench, damage, tmp_path: Path) -> None:
    damage(checkpoint_of(interrupted))
    outcome = interrupted.do("train", 2)
    assert first_epoch(interrupted, outcome) == 1
    expected, _ = undisturbed("adam", tmp_path / "whole")
    assert interrupted.digest() == expected.digest()


def test_without_a_checkpoint_finished_epochs_are_recorded_and_trained_again(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path, settings_for("adam"), options={"should_stop": stop_at_once_after(7)})
    with pytest.raises(KeyboardInterrupt):
        bench.train()
    assert sorted(bench.records) == [(1, 1), (1, 2)]
    del bench.options["should_stop"]
    assert bench.do("train", 2).values["reads"] == [[2, 1, 5]]


def test_a_checkpoint_is_written_only_after_its_seconds(tmp_path: Path) -> None:
    bench = Bench(tmp_path, settings_for("adam"), options={"checkpoint_seconds": 1e6})
    bench.train()
    assert not checkpoint_of(bench).exists()
