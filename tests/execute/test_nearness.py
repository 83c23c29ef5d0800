"""Stages that are left for a moment to machines that hold what they need."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import stages
import torch

from runner.artifacts.exchange import settle, share
from runner.artifacts.folder import Artifacts
from runner.artifacts.patience import Patience
from runner.artifacts.places import FolderPlace
from runner.artifacts.shared import Shared
from runner.artifacts.shared_store import SharedStore
from runner.core.artifacts import weights_name
from runner.engine.training.checkpoint import save_weights
from runner.execute.nearness import GONE_SECONDS, LEFT_SECONDS, Nearness

WEIGHTS = weights_name("t", "best")
EVALUATION = stages.evaluate("e", "t", from_logits=False)


@dataclass
class World:
    """A machine, its clock, and whether others are at work."""

    artifacts: Artifacts
    others: bool = True
    now: float = 100.0
    digests: dict[str, str] = field(default_factory=dict)

    def nearness(self) -> Nearness:
        return Nearness(self.artifacts, self.digests.get, lambda: self.others, lambda: self.now)

    def train(self) -> Path:
        path = self.artifacts.path(WEIGHTS)
        self.digests[WEIGHTS], _ = save_weights(path, {"w": torch.ones(3)})
        share(self.artifacts, WEIGHTS)
        settle(self.artifacts, [WEIGHTS])
        return path


@pytest.fixture
def world(tmp_path: Path) -> World:
    (tmp_path / "store").mkdir()
    patience = Patience("the-store", lambda seconds: None)
    shared = Shared(SharedStore(FolderPlace(tmp_path / "store"), patience))
    return World(Artifacts(tmp_path / ".runner", "db", shared))


def test_what_lies_elsewhere_is_left_to_others_for_seconds(world: World) -> None:
    near = world.nearness()
    assert near.leaves([EVALUATION])
    world.now += LEFT_SECONDS - 0.1
    assert near.leaves([EVALUATION])
    world.now += 0.2
    assert not near.leaves([EVALUATION])
    assert near.leaves([stages.evaluate("later", "other")])


def test_where_nobody_else_is_at_work_nothing_is_left(world: World) -> None:
    world.others = False
    assert not world.nearness().leaves([EVALUATION])


def test_what_needs_nothing_is_taken_at_once(world: World) -> None:
    assert not world.nearness().leaves([stages.prepare()])


def test_where_nothing_is_shared_nothing_is_left_or_lacking(world: World) -> None:
    world.artifacts = Artifacts(world.artifacts.folder, "db")
    near = world.nearness()
    assert not near.leaves([EVALUATION])
    assert near.lacks(EVALUATION) is False


def remove_here(world: World) -> None:
    world.train().unlink()


def remove_everywhere(world: World) -> None:
    remove_here(world)
    shutil.rmtree(world.artifacts.folder.parent / "store" / "weights")


def damage_there(world: World) -> None:
    remove_here(world)
    home = world.artifacts.folder.parent / "store" / "weights"
    (blob,) = home.rglob("*.safetensors")
    blob.write_bytes(blob.read_bytes()[::-1])


@pytest.mark.parametrize("lose", [remove_everywhere, damage_there])
def test_weights_that_are_nowhere_are_waited_for_while_others_are_at_work(
    world: World, lose: Callable[[World], None]
) -> None:
    lose(world)
    near = world.nearness()
    assert near.lacks(EVALUATION) is None
    world.now += GONE_SECONDS
    assert near.lacks(EVALUATION) is True
    world.others = False
    assert world.nearness().lacks(EVALUATION) is True


def test_weights_that_are_shared_are_brought_here(world: World) -> None:
    remove_here(world)
    assert world.nearness().lacks(EVALUATION) is False
    assert world.artifacts.path(WEIGHTS).is_file()


def test_only_what_looks_at_weights_lacks_them(world: World) -> None:
    assert world.nearness().lacks(stages.train("t")) is False
