"""What only the data tells of a spec, as how many class weights there must be."""

from pathlib import Path

import pytest

from runner.bind.bound_request import bind_request
from runner.bind.request import Request
from runner.core.errors import SpecError

SPEC = """\
name: weighted
data: {dataset: synthetic, classes: 3, images: 40, height: 4, width: 4}
model: {name: mlp, hidden: [4]}
train: {epochs: 1, loss: {name: cross_entropy, class_weights: [1, 2]}}
"""


def test_class_weights_are_one_for_each_class(tmp_path: Path) -> None:
    path = tmp_path / "weighted.yaml"
    path.write_text(SPEC)
    with pytest.raises(SpecError) as raised:
        bind_request(Request(path, device="cpu"))
    (problem,) = raised.value.problems
    assert str(problem.position).endswith("weighted.yaml:4:63")
    assert problem.found == "train.loss.class_weights has 2 numbers, but there are 3 classes"
    assert problem.allowed.startswith("a number for each of ")
    assert problem.allowed.endswith(", in this order")


@pytest.mark.parametrize(
    ("weights", "model"),
    [("[1, 2, 0.5]", ""), ("balanced", ""), ("[1, 2, 0.5, 1]", ", classes: 4"), ("null", "")],
)
def test_class_weights_that_fit_are_bound(weights: str, model: str, tmp_path: Path) -> None:
    path = tmp_path / "weighted.yaml"
    path.write_text(SPEC.replace("[1, 2]", weights).replace("[4]", f"[4]{model}"))
    (cell,) = bind_request(Request(path, device="cpu")).wanted_cells
    assert cell.source is not None


def test_a_public_set_that_is_not_whole_says_how_it_is_got_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stl10_binary").mkdir()
    Path("stl.yaml").write_text("{name: stl, data: stl10, model: mlp}")
    with pytest.raises(SpecError) as raised:
        bind_request(Request("stl.yaml", device="cpu"))
    (problem,) = raised.value.problems
    assert "class_names.txt" in problem.found
    assert "remove its folder, and `runner run` downloads it again" in problem.hint
