"""A network with more outputs than the data has classes: each output has a name everywhere."""

import json
from pathlib import Path

import numpy as np
import pytest
from grids import ask
from safetensors import safe_open

from runner import api
from runner.api.running import run

SPEC = """\
name: wide
data: {dataset: digits, validation: 0.25, test: 0.2}
model: {name: mlp, hidden: [8], classes: 12}
train: {epochs: 1, batch_size: 64, optimizer: {name: sgd, lr: 1.0e-9}}
analyses:
  said: predictions
  seen: {name: saliency, methods: [gradient], count: 40}
tables: {all: {A: test_auroc}}
"""
NAMES = [*"0123456789", "output 10", "output 11"]


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a run that has learnt nothing, so that any output is predicted."""
    folder = tmp_path_factory.mktemp("wide")
    (folder / "wide.yaml").write_text(SPEC)
    ran = run(folder / "wide.yaml", threads=1, db=folder / "results.db")
    assert (list(ran.statuses.values()), ran.failed_measurements) == (["done"], 0)
    return folder


@pytest.mark.slow
def test_predictions_have_names_for_all_outputs(wide: Path) -> None:
    found = api.predictions("wide:0", "val", db=wide / "results.db")
    frame = found.frame()
    assert list(frame.columns[4:]) == [f"logit {name}" for name in NAMES]
    assert set(frame["predicted"]) & {"output 10", "output 11"}
    assert set(frame["label"]) <= set("0123456789")
    assert list(found.confusion().index) == list(found.classes().index) == NAMES
    assert found.classes().loc["output 10", "images"] == 0
    assert set(found.measures()) == {
        *("loss", "accuracy", "top5_accuracy", "balanced_accuracy", "macro_f1"),
        *("auroc", "brier", "ece"),
    }


@pytest.mark.slow
def test_analyses_name_what_they_say_something_of(wide: Path) -> None:
    query = "SELECT DISTINCT json_extract(dims, '$.class') FROM run_analyses WHERE kind = ?"
    explained = {name for (name,) in ask(wide, query, ["saliency"])}
    assert explained <= set(NAMES)
    assert explained & {"output 10", "output 11"}
    assert {"output 10", "output 11"} & {name for (name,) in ask(wide, query, ["predictions"])}
    for path in wide.glob(".runner/analyses/*/*/class_names.npy"):
        assert np.load(path).tolist() == NAMES
    drawn = api.inspect_analysis(
        "wide:0", "saliency", out=wide / "seen.png", db=wide / "results.db"
    )
    assert all(path.is_file() for path in drawn.paths)


@pytest.mark.slow
def test_exported_file_and_card_name_all_outputs(wide: Path) -> None:
    out = wide / "net.safetensors"
    api.export("wide:0", "safetensors", out, db=wide / "results.db")
    with safe_open(out, "np") as file:
        assert json.loads(file.metadata()["classes"]) == NAMES
    card = (wide / "net.safetensors.md").read_text()
    assert "11. output 11" in card


@pytest.mark.slow
def test_confusion_matrix_of_the_analysis_is_a_figure_with_all_outputs(wide: Path) -> None:
    drawn = api.plot(wide / "wide.yaml", "predictions", out=wide / "p.svg", db=wide / "results.db")
    assert drawn.paths[0] == wide / "p-confusion.svg"
    assert "output 11" in drawn.paths[0].read_text(encoding="utf-8")
