"""Checkpoints in a shared store: those after an epoch, and those within one."""

import json
from pathlib import Path
from typing import Any

import pytest
from shared_stores import FailingPlace, blobs, machine, notes
from state_values import STATE_VALUES

from runner.artifacts import state_folder, states
from runner.artifacts.checkpoints import remove_checkpoints, share_checkpoint
from runner.artifacts.exchange import described_elsewhere, fetch, settle
from runner.artifacts.folder import Artifacts
from runner.artifacts.hashes import file_digest
from runner.artifacts.places import FolderPlace
from runner.artifacts.shared_contents import clear_shared, shared_contents
from runner.artifacts.state_folder import describe_state, put_state
from runner.artifacts.states import (
    every_state,
    readers_of_checkpoints,
    resume_points,
    states_elsewhere,
    stored_states,
)
from runner.core.artifacts import checkpoint_name, checkpoint_names
from runner.core.errors import ClaimLost

KEY = "training"
WITHIN = checkpoint_name(KEY, within=True)


def write(artifacts: Artifacts, epoch: int, steps: int = 0, **values: Any) -> None:
    """Write a checkpoint."""

    def tensors(path: Path) -> str:
        path.write_text(f"tensors {artifacts.folder} {epoch} {steps}")
        return file_digest(path)

    started = {"started": {"losses": [0.5] * steps}} if steps else {}
    folder = artifacts.path(checkpoint_name(KEY, within=steps > 0))
    put_state(folder, {**STATE_VALUES, **started, "epoch": epoch, **values}, tensors)


def put(artifacts: Artifacts, epoch: int, steps: int = 0, **values: Any) -> None:
    """Write a checkpoint and have it put to the store."""
    write(artifacts, epoch, steps, **values)
    share_checkpoint(artifacts, KEY, steps > 0)
    settle(artifacts, checkpoint_names(KEY))


def places(artifacts: Artifacts) -> list[tuple[int, int]]:
    """Return which checkpoints the store has: epoch, and steps of the next."""
    found = states_elsewhere(artifacts, {"seg"}, fresh=True)
    return sorted((state.epoch, state.steps) for state, _ in found)


def test_one_within_an_epoch_is_shared_beside_the_one_after_an_epoch(
    here: Artifacts, there: Artifacts
) -> None:
    put(here, 3)
    put(here, 3, 7)
    assert places(there) == [(3, 0), (3, 7)]
    assert fetch(there, WITHIN)
    (state,) = every_state(there)
    assert (state.name, state.epoch, state.steps, state.stage) == (WITHIN, 3, 7, KEY)
    assert describe_state(state.folder) == describe_state(here.path(WITHIN))
    assert readers_of_checkpoints(there) == {KEY: ["one", "two"]}
    assert notes(there) == []


def test_plans_are_made_without_those_within_epochs(here: Artifacts, there: Artifacts) -> None:
    put(here, 3, 7)
    assert list(stored_states(here)) == []
    assert list(resume_points(here, {"seg": None})) == []
    assert list(resume_points(there, {"seg": None})) == []


@pytest.mark.parametrize(
    ("before", "after", "left"),
    [
        ((3, 7), (3, 2), (3, 7)),
        ((3, 7), (2, 9), (3, 7)),
        ((3, 7), (3, 8), (3, 8)),
        ((3, 7), (4, 1), (4, 1)),
    ],
)
def test_of_two_within_epochs_the_further_one_stays(
    before: tuple[int, int],
    after: tuple[int, int],
    left: tuple[int, int],
    here: Artifacts,
    there: Artifacts,
) -> None:
    put(here, *before)
    put(there, *after)
    assert places(here) == [left]


def test_one_within_that_serves_no_such_machine_gives_way_to_one_that_does(
    here: Artifacts, there: Artifacts
) -> None:
    """Else a training whose epochs take longer than a job would never get on, with another torch.

    A checkpoint after an earlier epoch leaves it: that does not stand in its way.
    """
    put(here, 3, 7)
    put(there, 2, numerics={"threads": 2})
    assert places(here) == [(2, 0), (3, 7)]
    put(there, 2, 9, numerics={"threads": 2})
    assert places(here) == [(2, 0), (2, 9)]


@pytest.mark.parametrize(("epoch", "left"), [(4, [(4, 0)]), (3, [(3, 0), (3, 7)])])
def test_one_after_an_epoch_replaces_one_within_that_is_not_further(
    epoch: int, left: list[tuple[int, int]], here: Artifacts, there: Artifacts, root: Path
) -> None:
    put(here, 3, 7)
    put(there, epoch)
    assert places(here) == left
    assert len(blobs(root)) == len(left)
    assert [(each.epoch, each.steps) for each in every_state(there)] == [(epoch, 0)]
    put(here, epoch)
    assert [(each.epoch, each.steps) for each in every_state(here)] == [(epoch, 0)]


def test_one_after_an_epoch_that_is_further_stays_unless_it_serves_no_such_machine(
    here: Artifacts, there: Artifacts
) -> None:
    """As where a machine began anew while it did not see what is there."""
    put(here, 5)
    put(there, 3)
    assert places(here) == [(5, 0)]
    put(there, 4, numerics={"threads": 2})
    assert places(here) == [(4, 0)]


@pytest.mark.parametrize("cut_off", [".json", ".safetensors"])
def test_what_came_between_two_tries_to_remove_one_stays(
    cut_off: str, here: Artifacts, tmp_path: Path, root: Path
) -> None:
    """Its training was taken over meanwhile, and stopped again."""
    put(here, 3, 7)
    meanwhile = iter([(4, 2)])

    def fails(method: str, name: str) -> Exception | None:
        if method == "remove" and "within" in name and name.endswith(cut_off):
            for place in meanwhile:
                put(here, *place)
                return OSError("the connection is lost")
        return None

    there = machine(tmp_path / "there" / ".runner", root, FailingPlace(FolderPlace(root), fails))
    put(there, 4)
    assert places(here) == [(4, 0), (4, 2)]
    assert len(blobs(root)) == 2


def test_plans_count_no_ones_within_epochs(
    here: Artifacts, there: Artifacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(states, "MOST_CHECKPOINTS", 1)
    put(here, 3)
    put(here, 3, 7)
    assert [each.epoch for each in resume_points(there, {"seg": None})] == [3]


def test_whoever_lost_a_claim_neither_puts_nor_removes_one(
    here: Artifacts, there: Artifacts
) -> None:
    def lost() -> None:
        raise ClaimLost("gone")

    put(here, 3, 7)
    for place in ((4, 1), (5, 0)):
        write(there, *place)
        share_checkpoint(there, KEY, place[1] > 0, lost)
    settle(there, checkpoint_names(KEY))
    assert places(here) == [(3, 7)]


def test_with_their_training_both_go(here: Artifacts, there: Artifacts, root: Path) -> None:
    put(here, 3)
    put(here, 3, 7)
    remove_checkpoints(there, [KEY])
    settle(there, checkpoint_names(KEY))
    assert [each for each in root.rglob("*") if each.is_file()] == []
    remove_checkpoints(here, [KEY])
    assert list(every_state(here)) == []


def test_both_are_listed_and_cleared_as_checkpoints(here: Artifacts) -> None:
    put(here, 3)
    put(here, 3, 7)
    counts = {each.kind: each.count for each in shared_contents(here)}
    assert counts["checkpoints"] == 4
    (removed,) = clear_shared(here, ["checkpoints"])
    assert removed.count == 4
    assert places(here) == []


def test_versions_that_know_none_within_epochs_take_it_for_nothing(
    here: Artifacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They ask for the format of those after epochs."""
    put(here, 3, 7)
    (text,) = described_elsewhere(here, [WITHIN]).values()
    assert json.loads(text)["format"] == 5
    monkeypatch.setattr(state_folder, "WITHIN_FORMAT", state_folder.FORMAT)
    assert places(here) == []
    assert list(every_state(here)) == []


def test_a_damaged_one_is_named_and_those_beside_it_are_used(
    here: Artifacts, there: Artifacts, root: Path
) -> None:
    put(here, 3)
    put(here, 3, 7)
    (blob,) = (each for each in blobs(root) if "within" in str(each))
    blob.write_bytes(b"other")
    assert not fetch(there, WITHIN)
    assert fetch(there, checkpoint_name(KEY))
    assert [(each.epoch, each.steps) for each in every_state(there)] == [(3, 0)]
    (note,) = notes(there)
    assert f"{KEY}-within at the-store is damaged" in note
