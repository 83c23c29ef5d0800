"""Shared trainings that are killed around a branch, and several processes at one tree."""

import json
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from forks import OUTPUT, Forks, KillAt, behind_checkpoint
from grids import Left, ask, left_in, write_grid
from shared_specs import BRANCHES, READERS, TWO_BRANCHES, dump_of, failures, statuses, trained
from test_two_processes import MEETING, start_stopped
from waiting import wait_for

POINTS = {
    "parent's last epoch trained": KillAt("epoch trained", 2),
    "parent's state not described": KillAt("tensors in place, not described", 2),
    "parent's state whole, not recorded": KillAt("state whole, not recorded"),
    "parent recorded": KillAt("outcome recorded", 2),
    "child claimed": KillAt("stage claimed", 3),
    "child has read its parent's state": KillAt("start of a training found", 2),
    "child's first epoch trained": KillAt("epoch trained", 3),
    "child's first checkpoint": KillAt("checkpoint whole", 2),
    "child recorded, second child to come": KillAt("outcome recorded", 3),
    "a branch of a branch begun": KillAt("start of a training found", 4),
}
"""Of the spec BRANCHES with a checkpoint after every epoch."""
FAST_POINTS = ("child has read its parent's state",)
TRAINED = (
    "SELECT attempts.status, min(epoch), max(epoch) FROM attempts JOIN steps"
    " ON steps.attempt_id = attempts.id GROUP BY attempts.id ORDER BY attempts.id"
)


@pytest.fixture(scope="module")
def branches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_grid(tmp_path_factory.mktemp("branches"), BRANCHES)


@pytest.fixture(scope="module")
def undisturbed_branches(
    forks: Forks, branches: Path, tmp_path_factory: pytest.TempPathFactory
) -> Left:
    folder = tmp_path_factory.mktemp("undisturbed_branches")
    assert forks.run(folder, ["run", str(branches)]) == 0
    return left_in(folder)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("point", "seconds"),
    [
        *((point, "0") for point in FAST_POINTS),
        *(
            pytest.param(point, "0", marks=pytest.mark.slow)
            for point in POINTS
            if point not in FAST_POINTS
        ),
        *(
            pytest.param(point, "30", marks=pytest.mark.slow)
            for point, kill in POINTS.items()
            if not {"checkpoint", "tensors"} & set(kill.moment.split())
        ),
    ],
)
def test_killed_around_a_branch_the_tree_ends_as_if_undisturbed(
    point: str,
    seconds: str,
    forks: Forks,
    branches: Path,
    undisturbed_branches: Left,
    tmp_path: Path,
) -> None:
    words = ["run", str(branches), "--checkpoint-seconds", seconds]
    killed = forks.run(tmp_path, words, POINTS[point])
    assert killed == -signal.SIGKILL, (tmp_path / OUTPUT).read_text()
    assert forks.run(tmp_path, words) == 0, (tmp_path / OUTPUT).read_text()
    left = left_in(tmp_path)
    assert left.states.items() <= undisturbed_branches.states.items()  # of leaves, nobody waits
    assert replace(left, states=undisturbed_branches.states) == undisturbed_branches
    assert ask(tmp_path, "SELECT count(*) FROM claims") == [(0,)]
    done = "SELECT stage_key FROM attempts WHERE status = 'done' GROUP BY stage_key"
    assert ask(tmp_path, f"{done} HAVING count(*) > 1") == []


@pytest.mark.slow
def test_a_child_killed_in_its_first_epoch_goes_on_from_its_parent_again(
    forks: Forks, branches: Path, tmp_path: Path
) -> None:
    words = ["run", str(branches)]
    forks.run(tmp_path, words, KillAt("epoch trained", 3))
    assert trained(tmp_path) == 2
    assert forks.run(tmp_path, words) == 0
    assert trained(tmp_path) == 26
    assert ask(tmp_path, TRAINED)[:2] == [("done", 1, 2), ("done", 3, 8)]


@pytest.mark.slow
@pytest.mark.parametrize("words", [[], ["--only", "every 4"]])
def test_stopped_in_the_last_branch_it_goes_on_there(
    words: list[str], forks: Forks, tmp_path: Path
) -> None:
    """Its sibling has a result by then; asked for alone, what is left is another stage."""
    spec, whole, part = write_grid(tmp_path, TWO_BRANCHES), tmp_path / "whole", tmp_path / "part"
    for folder in (whole, part):
        folder.mkdir()
    assert forks.run(whole, ["run", str(spec)]) == 0
    always = ["run", str(spec), "--checkpoint-seconds", "0"]
    killed = forks.run(part, always, behind_checkpoint(10, 13))
    assert killed == -signal.SIGKILL
    assert statuses(part) == {"every 2": "done", "every 4": None}
    assert trained(part) == 12
    assert forks.run(part, [*always, *words]) == 0, (part / OUTPUT).read_text()
    assert "continuing after epoch 6" in (part / OUTPUT).read_text()
    assert (trained(whole), trained(part)) == (14, 14)
    assert left_in(part) == left_in(whole)


@pytest.mark.slow
def test_a_checkpoint_is_removed_when_its_runs_have_results_of_other_trainings(
    forks: Forks, tmp_path: Path
) -> None:
    spec = write_grid(tmp_path, TWO_BRANCHES)
    always = ["run", str(spec), "--checkpoint-seconds", "0"]
    forks.run(tmp_path, always, behind_checkpoint(1, 2))
    for label in ("every 2", "every 4"):
        assert left_in(tmp_path).litter
        assert forks.run(tmp_path, [*always, "--only", label]) == 0
    assert left_in(tmp_path).litter == ()


@pytest.mark.slow
@pytest.mark.parametrize(
    "call", [4, *(pytest.param(call, marks=pytest.mark.slow) for call in (6, 7))]
)
def test_killed_after_readers_were_satisfied_these_keep_what_they_read(
    call: int, forks: Forks, tmp_path: Path
) -> None:
    """The weights of a last epoch that is tested are those of that epoch, not of a later one."""
    spec, whole, part = write_grid(tmp_path, READERS), tmp_path / "whole", tmp_path / "part"
    for folder in (whole, part):
        folder.mkdir()
    assert forks.run(whole, ["run", str(spec)]) == 0
    words = ["run", str(spec), "--checkpoint-seconds", "0"]
    killed = forks.run(part, words, behind_checkpoint(call, call + 1))
    assert killed == -signal.SIGKILL
    assert forks.run(part, words) == 0, (part / OUTPUT).read_text()
    assert left_in(part) == left_in(whole)
    assert trained(part) == 8


@pytest.mark.slow
def test_two_processes_share_a_tree_and_do_every_stage_once(
    forks: Forks, branches: Path, undisturbed_branches: Left, tmp_path: Path
) -> None:
    pids = [forks.start(tmp_path, ["run", str(branches)]) for _ in range(2)]
    assert [forks.wait(pid) for pid in pids] == [0, 0], (tmp_path / OUTPUT).read_text()
    assert left_in(tmp_path) == undisturbed_branches
    assert set(ask(tmp_path, "SELECT number, status FROM attempts")) == {(1, "done")}
    assert trained(tmp_path) == 26


@pytest.mark.slow
def test_a_process_waits_for_the_parent_that_another_one_trains(
    forks: Forks, branches: Path, undisturbed_branches: Left, tmp_path: Path
) -> None:
    stop = KillAt("epoch begins", 2, signal.SIGSTOP)
    first = start_stopped(forks, tmp_path, ["run", str(branches)], stop)
    second = forks.start(tmp_path, ["run", str(branches)])
    wait_for(lambda: MEETING in (tmp_path / OUTPUT).read_text())
    time.sleep(0.2)
    assert ask(tmp_path, "SELECT count(*) FROM attempts") == [(2,)]
    os.kill(first, signal.SIGCONT)
    assert [forks.wait(first), forks.wait(second)] == [0, 0], (tmp_path / OUTPUT).read_text()
    assert left_in(tmp_path) == undisturbed_branches
    assert trained(tmp_path) == 26


@pytest.mark.slow
def test_the_parent_of_a_killed_process_is_taken_over(
    forks: Forks, branches: Path, undisturbed_branches: Left, tmp_path: Path
) -> None:
    stop = KillAt("epoch begins", 2, signal.SIGSTOP)
    first = start_stopped(forks, tmp_path, ["run", str(branches)], stop)
    second = forks.start(tmp_path, ["run", str(branches)])
    wait_for(lambda: MEETING in (tmp_path / OUTPUT).read_text())
    os.kill(first, signal.SIGKILL)
    assert forks.wait(second) == 0, (tmp_path / OUTPUT).read_text()
    assert forks.wait(first) == -signal.SIGKILL
    assert left_in(tmp_path) == undisturbed_branches


@pytest.mark.slow
def test_a_process_that_wants_other_cells_leaves_the_plan_of_the_first_alone(
    forks: Forks, branches: Path, undisturbed_branches: Left, tmp_path: Path
) -> None:
    stop = KillAt("epoch begins", 2, signal.SIGSTOP)
    most = [word for label in ("every 2", "every 3", "every 4") for word in ("--only", label)]
    first = forks.start(tmp_path, ["run", str(branches), *most], stop, lease=6.0)
    wait_for(lambda: psutil.Process(first).status() == psutil.STATUS_STOPPED)
    second = forks.run(tmp_path, ["run", str(branches), "--only", "short"])  # until the lease ends
    assert second == 0, (tmp_path / OUTPUT).read_text()
    os.kill(first, signal.SIGCONT)
    assert forks.wait(first) == 0, (tmp_path / OUTPUT).read_text()
    done = {label for label, status in statuses(tmp_path).items() if status == "done"}
    assert done == {"every 2", "every 3", "every 4", "short"}
    assert forks.run(tmp_path, ["run", str(branches)]) == 0
    assert dump_of(tmp_path) == undisturbed_branches.dump


@pytest.mark.slow
def test_a_process_that_joins_when_runs_have_ended_leaves_the_same(
    forks: Forks, branches: Path, undisturbed_branches: Left, tmp_path: Path
) -> None:
    """The runs that have ended keep their part in the keys of what is shared."""
    stop = KillAt("epoch begins", 14, signal.SIGSTOP)
    first = start_stopped(forks, tmp_path, ["run", str(branches)], stop)
    assert "done" in statuses(tmp_path).values()
    second = forks.start(tmp_path, ["run", str(branches)])
    wait_for(lambda: MEETING in (tmp_path / OUTPUT).read_text())
    os.kill(first, signal.SIGCONT)
    assert [forks.wait(first), forks.wait(second)] == [0, 0], (tmp_path / OUTPUT).read_text()
    assert dump_of(tmp_path) == undisturbed_branches.dump
    assert failures(tmp_path) == []
    assert trained(tmp_path) == 26


@pytest.mark.slow
@pytest.mark.parametrize(
    "harm", [pytest.param("other numerics", marks=pytest.mark.slow), "damaged"]
)
def test_a_child_whose_parents_state_cannot_be_used_begins_with_the_first_epoch(
    harm: str, forks: Forks, branches: Path, undisturbed_branches: Left, tmp_path: Path
) -> None:
    words = ["run", str(branches)]
    assert forks.run(tmp_path, words, KillAt("outcome recorded", 2)) == -signal.SIGKILL
    (path,) = (tmp_path / ".runner" / "states").rglob("checkpoint.json")
    values = json.loads(path.read_text())
    if harm == "damaged":
        tensors = path.with_name(values["file"])
        tensors.write_bytes(tensors.read_bytes()[:-1])
    else:
        path.write_text(json.dumps({**values, "numerics": {"threads": 99}}))
    assert forks.run(tmp_path, words) == 0, (tmp_path / OUTPUT).read_text()
    assert "starting with the first epoch" in (tmp_path / OUTPUT).read_text()
    assert failures(tmp_path) == []
    assert dump_of(tmp_path) == undisturbed_branches.dump
