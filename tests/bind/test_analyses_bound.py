"""Analyses held against data and network: once for all cells that are alike."""

from pathlib import Path
from typing import Any

import pytest

from runner.bind.bound_request import bind_request
from runner.bind.request import Request
from runner.components.data.dataset import DatasetSettings
from runner.core.errors import SpecError
from runner.engine.analyses import suitable

SPEC = """\
name: small
data: {dataset: synthetic, classes: 2, images: 40, height: 4, width: 4, validation: 0.25}
model: {name: mlp, hidden: [4]}
train: {epochs: 2, batch_size: 16}
sweep: {grid: {lr: [0.01, 0.1, 1], dropout: [0.0, 0.5]}}
analyses:
  map: {name: embedding, images: 8}
  mixed_up: predictions
  first: {name: neurons, neurons: [0]}
"""


def bind(folder: Path, text: str) -> None:
    (folder / "small.yaml").write_text(text, encoding="utf-8")
    bind_request(Request(str(folder / "small.yaml"), device="cpu", db=str(folder / "results.db")))


def test_a_grid_is_split_once_and_each_network_looked_at_once_an_analysis(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = {"split": 0, "network": 0}
    split, check = DatasetSettings.split, suitable.check_network

    def counted(self: DatasetSettings, *given: Any) -> Any:
        calls["split"] += 1
        return split(self, *given)

    def looked(*given: Any) -> None:
        calls["network"] += 1
        check(*given)

    monkeypatch.setattr(DatasetSettings, "split", counted)
    monkeypatch.setattr(suitable, "check_network", looked)
    bind(tmp_path, SPEC)
    assert calls["split"] <= 3  # of the cells by themselves, and of all analyses
    assert calls["network"] == 2 * 2  # embedding and neurons, of two networks


def test_problems_of_a_grid_are_told_once(tmp_path: Path) -> None:
    wrong = SPEC.replace("validation: 0.25", "validation: 0").replace("[0]", "[99]")
    wrong = wrong.replace("images: 8}", "images: 8, split: train}").replace(
        "mixed_up: predictions", "mixed_up: {name: predictions, split: test}"
    )
    with pytest.raises(SpecError) as caught:
        bind(tmp_path, wrong.replace("height: 4", "height: 4, test: 0.2"))
    assert len(caught.value.problems) == 1
    assert "small.yaml:9:" in str(caught.value)
