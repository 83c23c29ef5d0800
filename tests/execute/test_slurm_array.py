"""An array of workers outlives the time of its jobs, and leaves what `runner run` leaves."""

import os
from pathlib import Path

import pytest
import slurm_stand_in
from forks import Forks
from grids import left_in, write_grid
from slurm_grid import ATTEMPTS, EPOCHS, GRID, HOLDERS, asked
from waiting import wait_for

from runner.api.submitting import slurm


@pytest.mark.slow
def test_array_goes_on_behind_its_time_and_a_machine_that_dies(
    forks: Forks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    together, alone, cluster = (
        tmp_path / name for name in ('it\'s "to\ngether"', "alone", "the cluster")
    )
    for folder in (together, alone):
        folder.mkdir()
        write_grid(folder, GRID)
    commands = slurm_stand_in.install(cluster)
    monkeypatch.setenv("PATH", f"{commands}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.chdir(together)
    array = slurm(
        "grid.yaml",
        jobs=2,
        time="2:00:00",
        sbatch=["gres=gpu:1"],
        threads=1,
        checkpoint_seconds=0.0,
    )
    assert (array.job_id, array.jobs, array.left) == (slurm_stand_in.ARRAY, 2, 4)

    wait_for(lambda: len(asked(together, HOLDERS)) == 2 and asked(together, EPOCHS)[0][0] > 20)
    (cluster / "over").touch()
    ended = cluster / "ended"
    wait_for(lambda: ended.exists() and len(ended.read_text().splitlines()) == 2)
    assert sorted(ended.read_text().splitlines()) == ["0 0 requeued", "1 0 requeued"]
    assert {status for _, status in asked(together, ATTEMPTS)} <= {"interrupted", "done", "running"}

    wait_for(lambda: len(asked(together, HOLDERS)) == 2)
    (cluster / "broken").write_text("1")
    wait_for(lambda: (cluster / "over_all").exists())
    output = "".join(path.read_text() for path in sorted(cluster.glob("output_*")))
    jobs = sorted(ended.read_text().splitlines())
    assert jobs == ["0 0 requeued", "0 1 0", "1 0 requeued", "1 1 broken", "1 2 0"], output
    assert "this training goes on from there" in output
    assert "not requeued" not in output
    assert asked(together, HOLDERS) == []

    assert forks.run(alone, ["run", "grid.yaml", "--threads", "1"]) == 0
    assert left_in(together).dump == left_in(alone).dump
    assert left_in(together).litter == ()
