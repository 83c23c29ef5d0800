"""Trainings that are done together leave what each leaves alone, whatever becomes of the others."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import torch
from grids import ask, left_in, write_grid
from planted import at_moment
from shared_specs import dump_of, failures, statuses
from together_specs import MANY, RATES, UNFROZEN, Heard, write_networks

import runner.engine.stages.train as train_stage
from runner.api.running import run
from runner.bind.request import Request
from runner.core.errors import DiskFull, Interrupted
from runner.engine.training.loop import Training
from runner.store.database import open_database
from runner.store.schema import attempts, claims

ALONE = {"disable": ("train_together",)}
TRAINED = (
    "SELECT attempts.status, count(epoch) FROM attempts JOIN stages USING (stage_key)"
    " LEFT JOIN steps ON steps.attempt_id = attempts.id WHERE kind = 'train'"
    " GROUP BY attempts.id ORDER BY attempts.id"
)


def do(spec: Path, folder: Path, should_stop: Callable[[], bool] = bool, **options: Any) -> Heard:
    """Run a spec into a folder's database; return what was heard."""
    heard = Heard()
    folder.mkdir(exist_ok=True)
    request = Request([spec], threads=1, db=folder / "results.db", **options)
    run(request, listen=lambda planned: heard, should_stop=should_stop)
    return heard


def done_alone(spec: Path, tmp_path: Path, **options: Any) -> Path:
    """Do a spec's trainings one by one; return the folder."""
    heard = do(spec, tmp_path / "alone", **ALONE, **options)
    assert heard.most == 1
    return tmp_path / "alone"


@pytest.mark.slow
def test_together_leaves_what_each_leaves_alone(tmp_path: Path) -> None:
    spec = write_grid(tmp_path, RATES.replace("0.03, ", "").replace("epochs: 4", "epochs: 2"))
    heard = do(spec, tmp_path / "together")
    assert heard.most == 2
    assert heard.ended.count("done") == len(heard.ended)
    assert left_in(tmp_path / "together") == left_in(done_alone(spec, tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize(("text", "number"), [(MANY, 7), (UNFROZEN, 3)], ids=["many", "small"])
@pytest.mark.parametrize("executor", ["local", "process"])
def test_whatever_they_differ_in_together_leaves_what_each_leaves_alone(
    executor: str, text: str, number: int, tmp_path: Path
) -> None:
    spec = write_grid(tmp_path, text)
    assert do(spec, tmp_path / "together", executor=executor).most == number
    assert left_in(tmp_path / "together") == left_in(done_alone(spec, tmp_path))


@pytest.mark.slow
def test_rates_and_heads_of_a_pretrained_network_together_leave_what_each_leaves_alone(
    tmp_path: Path,
) -> None:
    spec = write_networks(tmp_path)
    assert do(spec, tmp_path / "together").most == 3
    assert left_in(tmp_path / "together") == left_in(done_alone(spec, tmp_path))


@pytest.mark.slow
def test_frozen_layers_are_shared_where_there_are_no_features_of_them(tmp_path: Path) -> None:
    spec = write_grid(tmp_path, RATES.replace("  augment", "  # augment"))
    without = ("use_frozen_features",)
    assert do(spec, tmp_path / "together").most == 1
    assert do(spec, tmp_path / "shared", disable=without).most == 3
    do(spec, tmp_path / "alone", disable=(*without, "train_together"))
    assert left_in(tmp_path / "shared") == left_in(tmp_path / "alone")


@pytest.mark.slow
def test_one_that_has_ended_has_its_result_while_the_others_go_on(tmp_path: Path) -> None:
    """One diverges at once; its result does not wait for the others."""
    text = RATES.replace("0.1]", "1.0e+30], evaluate.test: [never]")
    spec, seen = write_grid(tmp_path, text), list[Any]()

    def look() -> None:
        held = ask(tmp_path, "SELECT count(*) FROM claims")
        seen.append((held, ask(tmp_path, "SELECT status FROM results")))

    with at_moment("epoch begins", look, 6):
        do(spec, tmp_path)
    assert seen == [([(2,)], [("diverged",)])]
    assert [status for status, _ in ask(tmp_path, TRAINED)] == ["done", "done", "diverged"]


@pytest.mark.slow
def test_the_time_of_several_is_shared_among_them(tmp_path: Path) -> None:
    spec = write_grid(tmp_path, RATES)
    do(spec, tmp_path)
    took = "SELECT attempts.seconds, started FROM attempts JOIN stages USING (stage_key)"
    rows = ask(tmp_path, f"{took} WHERE kind = 'train'")
    first = min(started for _, started in rows)
    ((end,),) = ask(
        tmp_path,
        "SELECT min(started) FROM attempts JOIN stages USING (stage_key) WHERE kind = 'evaluate'",
    )
    assert sum(seconds for seconds, _ in rows) <= end - first
    epochs = "SELECT sum(seconds) FROM steps GROUP BY attempt_id"
    for (own,), (whole, _) in zip(ask(tmp_path, epochs), rows, strict=True):
        assert own <= whole * 1.5


class Room:
    """A machine with memory for so many networks of trainings."""

    def __init__(self, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.most = 0
        held: weakref.WeakSet[Any] = weakref.WeakSet()
        real = train_stage.network_for

        def network_for(*args: Any, **others: Any) -> Any:
            if len(held) == number:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 MiB")
            network = real(*args, **others)
            held.add(network.module)
            self.most = max(self.most, len(held))
            return network

        monkeypatch.setattr(train_stage, "network_for", network_for)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("room", "notes"),
    [
        (2, ["3 trainings do not fit together: going on 2 at a time"]),
        (
            1,
            [
                "3 trainings do not fit together: going on 2 at a time",
                "2 trainings do not fit together: going on one by one",
            ],
        ),
    ],
)
def test_too_many_for_the_memory_are_done_in_halves_and_then_one_by_one(
    room: int, notes: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = write_grid(tmp_path, RATES)
    machine = Room(room, monkeypatch)
    heard = do(spec, tmp_path / "together")
    assert machine.most == room
    assert heard.notes == notes
    assert set(statuses(tmp_path / "together").values()) == {"done"}
    rows = ask(tmp_path / "together", TRAINED)
    assert [row for row in rows if row[0] == "done"] == [("done", 4)] * 3
    assert {row for row in rows if row[0] != "done"} == {("interrupted", 0)}
    monkeypatch.undo()
    assert dump_of(tmp_path / "together") == dump_of(done_alone(spec, tmp_path))


@pytest.mark.slow
def test_one_that_does_not_fit_by_itself_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = write_grid(tmp_path, RATES)
    Room(0, monkeypatch)
    do(spec, tmp_path)
    assert set(ask(tmp_path, "SELECT DISTINCT status FROM results")) == {("failed",)}
    assert all("out of memory with batch_size 8" in message for _, message in failures(tmp_path))


def failing(
    monkeypatch: pytest.MonkeyPatch, lr: float, make: Callable[[], Exception], step: int = 2
) -> None:
    """Let the trainings of one rate fail at a step."""
    real = Training.step

    def failing_step(self: Training, number: int, *others: Any) -> Any:
        if self.settings.train.optimizer.lr == lr and number == step:
            raise make()
        return real(self, number, *others)

    monkeypatch.setattr(Training, "step", failing_step)


@pytest.mark.slow
def test_one_that_fails_leaves_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec, folder = write_grid(tmp_path, RATES), tmp_path / "together"
    failing(monkeypatch, 0.03, lambda: ValueError("a shape that does not fit"))
    heard = do(spec, folder)
    assert heard.most == 3
    results = "SELECT status, message FROM results ORDER BY status"
    message = "ValueError: a shape that does not fit"
    assert ask(folder, results) == [("done", ""), ("done", ""), ("failed", message)]
    monkeypatch.undo()
    do(spec, folder, retry_failed=True)
    assert dump_of(folder) == dump_of(done_alone(spec, tmp_path))


@pytest.mark.slow
def test_a_full_disk_ends_all_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, folder = write_grid(tmp_path, RATES), tmp_path / "together"
    failing(monkeypatch, 0.03, lambda: OSError(28, "No space left on device"))
    with pytest.raises(DiskFull):
        do(spec, folder)
    assert {status for status, _ in ask(folder, TRAINED)} == {"interrupted"}
    assert ask(folder, "SELECT count(*) FROM claims") == [(0,)]
    monkeypatch.undo()
    do(spec, folder)
    assert dump_of(folder) == dump_of(done_alone(spec, tmp_path))


def take_over(folder: Path) -> None:
    """Take the first of the claims, as another process does that then dies."""
    database = open_database(folder / "results.db")
    with database.write() as connection:
        row = connection.execute(sa.select(claims).order_by(claims.c.attempt_id)).first()
        assert row is not None
        connection.execute(sa.delete(claims).where(claims.c.attempt_id == row.attempt_id))
        lost = sa.update(attempts).where(attempts.c.id == row.attempt_id)
        connection.execute(lost.values(status="lost"))
    database.close()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")
def test_one_that_another_process_takes_over_leaves_the_others(tmp_path: Path) -> None:
    spec, folder = write_grid(tmp_path, RATES), tmp_path / "together"
    with at_moment("epoch begins", lambda: take_over(folder), 5):
        heard = do(spec, folder)
    assert heard.trainings == [*["began"] * 3, *["ended"] * 2, "began", "ended"]
    assert any("was taken over by another process" in note for note in heard.notes)
    rows = ask(folder, TRAINED)
    assert sorted(status for status, _ in rows) == ["done", "done", "done", "lost"]


@pytest.mark.slow
@pytest.mark.parametrize("calls", [4, 9])
def test_stopped_together_they_go_on_together(calls: int, tmp_path: Path) -> None:
    spec, folder = write_grid(tmp_path, RATES), tmp_path / "together"
    stop: list[bool] = []
    with (
        at_moment("epoch trained", lambda: stop.append(True), calls),
        pytest.raises(
            Interrupted, match=r"stopped in epoch \d after step 1 of 4.*, 2 others done with it"
        ),
    ):
        do(spec, folder, should_stop=lambda: bool(stop), checkpoint_seconds=0.0)
    assert {status for status, _ in ask(folder, TRAINED)} == {"interrupted"}
    assert ask(folder, "SELECT count(*) FROM claims") == [(0,)]
    heard = do(spec, folder)
    assert heard.most == 3
    assert any("continuing after epoch" in note for note in heard.notes)
    assert sum(epochs for _, epochs in ask(folder, TRAINED)) == 12  # none was trained twice
    left, alone = left_in(folder), left_in(done_alone(spec, tmp_path))
    assert (left.dump, left.tensors, left.litter) == (alone.dump, alone.tensors, ())
