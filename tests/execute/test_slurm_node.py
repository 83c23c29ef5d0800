"""An array of workers in a real Slurm: its script is read, told of its time, and put back."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import slurm_node
from forks import Forks
from grids import ask, left_in, write_grid
from slurm_grid import EPOCHS, GRID, HOLDERS, asked
from slurm_node import answer
from waiting import wait_for

from runner.api.submitting import slurm

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not slurm_node.is_installed(), reason="Slurm is not installed"),
]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[None]:
    (tmp_path / "slurm").mkdir()
    with slurm_node.running_slurm(tmp_path / "slurm"):
        yield


def states(number: str) -> list[str]:
    return answer("squeue", "--noheader", "--array", f"--jobs={number}", "--format=%T").split()


@pytest.mark.usefixtures("cluster")
def test_array_goes_on_in_its_next_jobs(
    forks: Forks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    together, alone = tmp_path / 'it\'s "to gether"', tmp_path / "alone"
    for folder in (together, alone):
        folder.mkdir()
        write_grid(folder, GRID)
    monkeypatch.chdir(together)
    number = slurm(
        "grid.yaml",
        jobs=2,
        time="1:00:00",
        sbatch=["output=my logs/%a.txt", "comment=a b #c", "exclusive=user"],
        threads=1,
        checkpoint_seconds=0.0,
    ).job_id
    wait_for(lambda: len(asked(together, HOLDERS)) == 2 and asked(together, EPOCHS)[0][0] > 20)
    told = answer("scontrol", "show", "job", number)
    assert told.count("Comment=a b #c") == 2, told
    assert told.count("TimeLimit=01:00:00") == 2, told

    # what Slurm does two minutes before the end of the time
    answer("scancel", "--batch", "--signal=USR1", number)
    wait_for(lambda: states(number) == ["PENDING", "PENDING"], pause=0.2)
    assert asked(together, HOLDERS) == []
    # It would wait two minutes. In the second in which it was put back it must not begin: slurmd
    # takes its new credential, whose time is in whole seconds, for the one that was revoked.
    sooner = ("scontrol", "update", f"JobId={number}", "StartTime=now+3")
    wait_for(lambda: answer(*sooner) == "", 0.5)
    wait_for(lambda: not states(number), pause=0.2)
    output = "".join(path.read_text() for path in sorted((together / "my logs").iterdir()))
    told = answer("scontrol", "show", "job", number)
    assert told.count("Restarts=1") == told.count("JobState=COMPLETED") == 2, told + output
    assert "continuing in epoch" in output
    assert ask(together, HOLDERS) == []

    assert forks.run(alone, ["run", "grid.yaml", "--threads", "1"]) == 0
    assert left_in(together).dump == left_in(alone).dump
