"""timm's networks in specs: built when a run is bound, with problems at their positions."""

from pathlib import Path

import pytest

import runner.components.models.timm_names as timm_names
from runner.bind.bound_request import bind_request
from runner.bind.request import Request
from runner.components.models.timm_names import timm_version
from runner.core.errors import Problem, SpecError
from runner.spec.experiment import load_experiment

pytestmark = pytest.mark.slow

SPEC = """\
name: foreign
data: {dataset: synthetic, classes: 3, images: 40, height: 32, width: 32}
model: timm/test_resnet
train: {epochs: 1}
"""
needs_timm = pytest.mark.skipif(not timm_version(), reason="timm is not installed")


def problem_of(spec: str, folder: Path) -> Problem:
    path = folder / "foreign.yaml"
    path.write_text(spec)
    assert load_experiment(path).cells
    with pytest.raises(SpecError) as raised:
        bind_request(Request(path, device="cpu", db=folder / "results.db"))
    (problem,) = raised.value.problems
    return problem


@pytest.mark.slow
@needs_timm
def test_unknown_timm_network_is_a_problem_at_its_name(tmp_path: Path) -> None:
    problem = problem_of(SPEC.replace("test_resnet", "test_resnt"), tmp_path)
    assert str(problem.position).endswith("foreign.yaml:3:8")
    assert "has no network test_resnt" in problem.found
    assert problem.suggestion.startswith("timm/test_resnet")


def test_missing_timm_is_a_problem_at_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timm_names, "timm_version", lambda: "")
    monkeypatch.setattr("runner.bind.timm_checks.timm_version", lambda: "")
    problem = problem_of(SPEC.replace("timm/test_resnet", "{name: timm/test_vit}"), tmp_path)
    assert str(problem.position).endswith("foreign.yaml:3:15")
    assert problem.hint == 'pip install "runner[timm]"'


@pytest.mark.slow
@needs_timm
def test_timm_network_is_bound_with_its_size(tmp_path: Path) -> None:
    import timm

    path = tmp_path / "foreign.yaml"
    path.write_text(SPEC)
    (cell,) = bind_request(Request(path, device="cpu", db=tmp_path / "results.db")).wanted_cells
    network = timm.create_model("test_resnet", num_classes=3)
    assert cell.bound_model.parameters == sum(each.numel() for each in network.parameters())


SCALED = """\
name: foreign
data: {dataset: synthetic, classes: 3, images: 40, height: 32, width: 32}
train: {epochs: 1}
sweep:
  rows:
    - {normalize: model, model: timm/test_resnet}
    - {normalize: {mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5]}, model: timm/test_resnet}
    - {normalize: model, model: timm/resnet18.a1_in1k}
    - {normalize: imagenet, model: timm/resnet18.a1_in1k}
"""


@pytest.mark.slow
@needs_timm
def test_scaling_as_the_model_is_the_run_with_its_numbers(tmp_path: Path) -> None:
    path = tmp_path / "foreign.yaml"
    path.write_text(SCALED)
    bound = bind_request(Request(path, device="cpu", db=tmp_path / "results.db")).wanted_cells
    assert [cell.run.settings.json["data"]["normalize"] for cell in bound] == [
        *[{"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}] * 2,
        {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
        "imagenet",
    ]
    first, second, third, fourth = (cell.run for cell in bound)
    assert first.run_key == second.run_key
    assert third.data_key == fourth.data_key
    assert [cell.cell.settings["data"]["normalize"] for cell in bound][::2] == ["model", "model"]


@pytest.mark.parametrize(
    ("before", "after", "found", "position"),
    [
        ("timm/test_resnet", "mlp", "only timm's networks", "2:63"),
        ("timm/test_resnet", "resnet18", "only timm's networks", "2:63"),
        ("normalize: model", "normalize: model, color: gray", "three channels", "2:63"),
    ],
)
def test_scaling_as_the_model_is_refused_where_it_says_nothing(
    before: str, after: str, found: str, position: str, tmp_path: Path
) -> None:
    path = tmp_path / "foreign.yaml"
    text = SPEC.replace("images: 40", "images: 40, normalize: model").replace(before, after)
    path.write_text(text)
    with pytest.raises(SpecError, match=found) as raised:
        load_experiment(path)
    (problem,) = raised.value.problems
    assert str(problem.position).endswith(f"foreign.yaml:{position}")
