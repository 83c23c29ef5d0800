"""Frozen features: computed once, the same results, checked, limited in size."""

import errno
import json
import os
import shutil
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from benches import Bench, plain_records, reading_of, settings_of

from runner.artifacts.array_folder import _checked
from runner.artifacts.atomic import partial_path, put_folder
from runner.artifacts.cache import Cache
from runner.components.settings import evaluated_each_epoch
from runner.core.errors import Interrupted
from runner.core.plan import Facts
from runner.core.prefix import FrozenPrefix
from runner.engine.network.build import build_network
from runner.engine.stages import features as module
from runner.lower.stages import Sizes, make_run, naive_chain, naive_plan
from runner.lower.trajectory import num_views
from runner.planner.rules import use_frozen_features

BLOCKS = {
    "name": "convnet",
    "filters": [4, 6],
    "batch_norm": True,
    "linear": [8],
    "dropout": 0.3,
    "freeze": "features",
}


class FeaturesBench(Bench):
    """A bench whose chain is planned with frozen features."""

    features_shape: ClassVar[tuple[int, ...]] = (24,)

    def __post_init__(self) -> None:
        super().__post_init__()
        network = build_network(self.settings, (3, 8, 8), 3, torch.device("cpu"))
        split = network.split()
        assert split is not None
        shape, views = self.features_shape, num_views(self.settings)
        prefix = FrozenPrefix("the-key", split.cut, shape, views)
        run = make_run(self.settings, self.source.fingerprint)
        images = self.settings.data.split_sizes(60, {})
        sizes = Sizes(evaluated=evaluated_each_epoch(self.settings, images) / 60)
        chain = naive_chain(run, self.settings, prefix=prefix, sizes=sizes)
        plan = use_frozen_features(naive_plan([(run, chain)]), Facts())
        self.chain = plan.stages

    def train(self, attempt: int = 1):
        """Prepare, compute features and train."""
        self.do("prepare")
        self.do("features")
        return self.do("train", attempt)

    @property
    def folder_of_features(self) -> Path:
        """Return where the features lie."""
        return self.folder / "features" / "the-key"


def benches(tmp_path: Path, **changes: Any) -> tuple[Bench, FeaturesBench]:
    settings = settings_of(model={**BLOCKS, **changes})
    return Bench(tmp_path / "plain", settings), FeaturesBench(tmp_path / "features", settings)


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes", [{}, {"dropout": 0.0}, {"freeze": ["features", "classifier.hidden1"]}], ids=str
)
def test_training_on_features_is_training_on_images(
    tmp_path: Path, changes, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(model={**BLOCKS, **changes})
    plain = Bench(tmp_path / "plain", settings)
    monkeypatch.setattr(FeaturesBench, "features_shape", (8,) if "freeze" in changes else (24,))
    shared = FeaturesBench(tmp_path / "features", settings)
    one, other = plain.train(), shared.train()
    for first, second in zip(plain.read(one), shared.read(other), strict=True):
        assert second.step_losses == pytest.approx(first.step_losses, rel=1e-4)
        assert [each.value for each in second.metrics] == pytest.approx(
            [each.value for each in first.metrics], rel=1e-4, abs=1e-6
        )
    kept, expected = shared.weights(), plain.weights()
    assert kept.keys() == expected.keys()
    for name, tensor in kept.items():
        torch.testing.assert_close(tensor, expected[name], rtol=1e-4, atol=1e-5)
    tested = shared.do("evaluate", 3, other).measured
    for ours, theirs in zip(tested, plain.do("evaluate", 3, one).measured, strict=True):
        assert ours.value == pytest.approx(theirs.value, rel=1e-4)


@pytest.mark.slow
def test_features_are_the_prefix_of_every_image_in_eval_mode(tmp_path: Path) -> None:
    _, bench = benches(tmp_path)
    bench.do("prepare")
    outcome = bench.do("features")
    images = bench.images()
    network = build_network(bench.settings, images.shape, 3, torch.device("cpu"))
    network.eval()
    every = torch.arange(60)
    with torch.no_grad():
        expected = network.module.flatten(network.module.features(images.inputs(every)))
    found = np.load(bench.folder_of_features / "features.npy")
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-5, atol=1e-6)
    assert outcome.values == {"images": 60, "cut": "flatten"}
    assert outcome.produced[0].num_bytes == 60 * 24 * 4 + 128


@pytest.mark.slow
def test_training_on_features_runs_no_frozen_layer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, bench = benches(tmp_path)
    bench.do("prepare")
    bench.do("features")

    forward = torch.nn.Conv2d.forward

    def refuse(layer: torch.nn.Conv2d, inputs: torch.Tensor) -> torch.Tensor:
        assert inputs.device.type == "meta", "a convolution is computed"
        return forward(layer, inputs)

    monkeypatch.setattr(torch.nn.Conv2d, "forward", refuse)
    outcome = bench.do("train")
    assert bench.do("evaluate", 3, outcome).measured


def test_features_that_are_there_are_not_computed_again(tmp_path: Path) -> None:
    _, bench = benches(tmp_path)
    bench.do("prepare")
    bench.do("features")
    path = bench.folder_of_features / "features.npy"
    before = path.stat().st_ino
    bench.do("features")
    assert path.stat().st_ino == before


def damage(folder: Path) -> None:
    content = bytearray((folder / "features.npy").read_bytes())
    content[-1] ^= 1
    (folder / "features.npy").write_bytes(content)


def lose(folder: Path) -> None:
    (folder / "features.npy").unlink()


def garble(folder: Path) -> None:
    (folder / "index.json").write_text("{")


def made_elsewhere(folder: Path) -> None:
    index = json.loads((folder / "index.json").read_text())
    index["numerics"]["torch"] = "0.1"
    (folder / "index.json").write_text(json.dumps(index))


def other_pixels(folder: Path) -> None:
    index = json.loads((folder / "index.json").read_text())
    (folder / "index.json").write_text(json.dumps({**index, "pixels": "other"}))


def no_mapping(folder: Path) -> None:
    (folder / "index.json").write_text("{}")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (other_pixels, "they were made from other pixels"),
        (no_mapping, "they were made from other pixels"),
        (damage, "they are damaged"),
        (lose, "they are not there"),
        (garble, "they are not there"),
        (made_elsewhere, "they were made with another device, torch or engine"),
    ],
)
def test_features_that_cannot_be_used_are_computed_again(tmp_path: Path, harm, said: str) -> None:
    _, bench = benches(tmp_path)
    undisturbed = plain_records(bench.read(bench.train()))
    harm(bench.folder_of_features)
    bench.notes.clear()
    bench.options["share_states"] = False
    again = bench.do("train", 2)
    assert bench.notes == [f"frozen features are computed again: {said}"]
    assert plain_records(bench.read(again)) == undisturbed


@pytest.mark.slow
def test_accept_mixed_takes_features_of_other_numerics(tmp_path: Path) -> None:
    _, bench = benches(tmp_path)
    bench.train()
    made_elsewhere(bench.folder_of_features)
    bench.options |= {"accept_mixed": True, "share_states": False}
    bench.notes.clear()
    bench.do("train", 2)
    assert bench.notes == []


def test_a_stop_while_computing_features_leaves_nothing(tmp_path: Path) -> None:
    _, bench = benches(tmp_path)
    bench.do("prepare")
    bench.options["should_stop"] = lambda: True
    with pytest.raises(Interrupted, match="frozen features"):
        bench.do("features")
    assert list((bench.folder / "features").iterdir()) == []


@pytest.mark.slow
def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, bench = benches(tmp_path)
    bench.do("prepare")

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space left"):
        bench.do("features")
    assert list((bench.folder / "features").iterdir()) == []


def other_features(bench: FeaturesBench, name: str, size: int, used: float) -> Path:
    folder = bench.folder / "features" / name
    folder.mkdir(parents=True)
    (folder / "features.npy").write_bytes(b"\0" * size)
    (folder / "index.json").write_text("{}")
    os.utime(folder / "index.json", (used, used))
    return folder


@pytest.mark.slow
def test_what_was_used_longest_ago_makes_room(tmp_path: Path) -> None:
    _, bench = benches(tmp_path)
    bench.do("prepare")
    folders = [other_features(bench, str(age), 3000, used=1000.0 - age) for age in range(4)]
    bench.options["cache"] = Cache(bench.folder, 13_000, [folders[3]])
    bench.do("features")
    # 12,000 bytes are there, 5,760 more are wanted: two must go, and the oldest is needed
    assert [folder.is_dir() for folder in folders] == [True, False, False, True]
    assert bench.folder_of_features.is_dir()


@pytest.mark.slow
def test_using_features_makes_them_recent(tmp_path: Path) -> None:
    _, bench = benches(tmp_path)
    bench.train()
    index = bench.folder_of_features / "index.json"
    os.utime(index, (1.0, 1.0))
    bench.do("train", 2)
    assert index.stat().st_mtime > 1.0


@pytest.mark.slow
def test_an_interrupted_training_on_features_goes_on_bitwise(tmp_path: Path) -> None:
    _, bench = benches(tmp_path)
    undisturbed = bench.train()
    digest, records = bench.digest(), plain_records(bench.read(undisturbed))
    other = FeaturesBench(tmp_path / "other", bench.settings)
    other.do("prepare")
    other.do("features")
    asked = iter([False] * 4 + [True] * 9)
    other.options |= {"checkpoint_seconds": 0.0, "should_stop": lambda: next(asked)}
    with pytest.raises(Interrupted):
        other.do("train", 1)
    del other.options["should_stop"]
    outcome = other.do("train", 2)
    assert reading_of(outcome)["reads"][0][0] == 1
    assert plain_records(other.read(outcome)) == records
    assert other.digest() == digest


@pytest.mark.slow
def test_a_checkpoint_made_without_features_is_not_continued_with_them(tmp_path: Path) -> None:
    plain, shared = benches(tmp_path)
    plain.do("prepare")
    asked = iter([False] * 4 + [True] * 9)
    plain.options |= {"checkpoint_seconds": 0.0, "should_stop": lambda: next(asked)}
    with pytest.raises(Interrupted):
        plain.do("train", 1)
    shared = FeaturesBench(plain.folder, plain.settings)
    shared.do("prepare")
    shared.do("features")
    outcome = shared.do("train", 2)
    assert reading_of(outcome)["reads"] == [[2, 1, 3]]
    assert "other frozen features, or without" in shared.notes[0]


@pytest.mark.slow
def test_features_of_more_than_one_dimension_are_channels_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(model={**BLOCKS, "freeze": ["features.block1"]})
    monkeypatch.setattr(FeaturesBench, "features_shape", (4, 4, 4))
    bench = FeaturesBench(tmp_path, settings)
    plain = Bench(tmp_path / "plain", settings)
    one, other = plain.train(), bench.train()
    first, second = plain.read(one)[-1], bench.read(other)[-1]
    assert second.step_losses == pytest.approx(first.step_losses, rel=1e-4)
    samples = module.Features(bench.folder_of_features, bench.images())
    inputs = samples.inputs(torch.arange(3))
    assert inputs.is_contiguous(memory_format=torch.channels_last)
    assert "features/the-key" in bench.stage("train").consumes


@pytest.mark.slow
def test_features_that_vanish_while_they_are_checked_are_computed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, bench = benches(tmp_path)
    undisturbed = plain_records(bench.read(bench.train()))
    checked = module.file_digest

    def evicted(path: Path) -> str:
        digest = checked(path)
        monkeypatch.setattr(module, "file_digest", checked)
        shutil.rmtree(path.parent)
        return digest

    _checked.clear()
    monkeypatch.setattr(module, "file_digest", evicted)
    bench.notes.clear()
    bench.options["share_states"] = False
    again = bench.do("train", 2)
    assert bench.notes == ["frozen features are computed again: another process has removed them"]
    assert plain_records(bench.read(again)) == undisturbed


def test_an_unfinished_folder_of_another_process_makes_no_room(tmp_path: Path) -> None:
    _, bench = benches(tmp_path)
    bench.do("prepare")
    unfinished = other_features(bench, "key.host.1.partial", 9000, used=1.0)
    bench.options["cache"] = Cache(bench.folder, 6000)
    bench.do("features")
    assert unfinished.is_dir()


@pytest.mark.slow
def test_two_that_write_the_same_features_leave_one(tmp_path: Path) -> None:
    _, bench = benches(tmp_path)
    bench.train()
    final = bench.folder_of_features
    partial = partial_path(final)
    shutil.copytree(final, partial)
    (partial / "index.json").write_text("{}")
    put_folder(partial, final)
    assert (final / "index.json").read_text() == "{}"
    assert [each.name for each in final.parent.iterdir()] == ["the-key"]
