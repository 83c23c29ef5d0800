"""Machines with a `.runner/` each, one shared store and one database: each goes on from the others.

A machine is a folder whose database is a link to the one that all share.
"""

import os
import shutil
import signal
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from analysed_grids import ASKED, ENDED
from forks import OUTPUT, Forks, KillAt
from grids import Undisturbed, ask, left_in, write_grid
from planted import at_moment
from postgres import PostgresServer
from stage_log import do_spec
from test_features_of_runs import FROZEN

from runner.artifacts import shared as shared_module
from runner.artifacts.patience import Patience
from runner.artifacts.places import FolderPlace
from runner.artifacts.shared import Shared
from runner.artifacts.shared_store import SharedStore
from runner.core.errors import DiskFull
from runner.execute.heartbeat import Heartbeat
from runner.store.claim_answers import Claimed
from runner.store.database import open_database
from runner.store.dump import canonical_dump

pytestmark = pytest.mark.slow

DONE = (
    "SELECT kind, count(*) FROM attempts JOIN stages USING (stage_key) WHERE status = 'done'"
    " GROUP BY kind ORDER BY kind"
)
ATTEMPTS = "SELECT kind, number, status FROM attempts JOIN stages USING (stage_key)"
EVERYTHING = [("evaluate", 4), ("prepare", 1), ("train", 4)]


class Machines:
    """Folders on one database, and a shared store."""

    def __init__(self, home: Path) -> None:
        self.store = home / "store"
        self.store.mkdir()
        self.one, self.two = home / "one", home / "two"
        for folder in (self.one, self.two):
            folder.mkdir()
        (self.two / "results.db").symlink_to(self.one / "results.db")

    def words(self, spec: Path, *more: str) -> list[str]:
        return ["run", str(spec), "--artifacts", str(self.store), *more]

    def output(self, folder: Path) -> str:
        return (folder / OUTPUT).read_text()


@pytest.fixture
def machines(tmp_path: Path) -> Machines:
    return Machines(tmp_path)


def blobs(store: Path, kind: str) -> list[Path]:
    found = (each for each in (store / kind).rglob("*") if each.is_file())
    return sorted(each for each in found if each.suffix != ".json")


def files_in(home: Path) -> dict[str, bytes]:
    found = sorted(each for each in home.rglob("*") if each.is_file())
    return {str(each.relative_to(home)): each.read_bytes() for each in found}


@pytest.mark.slow
def test_another_machine_goes_on_from_a_checkpoint(
    forks: Forks, grid: Path, undisturbed: Undisturbed, machines: Machines
) -> None:
    words = machines.words(grid, "--checkpoint-seconds", "0")
    kill = KillAt("epoch begins", 6, until="artifact put there", until_call=2)
    assert forks.run(machines.one, words, kill) == -signal.SIGKILL
    assert forks.run(machines.two, words) == 0, machines.output(machines.two)
    assert "continuing after epoch" in machines.output(machines.two)
    assert sorted(ask(machines.one, DONE)) == EVERYTHING
    left = left_in(machines.two)
    assert (left.dump, left.tensors) == (undisturbed.left.dump, undisturbed.left.tensors)
    assert left.pixels == undisturbed.left.pixels
    assert list((machines.store / "checkpoints").rglob("*.*")) == []
    assert left.litter == ()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGUSR1])
def test_another_machine_goes_on_with_the_next_step_of_what_was_stopped(
    forks: Forks, grid: Path, undisturbed: Undisturbed, machines: Machines, number: signal.Signals
) -> None:
    words = machines.words(grid)
    stop = KillAt("epoch begins", 6, signal=number)
    code = forks.wait(forks.start(machines.one, words, stop))
    assert code == (75 if number == signal.SIGUSR1 else 130), machines.output(machines.one)
    assert forks.run(machines.two, words) == 0, machines.output(machines.two)
    assert "after step 1" in machines.output(machines.two)
    left = left_in(machines.two)
    assert (left.dump, left.tensors) == (undisturbed.left.dump, undisturbed.left.tensors)
    assert list((machines.store / "checkpoints").rglob("*.*")) == []
    assert left.litter == ()


@pytest.mark.slow
def test_another_machine_evaluates_what_one_has_trained(
    forks: Forks, grid: Path, undisturbed: Undisturbed, machines: Machines
) -> None:
    kill = KillAt("outcome recorded", 2)
    assert forks.run(machines.one, machines.words(grid), kill) == -signal.SIGKILL
    assert forks.run(machines.two, machines.words(grid)) == 0, machines.output(machines.two)
    assert sorted(ask(machines.one, DONE)) == EVERYTHING
    assert {number for _, number, _ in ask(machines.one, ATTEMPTS)} == {1}
    assert left_in(machines.two).dump == undisturbed.left.dump
    assert left_in(machines.two).tensors == undisturbed.left.tensors


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["weights", "pixels", "states"])
def test_a_flipped_byte_in_the_store_is_named_and_made_again(
    forks: Forks, grid: Path, undisturbed: Undisturbed, machines: Machines, kind: str
) -> None:
    words = machines.words(grid)
    kill = KillAt("outcome recorded", 3 if kind == "states" else 2)
    assert forks.run(machines.one, words, kill) == -signal.SIGKILL
    damaged = blobs(machines.store, kind)
    for blob in damaged:
        content = bytearray(blob.read_bytes())
        content[len(content) // 2] ^= 1
        blob.write_bytes(content)
    more = ["--set", "epochs=9"] if kind == "states" else []
    assert forks.run(machines.two, [*words, *more]) == 0, machines.output(machines.two)
    assert damaged
    assert "is damaged (" in machines.output(machines.two)
    assert "is not what was put there): it is not used" in machines.output(machines.two)
    assert forks.run(machines.two, words) == 0, machines.output(machines.two)
    if kind != "states":
        assert left_in(machines.two).dump == undisturbed.left.dump


@pytest.mark.slow
@pytest.mark.parametrize("call", [1, 2, 3])
def test_killed_while_it_puts_an_artifact_there_a_machine_leaves_nothing_that_is_used(
    forks: Forks, grid: Path, undisturbed: Undisturbed, machines: Machines, call: int
) -> None:
    kill = KillAt("artifact put there, not named", call)
    assert forks.run(machines.one, machines.words(grid), kill) == -signal.SIGKILL
    assert forks.run(machines.two, machines.words(grid)) == 0, machines.output(machines.two)
    assert "damaged" not in machines.output(machines.two)
    assert left_in(machines.two).dump == undisturbed.left.dump


@pytest.mark.slow
def test_killed_while_it_fetches_an_artifact_a_machine_begins_again(
    forks: Forks, grid: Path, undisturbed: Undisturbed, machines: Machines
) -> None:
    words, first = machines.words(grid), KillAt("outcome recorded", 2)
    assert forks.run(machines.one, words, first) == -signal.SIGKILL
    kill = KillAt("artifact fetched, not in place")
    assert forks.run(machines.two, words, kill) == -signal.SIGKILL
    assert forks.run(machines.two, words) == 0, machines.output(machines.two)
    assert left_in(machines.two).dump == undisturbed.left.dump
    assert left_in(machines.two).litter == ()


@pytest.mark.slow
def test_machines_that_work_at_once_do_every_stage_once(
    forks: Forks, grid: Path, undisturbed: Undisturbed, machines: Machines
) -> None:
    (machines.one / "results.db").touch()
    pids = [forks.start(each, machines.words(grid)) for each in (machines.one, machines.two)]
    codes = [forks.wait(pid) for pid in pids]
    assert codes == [0, 0], machines.output(machines.one) + machines.output(machines.two)
    assert sorted(ask(machines.one, DONE)) == EVERYTHING
    assert {number for _, number, _ in ask(machines.one, ATTEMPTS)} == {1}
    assert left_in(machines.one).dump == undisturbed.left.dump


@pytest.mark.slow
@pytest.mark.postgres
def test_machines_on_one_server_go_on_from_each_other(
    forks: Forks,
    grid: Path,
    undisturbed: Undisturbed,
    machines: Machines,
    postgres_server: PostgresServer,
) -> None:
    url = postgres_server.new_database()
    words = machines.words(grid, "--checkpoint-seconds", "0", "--db", url)
    kill = KillAt("epoch begins", 6, until="artifact put there", until_call=2)
    assert forks.run(machines.one, words, kill) == -signal.SIGKILL
    assert forks.run(machines.two, words) == 0, machines.output(machines.two)
    assert "continuing after epoch" in machines.output(machines.two)
    database = open_database(url, create=False)
    try:
        assert "\n".join(canonical_dump(database)) == undisturbed.left.dump
    finally:
        database.close()


@pytest.mark.slow
def test_slots_of_a_machine_share_what_they_make(
    forks: Forks, grid: Path, undisturbed: Undisturbed, machines: Machines
) -> None:
    words = machines.words(grid, "--workers", "2")
    assert forks.run(machines.one, words) == 0, machines.output(machines.one)
    assert left_in(machines.one).dump == undisturbed.left.dump
    assert len(blobs(machines.store, "weights")) == 4
    before = sorted(ask(machines.one, DONE))
    assert forks.run(machines.two, machines.words(grid)) == 0, machines.output(machines.two)
    assert sorted(ask(machines.one, DONE)) == before


@pytest.mark.slow
def test_another_machine_trains_on_the_features_that_one_has_computed(
    forks: Forks, machines: Machines, tmp_path: Path
) -> None:
    spec = write_grid(tmp_path / "specs", FROZEN)
    assert forks.run(machines.one, machines.words(spec)) == 0, machines.output(machines.one)
    before = dict(ask(machines.one, DONE))
    more = ["--set", "train.optimizer.lr=0.1", "--set", "epochs=2"]
    assert forks.run(machines.two, machines.words(spec, *more)) == 0, machines.output(machines.two)
    after = dict(ask(machines.one, DONE))
    assert after["train"] > before["train"]
    for stage, kind in (("prepare", "pixels"), ("features", "features")):
        assert after[stage] == before[stage]
        one, two = (files_in(each / ".runner" / kind) for each in (machines.one, machines.two))
        assert one == two
    assert len(files_in(machines.two / ".runner" / "features")) == 4


@pytest.mark.slow
def test_another_machine_has_nothing_to_do_where_everything_is_shared(
    forks: Forks, machines: Machines, tmp_path: Path
) -> None:
    spec = tmp_path / "analysed.yaml"
    spec.write_text(ASKED)
    assert forks.run(machines.one, machines.words(spec)) == 0, machines.output(machines.one)
    before = ask(machines.one, ENDED)
    assert forks.run(machines.two, machines.words(spec)) == 0, machines.output(machines.two)
    assert ask(machines.one, ENDED) == before
    assert {number for _, number, _ in ask(machines.one, ATTEMPTS)} == {1}


SMALL = """\
name: small
data: {dataset: digits, validation: 0.25, test: 0.2}
model: {name: mlp, hidden: [8]}
train: {epochs: 2, batch_size: 256, optimizer: {name: sgd, lr: 0.1}}
"""


class Failing(FolderPlace):
    """A folder that fails after some questions."""

    def __init__(self, root: Path, answers: int) -> None:
        super().__init__(root)
        self.answers = answers

    def _look(self) -> None:
        self.answers -= 1
        if self.answers < 0:
            raise ConnectionResetError("connection reset by peer")
        super()._look()


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[int], Path]:
    """Return what makes a store that answers so many questions, and no more."""

    def make(answers: int) -> Path:
        root = tmp_path / "store"
        root.mkdir()
        patience = Patience(str(root), lambda seconds: None)
        shared = Shared(SharedStore(Failing(root, answers), patience))
        monkeypatch.setattr(shared_module, "_shared_at", lambda address, pid: shared)
        return root

    return make


@pytest.mark.parametrize("answers", [0, 7, pytest.param(12, marks=pytest.mark.slow)])
def test_a_store_that_fails_midway_is_said_once_and_nothing_is_lost(
    answers: int, failing: Callable[[int], Path], tmp_path: Path
) -> None:
    store = failing(answers)
    log, summary = do_spec(tmp_path / "small.yaml", SMALL, artifacts=str(store))
    assert list(summary.statuses.values()) == ["done"]
    told = [note for note in log.notes if "cannot be reached" in note]
    reset = "ConnectionResetError: connection reset by peer"
    assert told == [f"{store} cannot be reached ({reset}): going on without it"]
    assert log.notes[-1].endswith(f"in .runner/ and could not be put to {store}")
    assert list((tmp_path / ".runner" / "weights").rglob("*.safetensors"))


def full(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_full_store_is_said_once_and_the_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "store").mkdir()
    monkeypatch.setattr(FolderPlace, "put", full)
    how = {"artifacts": str(tmp_path / "store")}
    log, summary = do_spec(tmp_path / "small.yaml", SMALL, **how)
    assert list(summary.statuses.values()) == ["done"]
    (note,) = log.notes
    assert note.startswith(f"nothing can be put to {tmp_path / 'store'} (OSError: [Errno 28] No")


def test_a_full_disk_ends_a_run_that_fetches_and_it_goes_on_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "store").mkdir()
    how = {"artifacts": str(tmp_path / "store")}
    do_spec(tmp_path / "small.yaml", SMALL, **how)
    shutil.rmtree(tmp_path / ".runner")
    with monkeypatch.context() as patched:
        patched.setattr(FolderPlace, "fetch", full)
        with pytest.raises(DiskFull):
            do_spec(tmp_path / "small.yaml", SMALL.replace("lr: 0.1", "lr: 0.2"), **how)
    left = [each for each in (tmp_path / ".runner" / "pixels").rglob("*") if each.is_file()]
    assert left == []
    _, summary = do_spec(tmp_path / "small.yaml", SMALL.replace("lr: 0.1", "lr: 0.2"), **how)
    assert list(summary.statuses.values()) == ["done"]
    assert dict(ask(tmp_path, DONE))["prepare"] == 1


def test_a_claim_is_renewed_until_what_its_stage_leaves_is_shared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "store").mkdir()
    events: list[str] = []

    def drop(heartbeat: Heartbeat, claim: Claimed) -> None:
        events.append("dropped")

    monkeypatch.setattr(Heartbeat, "drop", drop)
    put = FolderPlace.put

    def slowly(place: FolderPlace, path: Path, name: str) -> None:
        time.sleep(0.05)
        put(place, path, name)
        events.append(name.partition("/")[0])

    monkeypatch.setattr(FolderPlace, "put", slowly)
    do_spec(tmp_path / "small.yaml", SMALL, artifacts=str(tmp_path / "store"))
    first, second, third = (each for each, what in enumerate(events) if what == "dropped")
    assert set(events[:first]) == {"pixels"}
    assert "weights" in events[first:second]
    assert "logits" in events[second:third]


def test_weights_that_are_lost_before_they_are_evaluated_are_trained_again(tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()

    def lose() -> None:
        shutil.rmtree(tmp_path / ".runner" / "weights")
        (blob,) = blobs(store, "weights")
        blob.write_bytes(blob.read_bytes()[:-1] + b"?")

    with at_moment("outcome recorded", lose, call=2):
        log, summary = do_spec(tmp_path / "small.yaml", SMALL, artifacts=str(store))
    assert list(summary.statuses.values()) == ["done"]
    assert sorted(ask(tmp_path, DONE)) == [("evaluate", 1), ("prepare", 1), ("train", 2)]
    assert any("is damaged (" in note for note in log.notes)


@pytest.mark.parametrize(
    ("kind", "executor"),
    [
        ("folder", "local"),
        ("memory", "local"),
        pytest.param("local", "local", marks=pytest.mark.slow),
        pytest.param("folder", "process", marks=pytest.mark.slow),
        pytest.param("local", "process", marks=pytest.mark.slow),
    ],
)
def test_artifacts_of_one_machine_serve_another_without_its_folder(
    kind: str, executor: str, tmp_path: Path
) -> None:
    (tmp_path / "store").mkdir()
    addresses = {
        "folder": str(tmp_path / "store"),
        "memory": f"memory://{uuid.uuid4().hex}",
        "local": f"local://{tmp_path}/store",  # the same folder as fsspec sees it
    }
    if kind != "folder":
        pytest.importorskip("fsspec")
    how = {"artifacts": addresses[kind], "executor": executor}
    do_spec(tmp_path / "small.yaml", SMALL, **how)
    shutil.rmtree(tmp_path / ".runner")
    log, summary = do_spec(tmp_path / "small.yaml", SMALL, **how, rerun=True)
    assert list(summary.statuses.values()) == ["done"]
    assert dict(ask(tmp_path, DONE))["prepare"] == 1
    assert os.listdir(tmp_path / ".runner" / "pixels")
    assert log.notes == []
