"""Trainings that are done together, killed and stopped at every moment, and two processes."""

from __future__ import annotations

import os
import signal
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from forks import OUTPUT, Forks, KillAt, behind_checkpoint
from grids import Left, ask, left_in, write_grid
from shared_specs import dump_of, statuses
from test_two_processes import MEETING, start_stopped
from together_specs import BRANCHES, MANY, RATES
from waiting import wait_for

POINTS = {
    "one claimed, two to come": KillAt("stage claimed", 3),
    "all claimed": KillAt("stage claimed", 5),
    "the start of one found": KillAt("start of a training found", 1),
    "the starts of all found": KillAt("start of a training found", 3),
    "one before its first epoch": KillAt("epoch begins", 1),
    "first epoch of one trained": KillAt("epoch trained", 1),
    "first epoch of all trained": KillAt("epoch trained", 3),
    "second epoch of one trained": KillAt("epoch trained", 4),
    "last epoch of one trained": KillAt("epoch trained", 10),
    "first checkpoint of one": KillAt("checkpoint whole", 1),
    "second checkpoint of one": KillAt("checkpoint whole", 4),
    "tensors of a checkpoint": KillAt("tensors in place, not described", 5),
    "weights of one": KillAt("weights written, not recorded", 1),
    "weights of all": KillAt("weights written, not recorded", 3),
    "one recorded": KillAt("outcome recorded", 3),
    "two recorded": KillAt("outcome recorded", 4),
    "all recorded": KillAt("outcome recorded", 5),
}
"""Of the spec RATES: two stages come before three trainings of four epochs."""
TRAINED = (
    "SELECT attempts.status, count(epoch) FROM attempts JOIN stages USING (stage_key)"
    " LEFT JOIN steps ON steps.attempt_id = attempts.id WHERE kind = 'train'"
    " GROUP BY attempts.id ORDER BY attempts.id"
)


@pytest.fixture(scope="module")
def rates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_grid(tmp_path_factory.mktemp("rates"), RATES)


def left_alone(forks: Forks, spec: Path, folder: Path) -> Left:
    """Return what the trainings of a spec leave one by one, undisturbed."""
    assert forks.run(folder, ["run", str(spec), "--disable", "train_together"]) == 0
    return left_in(folder)


@pytest.fixture(scope="module")
def alone(forks: Forks, rates: Path, tmp_path_factory: pytest.TempPathFactory) -> Left:
    return left_alone(forks, rates, tmp_path_factory.mktemp("alone"))


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_grid(tmp_path_factory.mktemp("many"), MANY)


@pytest.fixture(scope="module")
def many_alone(forks: Forks, many: Path, tmp_path_factory: pytest.TempPathFactory) -> Left:
    return left_alone(forks, many, tmp_path_factory.mktemp("many_alone"))


def assert_same(folder: Path, expected: Left) -> None:
    """Check that all ended as if undisturbed; of what nobody waits for, some may be gone."""
    left = left_in(folder)
    assert left.states.items() <= expected.states.items()
    assert replace(left, states=expected.states) == expected
    assert ask(folder, "SELECT count(*) FROM claims") == [(0,)]
    twice = "SELECT stage_key FROM attempts WHERE status = 'done' GROUP BY stage_key"
    assert ask(folder, f"{twice} HAVING count(*) > 1") == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("point", "seconds"),
    [
        *((point, "0") for point in POINTS),
        *(
            (point, "30")
            for point, kill in POINTS.items()
            if not {"checkpoint", "tensors"} & set(kill.moment.split())
        ),
    ],
)
def test_killed_together_they_end_as_if_undisturbed(
    point: str, seconds: str, forks: Forks, rates: Path, alone: Left, tmp_path: Path
) -> None:
    words = ["run", str(rates), "--checkpoint-seconds", seconds]
    forks.run(tmp_path, words, POINTS[point])
    assert forks.run(tmp_path, words) == 0, (tmp_path / OUTPUT).read_text()
    assert_same(tmp_path, alone)


@pytest.mark.slow
@pytest.mark.parametrize("call", range(4, 26, 3))
def test_killed_where_some_have_ended_they_end_as_if_undisturbed(
    call: int, forks: Forks, many: Path, many_alone: Left, tmp_path: Path
) -> None:
    words = ["run", str(many), "--checkpoint-seconds", "0"]
    forks.run(tmp_path, words, KillAt("epoch begins", call))
    assert forks.run(tmp_path, words) == 0, (tmp_path / OUTPUT).read_text()
    assert_same(tmp_path, many_alone)


@pytest.mark.slow
def test_one_that_is_ahead_waits_until_the_others_are_level(
    forks: Forks, rates: Path, alone: Left, tmp_path: Path
) -> None:
    """Two have a checkpoint after the second epoch, one after the first."""
    words = ["run", str(rates), "--checkpoint-seconds", "0"]
    forks.run(tmp_path, words, behind_checkpoint(5, 9))
    assert [row for row in ask(tmp_path, TRAINED) if row[0] == "running"]
    assert forks.run(tmp_path, words) == 0, (tmp_path / OUTPUT).read_text()
    output = (tmp_path / OUTPUT).read_text()
    assert output.count("continuing after epoch 2") == 1, output  # of two, told once
    assert output.count("continuing after epoch 1") == 1, output
    assert_same(tmp_path, alone)
    trained = ask(tmp_path, TRAINED)
    assert sorted(count for status, count in trained if status == "done") == [2, 2, 3]


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["local", "process"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_by_a_signal_they_go_on_where_they_were(
    number: int, executor: str, forks: Forks, rates: Path, tmp_path: Path
) -> None:
    long = ["--set", "epochs=60", "--executor", executor]
    words = ["run", str(rates), *long, "--checkpoint-seconds", "0"]
    pid = forks.start(tmp_path, words)
    wait_for(lambda: len(epochs_in(tmp_path)) > 6)
    os.kill(pid, number)
    assert forks.wait(pid) == 130, (tmp_path / OUTPUT).read_text()
    assert {status for status, _ in ask(tmp_path, TRAINED)} == {"interrupted"}
    assert ask(tmp_path, "SELECT count(*) FROM claims") == [(0,)]
    assert forks.run(tmp_path, words) == 0, (tmp_path / OUTPUT).read_text()
    assert sum(count for _, count in ask(tmp_path, TRAINED)) == 180, "no epoch is trained twice"
    assert "Traceback" not in (tmp_path / OUTPUT).read_text()


def epochs_in(folder: Path) -> list[tuple[Any, ...]]:
    try:
        return ask(folder, "SELECT epoch FROM steps")
    except Exception:  # no tables yet
        return []


@pytest.mark.slow
def test_a_child_that_dies_with_several_trainings_is_followed_by_others_with_fewer(
    forks: Forks, rates: Path, tmp_path: Path
) -> None:
    words = ["run", str(rates), "--set", "epochs=60", "--executor", "process"]
    pid = forks.start(tmp_path, [*words, "--checkpoint-seconds", "0"])
    wait_for(lambda: len(epochs_in(tmp_path)) > 6)
    (child,) = {owner for (owner,) in ask(tmp_path, "SELECT pid FROM claims")}
    assert child != pid
    os.kill(child, signal.SIGKILL)
    assert forks.wait(pid) == 0, (tmp_path / OUTPUT).read_text()
    assert (
        "3 trainings do not fit together: going on 2 at a time" in (tmp_path / OUTPUT).read_text()
    )
    rows = ask(tmp_path, TRAINED)
    assert [status for status, _ in rows] == ["lost"] * 3 + ["done"] * 3
    assert all(count < 60 for _, count in rows)
    results = "SELECT status FROM results"
    assert ask(tmp_path, results) == [("done",)] * 3


@pytest.mark.slow
def test_two_processes_at_one_cohort_do_every_training_once(
    forks: Forks, rates: Path, alone: Left, tmp_path: Path
) -> None:
    pids = [forks.start(tmp_path, ["run", str(rates)]) for _ in range(2)]
    assert [forks.wait(pid) for pid in pids] == [0, 0], (tmp_path / OUTPUT).read_text()
    assert_same(tmp_path, alone)
    assert set(ask(tmp_path, "SELECT number, status FROM attempts")) == {(1, "done")}


@pytest.mark.slow
def test_a_process_trains_those_together_that_another_one_has_not_claimed(
    forks: Forks, rates: Path, alone: Left, tmp_path: Path
) -> None:
    stop = KillAt("epoch begins", 2, signal.SIGSTOP)
    first = start_stopped(forks, tmp_path, ["run", str(rates), "--only", "lr=0.03"], stop)
    second = forks.start(tmp_path, ["run", str(rates)])
    wait_for(lambda: len(ask(tmp_path, "SELECT * FROM results")) == 2)
    assert MEETING in (tmp_path / OUTPUT).read_text()
    os.kill(first, signal.SIGCONT)
    assert [forks.wait(first), forks.wait(second)] == [0, 0], (tmp_path / OUTPUT).read_text()
    assert_same(tmp_path, alone)
    assert ask(tmp_path, TRAINED) == [("done", 4)] * 3


@pytest.mark.slow
def test_branches_do_not_wait_for_those_whose_beginning_another_process_trains(
    forks: Forks, tmp_path: Path
) -> None:
    spec, whole, part = write_grid(tmp_path, BRANCHES), tmp_path / "whole", tmp_path / "part"
    for folder in (whole, part):
        folder.mkdir()
    assert forks.run(whole, ["run", str(spec), "--disable", "train_together"]) == 0
    stop = KillAt("epoch begins", 2, signal.SIGSTOP)
    first = start_stopped(forks, part, ["run", str(spec), "--only", "lr=0.01"], stop)
    second = forks.start(part, ["run", str(spec)])
    wait_for(lambda: len(ask(part, "SELECT * FROM results")) == 2)
    os.kill(first, signal.SIGCONT)
    assert [forks.wait(first), forks.wait(second)] == [0, 0], (part / OUTPUT).read_text()
    assert left_in(part) == left_in(whole)
    assert ask(part, TRAINED) == [("done", 2)] * 6


TAKING_OVER = "taking over a stage whose process died"


@pytest.mark.slow
def test_the_trainings_of_a_killed_process_are_taken_over_together(
    forks: Forks, rates: Path, alone: Left, tmp_path: Path
) -> None:
    words = ["run", str(rates), "--checkpoint-seconds", "0"]
    forks.run(tmp_path, words, KillAt("epoch begins", 5))
    assert forks.run(tmp_path, words) == 0, (tmp_path / OUTPUT).read_text()
    assert_same(tmp_path, alone)
    assert (tmp_path / OUTPUT).read_text().count(TAKING_OVER) == 1


@pytest.mark.slow
def test_the_trainings_of_a_process_are_taken_over_when_it_is_killed_beside_another(
    forks: Forks, rates: Path, alone: Left, tmp_path: Path
) -> None:
    """The other may look at some just before the kill, and take these over a moment later."""
    stop = KillAt("epoch begins", 5, signal.SIGSTOP)
    words = ["run", str(rates), "--checkpoint-seconds", "0"]
    first = start_stopped(forks, tmp_path, words, stop)
    second = forks.start(tmp_path, words)
    wait_for(lambda: MEETING in (tmp_path / OUTPUT).read_text())
    os.kill(first, signal.SIGKILL)
    assert forks.wait(first) == -signal.SIGKILL
    assert forks.wait(second) == 0, (tmp_path / OUTPUT).read_text()
    assert_same(tmp_path, alone)
    assert TAKING_OVER in (tmp_path / OUTPUT).read_text()


@pytest.mark.slow
def test_a_cohort_that_sleeps_longer_than_its_leases_ends_without_harm(
    forks: Forks, rates: Path, alone: Left, tmp_path: Path
) -> None:
    """Its claims were dropped meanwhile: each training is told so, and done by the other one."""
    stop = KillAt("epoch begins", 5, signal.SIGSTOP)
    first = start_stopped(forks, tmp_path, ["run", str(rates)], stop)
    with_no_lease = "UPDATE claims SET lease_until = 0, lease_monotonic = 0"
    with closing(sqlite3.connect(tmp_path / "results.db")) as raw:
        raw.execute(with_no_lease)
        raw.commit()
    assert psutil.Process(first).status() == psutil.STATUS_STOPPED
    second = forks.run(tmp_path, ["run", str(rates)])
    assert second == 0, (tmp_path / OUTPUT).read_text()
    os.kill(first, signal.SIGCONT)
    assert forks.wait(first) == 0, (tmp_path / OUTPUT).read_text()
    assert dump_of(tmp_path) == alone.dump
    assert set(statuses(tmp_path).values()) <= {"done", None}
    assert (tmp_path / OUTPUT).read_text().count("was taken over by another process") == 3
