"""A finished grid with analyses, which tests of figures and of reports share; a copy for each."""

import shutil
from pathlib import Path

import pytest

from runner import api

SPEC = """\
name: seen
about: Two dropouts on patterns.
data: {dataset: synthetic, classes: 3, images: 60, height: 8, width: 8}
model: {name: convnet, filters: [4]}
train: {epochs: 1, batch_size: 16, optimizer: sgd}
seeds: [0, 1]
sweep: {grid: {dropout: [0.0, 0.3]}}
analyses:
  first: filters
  map: embedding
  confused: predictions
  shaken:
    name: robustness
    draws: 2
    transforms:
      - label: turned
        severities: [{name: RandomRotation, degrees: 20}, {name: RandomRotation, degrees: 60}]
      - {name: RandomHorizontalFlip, p: 1.0}
figures:
  curves: {name: curves, about: How it learns.}
  rates: {name: setting, x: dropout}
  first: {name: filters, only: {dropout: 0.3}}
  map: embedding
  one: {name: embedding, only: {dropout: [0.0], seed: 1}}
  confused: {name: predictions, show: [confusion, wrong], count: 5, only: {dropout: 0.3}}
  shaken: {name: robustness, metrics: [accuracy, loss]}
"""


def make(folder: Path) -> Path:
    """Run the grid in a folder."""
    (folder / "seen.yaml").write_text(SPEC, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        api.run("seen.yaml", device="cpu")
    return folder


def copy(made: Path, to: Path) -> Path:
    """Return a copy that may be changed."""
    shutil.copytree(made, to, dirs_exist_ok=True)
    return to
