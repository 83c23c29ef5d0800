"""Every spec of the catalogue: it is described, it can be tried in seconds, and it does run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from runner.spec.experiment import load_experiment

ROOT = Path(__file__).resolve().parents[2]
SPECS = sorted((ROOT / "experiments").glob("*.yaml"))
SMALL = 64
"""Pixels of the longest side of images in the profile `smoke`."""


@pytest.mark.fast_cases(2)
@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_a_spec_is_described_and_declares_its_table(path: Path) -> None:
    experiment = load_experiment(path)
    assert experiment.name == path.stem
    assert len(experiment.about.split()) >= 10
    assert experiment.tables
    if any(cell.cell.published for cell in experiment.cells):
        about = " ".join(experiment.about.split())
        assert re.search(r"[Rr]eports? R\d", about), "which report?"
        assert "Ours: " in about, "what is our choice?"


@pytest.mark.fast_cases(6)
@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_the_profile_smoke_is_small(path: Path) -> None:
    experiment = load_experiment(path, "smoke")
    assert len({cell.cell.position for cell in experiment.cells}) <= 2
    for cell in experiment.cells:
        data, train = cell.settings.data, cell.settings.train
        assert data.dataset in ("digits", "synthetic")
        assert max(getattr(data, "height", 0), getattr(data, "width", 0)) <= SMALL
        assert train.epochs <= 2
        assert getattr(cell.settings.model, "weights", None) is None


@pytest.mark.slow(45)
def test_the_whole_catalogue_runs_on_generated_data(tmp_path: Path) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "2", "PYTHONPATH": str(ROOT)}
    environment.pop("RUNNER_DATA", None)
    command = [sys.executable, "-m", "runner", "run", *map(str, SPECS), "--profile", "smoke"]
    ran = subprocess.run(  # of two epochs the second takes as long and shows nothing more
        [*command, "--set", "epochs=1", "--no-download"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    for path in SPECS:
        for table in load_experiment(path, "smoke").tables:
            assert f"\n{table.name}" in f"\n{ran.stdout}", table.name
    assert "unfinished" not in ran.stdout
    assert "failed" not in ran.stdout
