"""`train.augment` in a spec: written short, swept, inherited, switched off, found again."""

from pathlib import Path
from typing import Any

import pytest

from runner.components.augmentations.pipeline import Pipeline
from runner.core.errors import SpecError
from runner.spec.experiment import Experiment, load_experiment

HEAD = """\
name: augmented
data: {dataset: digits}
model: {name: mlp}
"""
FLIP = {"name": "RandomHorizontalFlip"}
CROP = {"name": "RandomCrop", "size": 8, "padding": 1}


def load(folder: Path, text: str, *sets: str, profile: str | None = None) -> Experiment:
    path = folder / "spec.yaml"
    path.write_text(HEAD + text)
    return load_experiment(path, profile, sets)


def pipelines(experiment: Experiment) -> list[Pipeline | None]:
    return [item.settings.train.augment for item in experiment.cells]


def pipeline_of(*steps: Any, **others: Any) -> Pipeline:
    return Pipeline(steps=tuple(steps), **others)


SWEPT = """\
train: {augment: {p: 0.5, steps: [RandomVerticalFlip]}}
sweep:
  rows:
    - {label: inherited}
    - {label: flip, augment: [RandomHorizontalFlip]}
    - {label: name, augment: RandomHorizontalFlip}
    - {label: half, augment: {steps: [RandomHorizontalFlip]}}
    - {label: chance, train.augment.p: 0.25}
    - {label: whole, augment: {p: 0.75, steps: [RandomHorizontalFlip]}}
    - {label: off, augment: null}
"""


def test_list_replaces_an_inherited_pipeline_and_a_mapping_merges(tmp_path: Path) -> None:
    down = {"name": "RandomVerticalFlip"}
    assert pipelines(load(tmp_path, SWEPT)) == [
        pipeline_of(down, p=0.5),
        pipeline_of(FLIP),
        pipeline_of(FLIP),
        pipeline_of(FLIP, p=0.5),
        pipeline_of(down, p=0.25),
        pipeline_of(FLIP, p=0.75),
        None,
    ]
    keys = [item.cell.settings_key for item in load(tmp_path, SWEPT).cells]
    assert keys[1] == keys[2]
    assert len(set(keys)) == 6


def test_profiles_and_options_switch_augmentation_on_and_off(tmp_path: Path) -> None:
    text = "train: {augment: [RandomHorizontalFlip]}\nprofiles: {plain: {augment: null}}\n"
    assert pipelines(load(tmp_path, text, profile="plain")) == [None]
    crop = "augment=[{name: RandomCrop, size: 8, padding: 1}]"
    assert pipelines(load(tmp_path, text, crop)) == [pipeline_of(CROP)]
    assert pipelines(load(tmp_path, "", "augment=RandomHorizontalFlip")) == [pipeline_of(FLIP)]


def test_pipeline_is_inherited_from_another_spec(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(
        HEAD + "train: {augment: {p: 0.5, steps: [RandomHorizontalFlip]}}\n"
    )
    text = "extends: base.yaml\n"
    assert pipelines(load(tmp_path, text)) == [pipeline_of(FLIP, p=0.5)]
    text += "train: {augment: [{name: RandomCrop, size: 8, padding: 1}]}\n"
    assert pipelines(load(tmp_path, text)) == [pipeline_of(CROP)]


@pytest.mark.parametrize(
    ("where", "position"),
    [
        ("null", 0),
        ("RandomHorizontalFlip", 1),
        ("[RandomHorizontalFlip]", 1),
        ("{p: 0.5, steps: [RandomHorizontalFlip]}", 2),
        ("[RandomHorizontalFlip, {name: RandomCrop, padding: 1}]", 3),
    ],
)
def test_published_values_find_their_pipeline(tmp_path: Path, where: str, position: int) -> None:
    text = f"""\
sweep:
  grid:
    augment:
      - null
      - RandomHorizontalFlip
      - {{p: 0.5, steps: [RandomHorizontalFlip]}}
      - [RandomHorizontalFlip, {{name: RandomCrop, size: 8, padding: 1}}]
tables: {{accuracies: {{AUG: augment, ACC: val_accuracy}}}}
published: [{{where: {{augment: {where}}}, values: {{ACC: 0.5}}}}]
"""
    cells = load(tmp_path, text).cells
    assert [bool(item.cell.published) for item in cells] == [
        number == position for number in range(4)
    ]


def test_pipeline_that_no_cell_has_is_an_error(tmp_path: Path) -> None:
    text = "sweep: {grid: {augment: [null, RandomHorizontalFlip]}}\n"
    text += "published: [{where: {augment: RandomVerticalFlip}, values: {ACC: 0.5}}]\n"
    with pytest.raises(SpecError, match="matches no cell"):
        load(tmp_path, text + "tables: {accuracies: {ACC: val_accuracy}}\n")


def test_setting_of_an_earlier_release_is_unknown(tmp_path: Path) -> None:
    text = "train: {augment: {reference: true, steps: [RandomHorizontalFlip]}}\n"
    with pytest.raises(SpecError) as caught:
        load(tmp_path, text)
    assert "spec.yaml:4:19: unknown setting 'reference' in train.augment" in str(caught.value)


def test_equal_pipelines_are_equal_settings_however_they_are_written(tmp_path: Path) -> None:
    written = [
        "[RandomHorizontalFlip]",
        "RandomHorizontalFlip",
        "{name: RandomHorizontalFlip, p: 0.5}",
        "{p: 1, steps: [{name: RandomHorizontalFlip}]}",
    ]
    keys = {
        item.cell.settings_key
        for text in written
        for item in load(tmp_path, f"train: {{augment: {text}}}\n").cells
    }
    assert len(keys) == 1
