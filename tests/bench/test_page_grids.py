"""A made-up grid is one that the page can follow, as bench/page.py does."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "bench"))

from page_grids import NAME, Grid  # noqa: E402

from runner.api.watching import Watch  # noqa: E402


@pytest.mark.slow
def test_recorded_epochs_of_a_made_up_grid_are_seen_while_it_runs(tmp_path: Path) -> None:
    grid = Grid(tmp_path / "grid.db", 20, epochs=2)
    watch = Watch(tmp_path / "grid.db")
    name = (NAME, "")
    assert watch.items(name)["head"]["counts"]["done"] == 18
    steps = (epoch for epoch in grid.steps(grid.waiting[0]) if epoch)
    for epoch in (1, 2):
        assert next(steps) == epoch
        cell = watch.items(name)["cell:0:0"]
        assert (cell["status"], cell["epoch"]) == ("running", epoch)
    assert list(steps) == []
    assert watch.items(name)["cell:0:0"]["status"] == "done"
    watch.close()
    grid.database.close()
