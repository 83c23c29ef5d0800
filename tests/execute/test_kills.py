"""kill -9 at any moment, then the same command again: the same results, byte for byte."""

import os
import random
import signal
import time
from pathlib import Path

import pytest
from forks import OUTPUT, Forks, KillAt, behind_checkpoint
from grids import Left, Undisturbed, ask, left_in

SEED = 20240614
CHECKPOINT_SECONDS = ("0", "30", "0", "0.05")
ONE = ("--only", "lr=0.03", "--only", "dropout=0.3")

POINTS = {
    "migrate": KillAt("schema made, not committed"),
    "before the experiment is recorded": KillAt("runs planned, not recorded"),
    "prepare claimed": KillAt("stage claimed"),
    "prepare written, not renamed": KillAt("pixels written, not renamed"),
    "prepare renamed, not recorded": KillAt("pixels in place, not recorded"),
    "train claimed": KillAt("stage claimed", 2),
    "first epoch trained": KillAt("epoch trained"),
    "epochs recorded, no checkpoint": KillAt("epochs recorded", 3),
    "checkpoint's tensors, no description": KillAt("tensors in place, not described", 3),
    "checkpoint whole": KillAt("checkpoint whole", 4),
    "last epoch trained": KillAt("epoch trained", 7),
    "weights written, not recorded": KillAt("weights written, not recorded"),
    "last state's tensors, no description": KillAt("tensors in place, not described", 7),
    "last state whole, not recorded": KillAt("state whole, not recorded"),
    "train recorded, last state not begun": KillAt(
        "state about to be written", until="outcome recorded", until_call=2
    ),
    "train recorded, last state not described": KillAt(
        "tensors in place, not described", 7, until="outcome recorded", until_call=2
    ),
    "result recorded, last state not renamed": KillAt(
        "tensors written, not renamed", 7, until="result recorded"
    ),
    "train recorded, checkpoint there": KillAt("outcome recorded", 2),
    "evaluate begun": KillAt("evaluation begins"),
    "evaluated, not recorded": KillAt("evaluated, not recorded"),
    "evaluate recorded, no result": KillAt("outcome recorded", 3),
    "result recorded": KillAt("result recorded"),
}


LAST_STATE = "last state's tensors, no description"
"""From here on, the training may have ended well without its state."""


def assert_same(folder: Path, left: Left, expected: Left) -> None:
    """Assert that everything that was left is what an undisturbed grid leaves."""
    output = (folder / OUTPUT).read_text()
    assert left.dump == expected.dump, output
    assert left.tensors == expected.tensors, output
    assert left.files == expected.files, output
    assert left.pixels == expected.pixels, output
    # nobody waits for the last state of a training, which only saves work
    assert left.states.items() <= expected.states.items(), output
    assert ask(folder, "SELECT count(*) FROM claims") == [(0,)]
    assert ask(folder, "SELECT count(*) FROM attempts WHERE status = 'running'") == [(0,)]
    done = "SELECT stage_key FROM attempts WHERE status = 'done' GROUP BY stage_key"
    assert ask(folder, f"{done} HAVING count(*) > 1") == []


def kill_at_random(
    forks: Forks, folder: Path, words: list[str], seconds: float, draw: random.Random
) -> bool:
    """Start a run, kill it after a random time; return whether it was still at work."""
    pid = forks.start(folder, words)
    time.sleep(draw.uniform(0, seconds))
    os.kill(pid, signal.SIGKILL)
    return forks.wait(pid) == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.parametrize("trial", range(24))  # of each interval two are killed twice
def test_killed_at_a_random_moment_the_grid_ends_as_if_undisturbed(
    trial: int,
    forks: Forks,
    grid: Path,
    undisturbed: Undisturbed,
    seconds: float,
    tmp_path: Path,
) -> None:
    """Kill a grid at a random moment, every third one twice; finish it and compare."""
    draw = random.Random(SEED + trial)
    every = CHECKPOINT_SECONDS[trial % len(CHECKPOINT_SECONDS)]
    words = ["run", str(grid), "--checkpoint-seconds", every]
    for redraw in range(20):
        folder = tmp_path / f"trial-{trial}-{redraw}"
        folder.mkdir()
        if kill_at_random(forks, folder, words, seconds, draw):
            break
    else:
        pytest.fail("no kill came before the end of the grid")
    if trial % 3 == 0:
        kill_at_random(forks, folder, words, seconds / 2, draw)
    assert forks.run(folder, words) == 0, (folder / OUTPUT).read_text()
    assert_same(folder, left_in(folder), undisturbed.left)


@pytest.fixture(scope="module")
def one_run(forks: Forks, grid: Path, tmp_path_factory: pytest.TempPathFactory) -> Left:
    folder = tmp_path_factory.mktemp("one")
    assert forks.run(folder, ["run", str(grid), *ONE]) == 0
    return left_in(folder)


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
def test_killed_at_a_chosen_point_the_run_ends_as_if_undisturbed(
    point: str, forks: Forks, grid: Path, one_run: Left, tmp_path: Path
) -> None:
    words = ["run", str(grid), *ONE, "--checkpoint-seconds", "0"]
    killed = forks.run(tmp_path, words, POINTS[point])
    assert killed == -signal.SIGKILL, (tmp_path / OUTPUT).read_text()
    assert forks.run(tmp_path, words) == 0, (tmp_path / OUTPUT).read_text()
    left = left_in(tmp_path)
    assert_same(tmp_path, left, one_run)
    assert left.litter == ()
    if list(POINTS).index(point) < list(POINTS).index(LAST_STATE):
        assert left.states == one_run.states


@pytest.mark.slow
def test_checkpoints_do_not_change_what_a_grid_leaves(
    forks: Forks, grid: Path, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    assert forks.run(tmp_path, ["run", str(grid), "--checkpoint-seconds", "0"]) == 0
    left = left_in(tmp_path)
    assert_same(tmp_path, left, undisturbed.left)
    assert left == undisturbed.left


@pytest.mark.slow
def test_after_a_kill_only_the_epochs_since_the_checkpoint_are_trained_again(
    forks: Forks, grid: Path, tmp_path: Path
) -> None:
    words = ["run", str(grid), *ONE, "--checkpoint-seconds", "0"]
    forks.run(tmp_path, words, behind_checkpoint(4, 5))
    assert forks.run(tmp_path, words) == 0
    trained = (
        "SELECT attempts.number, min(epoch), max(epoch) FROM steps JOIN attempts"
        " ON attempts.id = steps.attempt_id GROUP BY attempts.number ORDER BY attempts.number"
    )
    assert ask(tmp_path, trained) == [(1, 1, 4), (2, 5, 7)]
    statuses = "SELECT status FROM attempts JOIN stages USING (stage_key) WHERE kind = 'train'"
    assert ask(tmp_path, f"{statuses} ORDER BY number") == [("lost",), ("done",)]


def test_the_server_of_these_tests_forks_from_a_single_thread(forks: Forks) -> None:
    tasks = Path(f"/proc/{forks.pid}/task")
    if not tasks.is_dir():
        pytest.skip("no /proc")
    assert len(list(tasks.iterdir())) == 1
