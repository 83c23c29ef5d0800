"""Columns of analyses name classes and images that there are; else no work begins."""

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from runner import api
from runner.bind.analysis_columns import analysis_column_problems
from runner.components.data.dataset import DatasetSettings
from runner.core.errors import SpecError

SPEC = """\
name: checked
data: {{dataset: digits, validation: 0.25, test: 0.2}}
model: {{name: mlp, hidden: [5]{model}}}
train: {{epochs: 1, batch_size: 64}}
analyses:
  said: predictions
  seen: {{name: saliency, methods: [gradient], count: 3}}
  size: sizes
  named: {{name: saliency, methods: [gradient], images: ['0001', '0002'], target: '4'}}
tables:
  t:
    A: {{analysis: {analysis}, metric: {metric}, where: {{{where}}}}}
"""


def problem(folder: Path, analysis: str, where: str, model: str = "") -> str:
    """Return what is wrong with a column, "" when nothing is."""
    metric = {"said": "f1", "size": "parameters"}.get(analysis, "probability")
    spec = folder / "checked.yaml"
    spec.write_text(SPEC.format(analysis=analysis, metric=metric, where=where, model=model))
    try:
        api.plan(api.Request(spec, db=folder / "results.db"))
    except SpecError as error:
        assert not (folder / "results.db").exists()
        return str(error).replace(str(spec), "checked.yaml")
    return ""


@pytest.mark.parametrize(
    ("analysis", "where", "said"),
    [
        (
            "said",
            "class: '77'",
            "checked.yaml:12:52: column A shows said where class is '77', which it is nowhere\n"
            "    did you mean: 7\n"
            "    allowed: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9",
        ),
        (
            "said",
            "class: 1.5",
            "checked.yaml:12:52: column A, where: class is 1.5, but its values are names\n"
            "    hint: in quotes, as '1.5'",
        ),
        (
            "seen",
            "class: '3', image: '0004'",
            "checked.yaml:12:73: column A shows seen where image is '0004', which it is nowhere\n"
            "    did you mean: 0003\n"
            "    allowed: 0003, 0564, 1213",
        ),
        (
            "named",
            "class: '3', image: '0003'",
            "checked.yaml:12:62: column A shows named where class is '3', which it is nowhere\n"
            "    allowed: 4\n"
            "checked.yaml:12:74: column A shows named where image is '0003', which it is nowhere\n"
            "    did you mean: 0002\n"
            "    allowed: 0001, 0002",
        ),
        (
            "size",
            "layer: hidden.1",
            "checked.yaml:12:60: column A shows size where layer is 'hidden.1',"
            " which it is nowhere\n"
            "    did you mean: hidden1.linear\n"
            "    allowed: flatten, hidden1.linear, hidden1.activation, output, network",
        ),
    ],
)
def test_name_that_no_value_has_is_refused_with_its_place(
    tmp_path: Path, analysis: str, where: str, said: str
) -> None:
    assert problem(tmp_path, analysis, where) == said


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize(
    ("analysis", "where", "model"),
    [
        ("said", "class: 7", ""),
        ("size", "layer: network", ""),
        ("said", "class: 'output 11'", ", classes: 12"),
        ("seen", "class: 3, image: '0564'", ""),
        ("named", "class: 4, image: '0002'", ""),
    ],
)
def test_name_that_values_may_have_is_taken_and_a_whole_number_is_one(
    tmp_path: Path, analysis: str, where: str, model: str
) -> None:
    assert problem(tmp_path, analysis, where, model) == ""


MANY = """\
name: many
data: {dataset: digits, validation: 0.25, test: 0.2}
model: {name: mlp, hidden: [5]}
train: {epochs: 1, batch_size: 64}
sweep: {grid: {model.hidden: [[5], [5, 4], [6]], lr: [0.1, 0.2]}}
analyses:
  seen: {name: saliency, methods: [gradient], count: 3, weights: last}
  size: sizes
evaluate: {test: last}
tables:
  t:
    A: {analysis: size, metric: parameters, where: {layer: network}}
    B: {analysis: size, metric: parameters, where: {layer: output}}
    C: {analysis: size, metric: trainable, where: {layer: hidden1.linear}}
    D: {analysis: size, metric: parameters, where: {layer: hidden2.linear}}
    E: {analysis: seen, metric: probability, where: {class: 3, image: '0003'}}
    F: {analysis: seen, metric: probability, where: {class: 4, image: '0564'}}
"""


def test_columns_build_a_network_only_until_one_has_the_layer_and_compute_no_sizes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = import_module("runner.engine.analyses.sizes")
    built: list[Any] = []
    splits: list[Any] = []
    called, split = sizes.called_layers, DatasetSettings.split

    def counted(model: Any, *others: Any) -> Any:
        built.append(model.hidden)
        return called(model, *others)

    def split_once(*given: Any) -> Any:
        splits.append(given)
        return split(*given)

    def within(cells: Any) -> Any:
        with monkeypatch.context() as patch:
            patch.setattr(DatasetSettings, "split", split_once)
            patch.setattr(sizes, "called_layers", counted)
            patch.setattr(sizes, "network_sizes", None)
            return list(analysis_column_problems(cells))

    monkeypatch.setattr("runner.bind.binder.analysis_column_problems", within)
    spec = tmp_path / "many.yaml"
    spec.write_text(MANY)
    api.plan(api.Request(spec, db=tmp_path / "results.db"))
    assert built == [(5,), (5, 4)]
    assert len(splits) == 1
    spec.write_text(MANY.replace("layer: output", "layer: outputs"))
    with pytest.raises(SpecError) as caught:
        api.plan(api.Request(spec, db=tmp_path / "results.db"))
    assert "did you mean: output\n" in str(caught.value)
    assert "hidden1.activation, output, hidden2.linear, hidden2.activation, network" in str(
        caught.value
    )
