"""Frozen features in whole runs: killed while they are made, shared by processes and databases."""

import shutil
import signal
from pathlib import Path

import pytest
from forks import OUTPUT, Forks, KillAt
from grids import Left, ask, left_in, write_grid

FROZEN = """\
name: frozen
data: {dataset: imagefolder, path: photos, validation: 0.25, test: 0.25, resize: 8}
model: {name: convnet, filters: [6], batch_norm: true, linear: [5], freeze: features}
train: {epochs: 4, batch_size: 8, optimizer: adam}
sweep:
  grid: {lr: [0.01, 0.03], dropout: [0.0, 0.3]}
"""
AUGMENTED = """\
name: augmented
data: {dataset: imagefolder, path: photos, validation: 0.25, test: 0.25, resize: 8, crop: 8}
model: {name: convnet, filters: [6], batch_norm: true, linear: [5], freeze: features}
train: {epochs: 4, batch_size: 8, optimizer: adam}
evaluate: {train_eval: full}
sweep:
  rows:
    - {label: plain}
    - {label: cropped, augment: [{name: RandomCrop, size: 8, padding: 2}]}
    - {label: jittered, augment: [{name: ColorJitter, brightness: 0.5}]}
"""
"""Three runs on the features of one prefix, two of them only where they are evaluated."""

POINTS = {
    "written, not renamed": KillAt("features written, not renamed"),
    "renamed, not recorded": KillAt("features in place, not recorded"),
    "half computed": KillAt("features of a batch computed"),
    "first epoch on features": KillAt("epoch trained"),
}


@pytest.fixture(scope="module")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_grid(tmp_path_factory.mktemp("frozen"), FROZEN)


@pytest.fixture(scope="module")
def undisturbed_frozen(
    forks: Forks, frozen: Path, tmp_path_factory: pytest.TempPathFactory
) -> Left:
    folder = tmp_path_factory.mktemp("undisturbed_frozen")
    assert forks.run(folder, ["run", str(frozen)]) == 0
    return left_in(folder)


def num_attempts(folder: Path, kind: str) -> int:
    query = "SELECT count(*) FROM attempts JOIN stages USING (stage_key) WHERE kind = ?"
    ((number,),) = ask(folder, query + " AND status = 'done'", [kind])
    return int(number)


@pytest.mark.slow
@pytest.mark.parametrize(
    "point",
    [
        "written, not renamed",
        *(pytest.param(p, marks=pytest.mark.slow) for p in POINTS if p != "written, not renamed"),
    ],
)
def test_killed_around_the_features_the_grid_ends_as_if_undisturbed(
    point: str, forks: Forks, frozen: Path, undisturbed_frozen: Left, tmp_path: Path
) -> None:
    words = ["run", str(frozen), "--checkpoint-seconds", "0"]
    killed = forks.run(tmp_path, words, POINTS[point])
    assert killed == -signal.SIGKILL, (tmp_path / OUTPUT).read_text()
    assert forks.run(tmp_path, words) == 0, (tmp_path / OUTPUT).read_text()
    left = left_in(tmp_path)
    assert left == undisturbed_frozen
    assert left.litter == ()


@pytest.mark.slow
def test_a_grid_of_two_prefixes_computes_two(
    forks: Forks, frozen: Path, undisturbed_frozen: Left, tmp_path: Path
) -> None:
    # dropout stands in the blocks too, so that each of its values is another prefix
    assert forks.run(tmp_path, ["run", str(frozen)]) == 0
    assert (num_attempts(tmp_path, "features"), num_attempts(tmp_path, "train")) == (2, 4)
    assert left_in(tmp_path) == undisturbed_frozen


@pytest.mark.slow
def test_two_processes_compute_features_once(
    forks: Forks, frozen: Path, undisturbed_frozen: Left, tmp_path: Path
) -> None:
    pids = [forks.start(tmp_path, ["run", str(frozen)]) for _ in range(2)]
    assert [forks.wait(pid) for pid in pids] == [0, 0]
    assert num_attempts(tmp_path, "features") == 2
    assert left_in(tmp_path).dump == undisturbed_frozen.dump


@pytest.mark.slow
def test_two_databases_share_one_folder_of_features(
    forks: Forks, frozen: Path, undisturbed_frozen: Left, tmp_path: Path
) -> None:
    names = ("results.db", "second.db")
    pids = [forks.start(tmp_path, ["run", str(frozen), "--db", name]) for name in names]
    assert [forks.wait(pid) for pid in pids] == [0, 0], (tmp_path / OUTPUT).read_text()
    assert left_in(tmp_path).dump == undisturbed_frozen.dump
    assert len(list((tmp_path / ".runner" / "features").iterdir())) == 2


@pytest.fixture(scope="module")
def augmented(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_grid(tmp_path_factory.mktemp("augmented"), AUGMENTED)


@pytest.fixture(scope="module")
def undisturbed_augmented(
    forks: Forks, augmented: Path, tmp_path_factory: pytest.TempPathFactory
) -> Left:
    folder = tmp_path_factory.mktemp("undisturbed_augmented")
    assert forks.run(folder, ["run", str(augmented)]) == 0
    assert (num_attempts(folder, "features"), num_attempts(folder, "train")) == (1, 3)
    return left_in(folder)


@pytest.mark.slow
@pytest.mark.parametrize("evicted", [False, True])
@pytest.mark.parametrize("call", [1, 6, 10])
def test_augmented_runs_killed_in_training_end_as_if_undisturbed(
    call: int,
    evicted: bool,
    forks: Forks,
    augmented: Path,
    undisturbed_augmented: Left,
    tmp_path: Path,
) -> None:
    words = ["run", str(augmented), "--checkpoint-seconds", "0"]
    killed = forks.run(tmp_path, words, KillAt("epoch trained", call))
    assert killed == -signal.SIGKILL, (tmp_path / OUTPUT).read_text()
    if evicted:
        shutil.rmtree(tmp_path / ".runner" / "features")
    assert forks.run(tmp_path, words) == 0, (tmp_path / OUTPUT).read_text()
    assert left_in(tmp_path) == undisturbed_augmented
    assert num_attempts(tmp_path, "features") == 1 + evicted


@pytest.mark.slow
def test_two_processes_of_augmented_runs_compute_features_once(
    forks: Forks, augmented: Path, undisturbed_augmented: Left, tmp_path: Path
) -> None:
    pids = [forks.start(tmp_path, ["run", str(augmented)]) for _ in range(2)]
    assert [forks.wait(pid) for pid in pids] == [0, 0]
    assert num_attempts(tmp_path, "features") == 1
    assert left_in(tmp_path).dump == undisturbed_augmented.dump


@pytest.mark.slow
def test_augmented_runs_without_sharing_are_alike(
    forks: Forks, augmented: Path, undisturbed_augmented: Left, tmp_path: Path
) -> None:
    assert forks.run(tmp_path, ["run", str(augmented), "--no-share"]) == 0
    assert num_attempts(tmp_path, "features") == 0
    ours, theirs = undisturbed_augmented.tensors, left_in(tmp_path).tensors
    assert ours.keys() == theirs.keys()
    # the weights of both augmented runs are the same bytes, and those of the plain one may be
    assert sum(ours[name] == theirs[name] for name in ours) >= 2
