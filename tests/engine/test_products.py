"""Weights on the disk count only while they are what was recorded of them."""

import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from benches import Bench, settings_of
from safetensors.torch import load_file, save_file

from runner.artifacts.folder import Artifacts
from runner.core.errors import StageFailed
from runner.core.reader import Reader, ReaderState, SelectRule
from runner.engine.network.tensors import tensors_digest
from runner.engine.network.whole_weights import whole_weights
from runner.engine.products import is_there, lies_there
from runner.engine.training.checkpoint import Checkpoint
from runner.engine.training.resume import only_on_disk, with_written
from runner.engine.training.state import TrainState

READER = Reader(3, None, SelectRule("val_loss", "min"), "best", 20.0)
TENSORS = {"layer.weight": torch.arange(6.0).view(2, 3), "layer.bias": torch.ones(2)}


def shift(path: Path) -> None:
    tensors = load_file(path)
    save_file({**tensors, "layer.bias": tensors["layer.bias"] + 1}, path)


def rename(path: Path) -> None:
    tensors = load_file(path)
    save_file({"layer.other": tensors.pop("layer.bias"), **tensors}, path)


def reshape(path: Path) -> None:
    tensors = load_file(path)
    save_file({**tensors, "layer.weight": tensors["layer.weight"].view(3, 2)}, path)


def cut_off(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def empty(path: Path) -> None:
    path.write_bytes(b"")


HARMS = [shift, rename, reshape, cut_off, empty, Path.unlink]


@pytest.mark.parametrize("harm", HARMS)
def test_weights_that_are_not_what_was_recorded_do_not_count(tmp_path: Path, harm) -> None:
    path = tmp_path / "weights" / "database" / "run-best.safetensors"
    path.parent.mkdir(parents=True)
    save_file(TENSORS, path)
    digest = tensors_digest(TENSORS)
    assert whole_weights(path, digest).keys() == TENSORS.keys()
    assert is_there(Artifacts(tmp_path, "database"), "weights/run-best", lambda name: digest)
    assert not is_there(Artifacts(tmp_path, "database"), "weights/run-best", lambda name: None)
    harm(path)
    assert whole_weights(path, digest) == {}
    assert not is_there(Artifacts(tmp_path, "database"), "weights/run-best", lambda name: digest)
    assert lies_there(Artifacts(tmp_path, "database"), "weights/run-best") == path.exists()


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("harm", [cut_off, empty, Path.unlink])
def test_an_evaluation_of_damaged_weights_measures_nothing(tmp_path: Path, harm) -> None:
    bench = Bench(tmp_path, settings_of())
    outcome = bench.train()
    assert bench.do("evaluate", 2, outcome).measured
    harm(bench.context().artifact_path(f"weights/{bench.stage('train').key}-best"))
    with pytest.raises(StageFailed, match=r"the weights in .*-best.safetensors are gone, damaged"):
        bench.do("evaluate", 3, outcome)


@pytest.mark.parametrize("is_whole", [True, False])
def test_a_state_keeps_only_whole_weights_of_satisfied_readers(
    tmp_path: Path, is_whole: bool
) -> None:
    bench = Bench(tmp_path, settings_of())
    path = bench.context().artifact_path("weights/reader-best")
    path.parent.mkdir(parents=True)
    save_file(TENSORS, path)
    reader = ReaderState(epoch=3, best_epoch=2, finished=True)
    written = {"weights/reader-best": tensors_digest(TENSORS)}
    state = TrainState(None, None, {"reader": reader}, written=written)
    if not is_whole:
        shift(path)
    job = SimpleNamespace(stage=replace(bench.stage("train"), readers={"reader": READER}))
    bare = Checkpoint({}, {"best_epochs": [1]})
    kept = with_written(bare, only_on_disk(bench.context(), job, state))
    assert kept.values["best_epochs"] == ([1, 2] if is_whole else [1])
    assert kept.tensors.keys() == ({f"best.2.{each}" for each in TENSORS} if is_whole else set())
