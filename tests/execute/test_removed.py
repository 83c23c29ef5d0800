"""The database or `.runner/` taken away under a run: it says so, and the next one does it all."""

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from forks import OUTPUT, Forks, KillAt
from grids import Undisturbed, ask, left_in
from test_two_processes import start_stopped

IN_PREPARE = KillAt("images about to be decoded", signal=signal.SIGSTOP)
IN_TRAINING = KillAt("epoch trained", 3, signal.SIGSTOP)
IN_THE_SECOND = KillAt("epoch trained", 10, signal.SIGSTOP)


def remove_database(folder: Path) -> None:
    for path in folder.glob("results.db*"):
        path.unlink()


def replace_database(folder: Path) -> None:
    shutil.copy(folder / "results.db", folder / "other.db")
    (folder / "other.db").replace(folder / "results.db")


def remove_log(folder: Path) -> None:
    (folder / "results.db-wal").unlink()


def remove_work_folder(folder: Path) -> None:
    shutil.rmtree(folder / ".runner")


def remove_pixels(folder: Path) -> None:
    shutil.rmtree(folder / ".runner" / "pixels")


def stop_and(
    disturb: Callable[[Path], None], when: KillAt, forks: Forks, grid: Path, folder: Path
) -> tuple[int, str]:
    """Stop a run, disturb it, let it go on; return its exit code and what it said."""
    pid = start_stopped(forks, folder, ["run", str(grid)], when)
    disturb(folder)
    os.kill(pid, signal.SIGCONT)
    return forks.wait(pid), (folder / OUTPUT).read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("disturb", "message"),
    [
        (remove_database, "error: results.db was removed while it was in use"),
        pytest.param(
            replace_database,
            "error: results.db was replaced while it was in use",
            marks=pytest.mark.slow,
        ),
        pytest.param(remove_log, "error: results.db-wal was removed while", marks=pytest.mark.slow),
    ],
)
def test_a_run_whose_database_goes_says_so_and_the_same_command_does_it_again(
    disturb: Callable[[Path], None],
    message: str,
    forks: Forks,
    grid: Path,
    undisturbed: Undisturbed,
    tmp_path: Path,
) -> None:
    code, output = stop_and(disturb, IN_TRAINING, forks, grid, tmp_path)
    assert code == 1, output
    assert message in output
    assert "Traceback" not in output
    assert "hint: run the same command again" in output
    assert disturb is not remove_database or not (tmp_path / "results.db").exists()
    assert forks.run(tmp_path, ["run", str(grid)]) == 0, (tmp_path / OUTPUT).read_text()
    assert left_in(tmp_path).dump == undisturbed.left.dump


@pytest.mark.slow
@pytest.mark.parametrize(
    ("disturb", "when"),
    [
        (remove_work_folder, IN_TRAINING),
        pytest.param(remove_work_folder, IN_PREPARE, marks=pytest.mark.slow),
        pytest.param(remove_work_folder, IN_THE_SECOND, marks=pytest.mark.slow),
        pytest.param(remove_pixels, IN_TRAINING, marks=pytest.mark.slow),
        pytest.param(remove_pixels, IN_PREPARE, marks=pytest.mark.slow),
    ],
)
def test_a_run_whose_folder_goes_has_not_failed_and_the_same_command_goes_on(
    disturb: Callable[[Path], None],
    when: KillAt,
    forks: Forks,
    grid: Path,
    undisturbed: Undisturbed,
    tmp_path: Path,
) -> None:
    code, output = stop_and(disturb, when, forks, grid, tmp_path)
    assert code in (0, 1), output
    if code == 1:
        assert ".runner was removed, or something in it, while this run was at work" in output
    assert "Traceback" not in output
    assert ask(tmp_path, "SELECT count(*) FROM attempts WHERE status = 'failed'") == [(0,)]
    assert ask(tmp_path, "SELECT count(*) FROM results WHERE status = 'failed'") == [(0,)]
    assert forks.run(tmp_path, ["run", str(grid)]) == 0, (tmp_path / OUTPUT).read_text()
    assert left_in(tmp_path).dump == undisturbed.left.dump
