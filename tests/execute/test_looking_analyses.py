"""Filters, neurons, saliency and embedding as analyses of a run: arrays, values, errors."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from grids import ask
from test_measurements import kinds

from runner.api.reporting import report
from runner.api.running import run
from runner.artifacts.arrays import read_arrays
from runner.core.errors import SpecError
from runner.core.stages import Stage
from runner.engine.network.build import build_network
from runner.execute.listener import NullListener
from runner.spec.experiment import load_experiment

pytest.importorskip("captum")

SPEC = """\
name: seen
data: {dataset: digits, validation: 0.25, test: 0.2}
model: {name: convnet, filters: [4, 5]}
train: {epochs: 1, batch_size: 64, optimizer: {name: sgd, lr: 0.1}}
"""
LOOKED = """\
analyses:
  filters: filters
  where: {name: saliency, methods: [gradient], images: ["0003", "0010"], target: "3"}
  cam: {name: saliency, methods: [grad_cam], count: 3, split: test}
  map: {name: embedding, images: 50, neighbours: 2}
tables:
  seen: {NEAR: {analysis: map, metric: neighbour_accuracy}}
"""
PLAIN = "model: {name: mlp, hidden: [6]}"


class Log(NullListener):
    def __init__(self) -> None:
        self.began: list[Stage] = []

    def on_stage_start(self, stage: Stage) -> None:
        self.began.append(stage)


def do(folder: Path, text: str, **options: Any) -> Log:
    log, spec = Log(), folder / "seen.yaml"
    spec.write_text(text)
    run(spec, listen=lambda planned: log, threads=1, db=folder / "results.db", **options)
    return log


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, and then its analyses, which train nothing."""
    folder = tmp_path_factory.mktemp("looked")
    do(folder, SPEC)
    assert kinds(do(folder, SPEC + LOOKED)) == ["analyse"] * 4
    return folder


def arrays(home: Path, *names: str) -> dict[str, np.ndarray]:
    """Return the arrays of the one analysis that left all these."""
    digests = dict(ask(home, "SELECT name, digest FROM artifacts WHERE name LIKE 'analyses/%'"))
    found = [
        read_arrays(each, digests[f"analyses/{each.name}"])
        for each in home.glob(".runner/analyses/*/*")
    ]
    (one,) = [each.arrays for each in found if each is not None and set(names) <= set(each.arrays)]
    return dict(one)


@pytest.mark.slow
def test_filters_before_training_are_those_of_the_seed(home: Path) -> None:
    found = arrays(home, "before", "after")
    (item,) = load_experiment(home / "seen.yaml").cells
    initial = build_network(item.settings, (1, 8, 8), 10, torch.device("cpu")).module
    drawn = initial.get_submodule("features.block1.conv").weight.detach().numpy()
    before = found["before"].transpose(0, 3, 1, 2)
    slope = np.polyfit(drawn.ravel(), before.ravel(), 1)[0]
    assert slope > 0
    assert np.allclose(np.polyval(np.polyfit(drawn.ravel(), before.ravel(), 1), drawn), before)
    assert not np.array_equal(found["before"], found["after"])
    both = np.concatenate([found["before"], found["after"]])
    assert (both.min(), both.max()) == (0, 1)


@pytest.mark.slow
def test_saliency_explains_the_named_class_of_the_named_images(home: Path) -> None:
    found = arrays(home, "gradient_color")
    assert found["classes"].tolist() == [3, 3]
    assert found["images"].shape == (2, 8, 8, 1)
    assert found["gradient_gray"].shape == (2, 8, 8)
    rows = dict(ask(home, "SELECT dims, value FROM run_analyses WHERE name = 'probability'"))
    wanted = '{"class":"3","image":"0010"}'
    assert rows[wanted] == pytest.approx(found["probabilities"][1, 3])
    assert found["probabilities"].sum(1) == pytest.approx([1, 1])


@pytest.mark.slow
def test_saliency_explains_the_predicted_class_unless_one_is_named(home: Path) -> None:
    found = arrays(home, "grad_cam")
    assert found["grad_cam"].shape == (3, 8, 8)
    assert found["grad_cam"].min() >= 0
    assert found["classes"].tolist() == found["probabilities"].argmax(1).tolist()


@pytest.mark.slow
def test_embedding_says_how_often_the_nearest_is_of_the_same_class(home: Path) -> None:
    found = arrays(home, "points", "nearest")
    assert found["points"].shape == (50, 2)
    assert found["nearest"].shape == found["distances"].shape == (50, 2)
    same = found["labels"][found["nearest"][:, 0]] == found["labels"]
    (near,) = report("seen", db=home / "results.db").frame().NEAR
    assert near == pytest.approx(same.mean())


@pytest.mark.slow
def test_neurons_are_those_of_the_plain_network(tmp_path: Path) -> None:
    text = SPEC.replace("model: {name: convnet, filters: [4, 5]}", PLAIN)
    do(tmp_path, text + "analyses: {cells: {name: neurons, neurons: [5, 2]}}\n")
    found = arrays(tmp_path, "color", "summed")
    assert found["color"].shape == (2, 8, 8, 1)
    assert np.allclose(found["color"][..., 0], found["summed"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("analysis", "said", "near"),
    [
        ("{name: saliency, target: '33'}", "no class is called '33'", ""),
        ("{name: saliency, images: ['0003', '1796x']}", "no image is called '1796x'", "1796"),
        ("{name: embedding, layer: clasifier.output}", "no layer is called", "classifier.output"),
        ("{name: saliency, methods: [grad_cam], layer: con}", "no layer is called 'con'", ""),
        (
            "{name: saliency, methods: [grad_cam], layer: classifier.output}",
            "classifier.output gives no maps for Grad-CAM, but (10,)",
            "",
        ),
        ("{name: embedding, layer: features.block1.lost}", "no layer is called", "features.block1"),
        ("{name: neurons}", "do not look at the 1×8×8 values of an image", ""),
    ],
)
def test_what_the_data_or_network_has_not_is_refused_before_any_work(
    analysis: str, said: str, near: str, tmp_path: Path
) -> None:
    with pytest.raises(SpecError) as caught:
        do(tmp_path, f"{SPEC}analyses: {{looked: {analysis}}}\n")
    (problem,) = caught.value.problems
    assert said in problem.found
    assert problem.position is not None
    assert problem.position.line == 5
    assert near in problem.suggestion
    assert not (tmp_path / "results.db").exists()


def test_a_map_of_too_few_images_is_refused_before_any_work(tmp_path: Path) -> None:
    text = SPEC.replace("dataset: digits,", "dataset: synthetic, images: 12, classes: 2,")
    with pytest.raises(SpecError, match=r"seen.yaml:5:\d+: .*needs 4 val images, but there are 2"):
        do(tmp_path, text.replace("0.25", "0.17") + "analyses: {map: embedding}\n")


def test_guided_backpropagation_of_other_activations_is_refused_before_any_work(
    tmp_path: Path,
) -> None:
    text = SPEC.replace("[4, 5]", "[4, 5], activation: silu")
    with pytest.raises(SpecError, match=r"seen.yaml:5:\d+: .*is a SiLU; guided backpropagation"):
        do(tmp_path, text + "analyses: {where: {name: saliency}}\n")


SIZED = """\
analyses: {size: sizes}
tables:
  size:
    PARAMETERS: {analysis: size, metric: parameters, where: {layer: network}, digits: 0}
    FIELD: {analysis: size, metric: field_height, where: {layer: network}, digits: 0}
    FIRST: {analysis: size, metric: field_width, where: {layer: features.block1.conv}, digits: 0}
    WORK: {analysis: size, metric: multiply_adds, where: {layer: features.block1.conv}, digits: 0}
"""


@pytest.mark.slow
def test_sizes_of_layers_are_columns_of_a_finished_run(home: Path, tmp_path: Path) -> None:
    shutil.copytree(home, tmp_path, dirs_exist_ok=True)
    assert kinds(do(tmp_path, SPEC + SIZED)) == ["analyse"]
    (row,) = report("size", db=tmp_path / "results.db").frame().to_dict("records")
    weights = 4 * 9 + 4 + 5 * 4 * 9 + 5 + 10 * 5 * 2 * 2 + 10
    expected = {"PARAMETERS": weights, "FIELD": 10, "FIRST": 3, "WORK": 9 * 4 * 64}
    assert {name: row[name] for name in expected} == expected
