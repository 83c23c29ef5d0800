"""A training that is stopped where machines share artifacts, and another that goes on with it."""

import re
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from grids import ask, left_in
from stage_log import Log, do_spec

from runner.api.running import run
from runner.artifacts import patience
from runner.artifacts.places import FolderPlace
from runner.artifacts.uploads import Uploads
from runner.core.errors import Interrupted
from runner.execute import attempts

SMALL = """\
name: small
data: {dataset: digits, validation: 0.25, test: 0.2}
model: {name: mlp, hidden: [8]}
train: {epochs: 3, batch_size: 256, optimizer: {name: sgd, lr: 0.1}}
"""
STEPS = 5
"""Of an epoch."""
SECONDS = 20
"""After which a test that waits in vain fails."""


def stopped(folder: Path, steps: int, store: Path) -> tuple[Log, str]:
    """Run the spec until its training has taken so many steps; return what was said."""
    log, asked = Log(), 0

    def should_stop() -> bool:
        nonlocal asked
        asked += any(stage.kind == "train" for stage in log.began)
        return asked >= steps

    options = {"db": folder / "results.db", "artifacts": str(store), "checkpoint_seconds": 0.0}
    spec = folder / "small.yaml"
    spec.write_text(SMALL)
    with pytest.raises(Interrupted) as caught:
        run(spec, listen=lambda planned: log, threads=1, should_stop=should_stop, **options)
    return log, caught.value.found


def another_machine(folder: Path) -> None:
    """Let what this one has in `.runner/` be as if it lay elsewhere."""
    (folder / ".runner").rename(folder / "elsewhere")


def go_on(folder: Path, store: Path) -> Log:
    log, summary = do_spec(folder / "small.yaml", SMALL, artifacts=str(store))
    assert list(summary.statuses.values()) == ["done"]
    return log


@pytest.fixture
def store(tmp_path: Path) -> Path:
    (tmp_path / "store").mkdir()
    return tmp_path / "store"


def checkpoints(store: Path) -> list[Path]:
    return sorted((store / "checkpoints").glob("*/*.json"))


OnCheckpoint = Callable[[Callable[[], object]], None]


@pytest.fixture
def on_checkpoint(monkeypatch: pytest.MonkeyPatch) -> OnCheckpoint:
    """Returns what has something done whenever the tensors of a checkpoint are put."""
    put = FolderPlace.put

    def plant(do: Callable[[], object]) -> None:
        def planted(place: FolderPlace, path: Path, name: str) -> None:
            if name.startswith("checkpoints") and name.endswith("safetensors"):
                do()
            put(place, path, name)

        monkeypatch.setattr(FolderPlace, "put", planted)

    return plant


@pytest.mark.parametrize("steps", [1, pytest.param(STEPS + 2, marks=pytest.mark.slow)])
def test_another_machine_goes_on_with_the_next_step_to_the_same_bytes(
    steps: int, store: Path, tmp_path: Path
) -> None:
    _, said = stopped(tmp_path, steps, store)
    assert said.endswith("this training goes on from there")
    another_machine(tmp_path)
    log = go_on(tmp_path, store)
    epoch, step = (steps - 1) // STEPS + 1, (steps - 1) % STEPS + 1
    assert log.notes == [f"continuing in epoch {epoch} after step {step}"]
    assert checkpoints(store) == []
    whole = tmp_path / "whole"
    whole.mkdir()
    do_spec(whole / "small.yaml", SMALL)
    one, two = left_in(tmp_path), left_in(whole)
    assert (one.dump, one.tensors) == (two.dump, two.tensors)
    assert one.litter == ()


def test_what_is_there_is_there_before_the_claim_is_given_back(
    store: Path, tmp_path: Path, on_checkpoint: OnCheckpoint
) -> None:
    claims: list[int] = []
    on_checkpoint(lambda: claims.append(ask(tmp_path, "SELECT count(*) FROM claims")[0][0]))
    stopped(tmp_path, STEPS + 1, store)
    assert claims == [1, 1]
    assert len(checkpoints(store)) == 2


@pytest.mark.slow
def test_a_damaged_one_costs_what_it_saved(store: Path, tmp_path: Path) -> None:
    stopped(tmp_path, STEPS + 2, store)
    another_machine(tmp_path)
    (blob,) = store.glob("checkpoints/*/*-within/*.safetensors")
    blob.write_bytes(blob.read_bytes()[:-1] + b"?")
    log = go_on(tmp_path, store)
    assert log.notes[-1] == "continuing after epoch 1"
    assert any("-within at" in note and "is damaged" in note for note in log.notes)


@pytest.mark.slow
def test_a_place_that_hangs_is_left_and_that_is_said(
    store: Path, tmp_path: Path, on_checkpoint: OnCheckpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_go_on = threading.Event()
    on_checkpoint(lambda: may_go_on.wait(SECONDS))
    monkeypatch.setattr(Uploads.hurry, "__defaults__", (0.05,))
    log, said = stopped(tmp_path, STEPS + 2, store)
    may_go_on.set()
    late = f"no time was left to put everything to {store}: what is not there lies in .runner/"
    assert log.notes == [late]
    assert said.endswith("this training goes on from there")
    assert checkpoints(store) == []
    assert ask(tmp_path, "SELECT count(*) FROM claims") == [(0,)]
    assert go_on(tmp_path, store).notes == ["continuing in epoch 2 after step 2"]


def full(store: Path) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize(
    ("do", "said_of_it"),
    [
        (full, ["nothing can be put to {store} (OSError: [Errno 28] No space left on device)"]),
        pytest.param(
            lambda store: shutil.rmtree(store, ignore_errors=True),
            ["{store} cannot be reached (", "artifact lies in .runner/ and could not be put"],
            marks=pytest.mark.slow,
        ),
    ],
    ids=["full", "gone"],
)
def test_a_place_that_is_full_or_gone_is_said_and_what_lies_here_is_used(
    do: Callable[[Path], object],
    said_of_it: list[str],
    store: Path,
    tmp_path: Path,
    on_checkpoint: OnCheckpoint,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(patience, "WAITS", ())
    on_checkpoint(lambda: do(store))
    log, said = stopped(tmp_path, 2, store)
    assert said.endswith("this training goes on from there")
    assert len(log.notes) == len(said_of_it)
    for note, text in zip(log.notes, said_of_it, strict=True):
        assert text.format(store=store) in note
    log, _ = do_spec(tmp_path / "small.yaml", SMALL)
    assert log.notes == ["continuing in epoch 1 after step 2"]


ONE_OF_AN_ENDED_TRAINING = r"checkpoints/[^/]+/[^/]+(?<!-within)\.json$"
"""The manifest of one after an epoch: before the end, that is replaced, and its files removed."""


EVALUATIONS = "SELECT count(*) FROM attempts JOIN stages USING (stage_key) WHERE kind = 'evaluate'"


class Hanging:
    """What hangs in the shared place, with what is put there whose name matches."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, method: str, pattern: str) -> None:
        monkeypatch.setattr(Uploads.hurry, "__defaults__", (0.05,))
        monkeypatch.setattr("runner.artifacts.uploads.LOOK_SECONDS", 0.01)
        self.began, self.may_go_on = threading.Event(), threading.Event()
        self.was_free: list[bool] = []
        do = getattr(FolderPlace, method)

        def planted(place: FolderPlace, *values: Any) -> None:
            if re.match(pattern, values[-1]):
                self.began.set()
                self.was_free.append(self.may_go_on.wait(SECONDS))
            do(place, *values)

        monkeypatch.setattr(FolderPlace, method, planted)


def do_small(
    folder: Path, store: Path, should_stop: Callable[[], bool], text: str = SMALL
) -> tuple[Log, BaseException | None]:
    """Run a spec; return what was said, and what has ended it."""
    log, spec = Log(), folder / "small.yaml"
    options = {"db": folder / "results.db", "artifacts": str(store), "checkpoint_seconds": 0.0}
    spec.write_text(text)
    try:
        run(spec, listen=lambda planned: log, threads=1, should_stop=should_stop, **options)
    except (Interrupted, KeyboardInterrupt) as error:
        return log, error
    return log, None


def leaving(folder: Path, store: Path) -> Callable[[], object]:
    """Stop a training within its first epoch; return what leaves its checkpoint there again."""
    stopped(folder, 2, store)
    left, aside = folder / ".runner" / "checkpoints", folder / "aside"
    shutil.copytree(left, aside)
    return lambda: shutil.copytree(aside, left, dirs_exist_ok=True)


def late(store: Path) -> str:
    return f"no time was left to put everything to {store}: what is not there lies in .runner/"


def test_a_stop_is_noticed_while_the_end_of_a_stage_waits(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the stage has done is recorded; the next process has it in its `.runner/`."""
    hanging = Hanging(monkeypatch, "put", "pixels")
    log, error = do_small(tmp_path, store, hanging.began.is_set)
    assert hanging.was_free == []  # it hangs still
    hanging.may_go_on.set()
    assert isinstance(error, Interrupted)
    assert log.notes == [late(store)]
    assert ask(tmp_path, "SELECT status FROM attempts")[0] == ("done",)
    assert ask(tmp_path, "SELECT count(*) FROM claims") == [(0,)]
    log = go_on(tmp_path, store)  # in the same process, for which there is no stop
    assert log.notes == ["continuing in epoch 1 after step 1"]
    assert [stage.kind for stage in log.began] == ["train", "evaluate"]
    assert list((store / "weights").rglob("*.json"))


@pytest.mark.slow
def test_a_stop_is_noticed_while_the_end_of_a_plan_waits(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where stages were done, and where only what was left is removed: all has a result then."""
    leave_again = leaving(tmp_path, store)
    for notes in (["continuing in epoch 1 after step 2"], []):
        hanging = Hanging(monkeypatch, "remove", ONE_OF_AN_ENDED_TRAINING)

        def should_stop(hanging: Hanging = hanging) -> bool:
            """Not between the training and its evaluation: there, a stop leaves that undone."""
            return hanging.began.is_set() and ask(tmp_path, EVALUATIONS) == [(1,)]

        log, error = do_small(tmp_path, store, should_stop)
        assert hanging.was_free == []
        hanging.may_go_on.set()
        assert error is None
        assert log.notes == [*notes, late(store)]
        leave_again()


@pytest.mark.parametrize("kind", ["pixels", "checkpoints"])
def test_ctrl_c_again_gives_up_at_once_what_is_put(
    kind: str, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging, asked = Hanging(monkeypatch, "put", kind), list[bool]()

    def should_stop() -> bool:
        if hanging.began.is_set() and not asked:
            asked.append(True)
            raise KeyboardInterrupt
        return False

    log, error = do_small(tmp_path, store, should_stop)
    assert hanging.was_free == []
    hanging.may_go_on.set()
    assert isinstance(error, KeyboardInterrupt)
    assert log.notes in ([], [late(store)])
    assert ask(tmp_path, "SELECT count(*) FROM claims") == [(0,)]


def test_a_checkpoint_of_a_stage_that_failed_is_named_no_more(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its claim is given back: another may have gone on from further."""
    hanging, close = Hanging(monkeypatch, "put", "checkpoints"), attempts.close_attempt

    def should_stop() -> bool:
        assert not hanging.began.is_set()
        return False

    def closed(*values: Any) -> None:
        close(*values)
        hanging.may_go_on.set()

    monkeypatch.setattr(attempts, "close_attempt", closed)
    do_small(tmp_path, store, should_stop)
    assert ask(tmp_path, "SELECT status FROM attempts")[-1] == ("failed",)
    assert set(hanging.was_free) == {True}
    assert checkpoints(store) == []


@pytest.mark.slow
def test_where_no_stage_has_begun_a_stop_waits_no_longer(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a run of before has left is removed first."""
    leave_again = leaving(tmp_path, store)
    go_on(tmp_path, store)
    leave_again()
    hanging, answers = Hanging(monkeypatch, "remove", "checkpoints"), [True]

    def should_stop() -> bool:
        return hanging.began.wait(SECONDS) and bool(answers) and answers.pop()  # once

    log, error = do_small(tmp_path, store, should_stop, SMALL.replace("lr: 0.1", "lr: 0.2"))
    assert hanging.was_free == []
    hanging.may_go_on.set()
    assert isinstance(error, Interrupted)
    assert log.began == []
    assert log.notes == [late(store)]
