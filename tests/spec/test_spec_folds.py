"""`folds` of a spec: a cell for each combination, fold and seed."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from runner.core.errors import SpecError
from runner.spec.cell_names import cell_reference, run_name
from runner.spec.experiment import Experiment, build_experiment
from runner.spec.folds import folds_of
from runner.spec.schema import spec_schema
from runner.spec.variants import Variant
from runner.spec.yaml_loader import parse_yaml

SPEC: dict[str, Any] = {"name": "a", "data": {"dataset": "digits"}, "model": {"name": "mlp"}}


def build(sets: tuple[str, ...] = (), profile: str | None = None, **changed: Any) -> Experiment:
    text = yaml.safe_dump({**SPEC, **changed}, sort_keys=False)
    return build_experiment(parse_yaml(text, "a.yaml"), Path("a.yaml"), profile, sets)


def places(experiment: Experiment) -> list[tuple[int, int, int]]:
    return [(each.cell.position, each.cell.fold, each.cell.seed) for each in experiment.cells]


def test_each_combination_is_done_with_each_fold_and_seed() -> None:
    experiment = build(folds=3, seeds=[0, 7], sweep={"grid": {"lr": [0.1, 0.2]}})
    expected = [(position, fold, seed) for position in (0, 1) for fold in (1, 2, 3)
                for seed in (0, 7)]  # fmt: skip
    assert places(experiment) == expected
    for item in experiment.cells:
        fold = item.settings.data.fold
        assert fold is not None
        assert (fold.index, fold.of, fold.held_out) == (item.cell.fold, 3, "validation")
        assert item.cell.settings["data"]["fold"]["index"] == item.cell.fold
        assert item.settings.seed == item.cell.seed
    assert len({item.cell.settings_key for item in experiment.cells}) == 12


def test_a_cell_of_a_fold_is_that_of_a_spec_that_names_the_fold() -> None:
    third = build(folds={"of": 4, "held_out": "test"}).cells[2]
    fold = {"index": 3, "of": 4, "held_out": "test"}
    (alone,) = build(data={"dataset": "digits", "fold": fold}).cells
    assert third.cell.settings_key == alone.cell.settings_key
    assert third.settings == alone.settings
    assert (third.cell.fold, alone.cell.fold) == (3, 0)


def test_another_number_of_folds_is_another_cell() -> None:
    keys = [
        build(folds=folds).cells[0].cell.settings_key
        for folds in (3, 4, {"of": 3, "held_out": "test"}, None)
    ]
    assert len(set(keys)) == 4
    assert build(folds=None).cells[0].cell.settings_key == build().cells[0].cell.settings_key


def test_a_spec_without_folds_has_none() -> None:
    assert places(build(seeds=[0, 1])) == [(0, 0, 0), (0, 0, 1)]
    assert folds_of(parse_yaml("name: a", "a.yaml"), Variant()) == [None]


def test_a_variant_that_gives_a_fold_does_that_fold_alone() -> None:
    experiment = build(("data.fold={index: 2, of: 5}",), folds=3)
    assert places(experiment) == [(0, 0, 0)]
    assert experiment.cells[0].settings.data.fold.of == 5


def test_folds_of_a_profile_take_the_place_of_those_of_the_spec() -> None:
    profiles = {
        "few": {"folds": {"of": 2, "held_out": "test"}, "cells": 1},
        "none": {"folds": None},
    }
    few, none = (
        build(folds=3, profiles=profiles, profile=name, sweep={"grid": {"lr": [0.1, 0.2]}})
        for name in profiles
    )
    assert places(few) == [(0, 1, 0), (0, 2, 0)]
    assert {(each.settings.data.fold.of, each.settings.data.fold.held_out)
            for each in few.cells if each.settings.data.fold} == {(2, "test")}  # fmt: skip
    assert places(none) == [(0, 0, 0), (1, 0, 0)]
    added = build(profiles={"some": {"folds": 3}}, profile="some")
    assert places(added) == [(0, 1, 0), (0, 2, 0), (0, 3, 0)]


def test_settings_of_folds_in_set_say_where_folds_stand() -> None:
    with pytest.raises(SpecError, match=r"data\.fold, as \{index: 1, of: 5\}"):
        build(("folds=2",), folds=3)


def test_folds_are_inherited_where_they_are_kept(tmp_path: Path) -> None:
    from runner.spec.experiment import load_experiment

    (tmp_path / "base.yaml").write_text(yaml.safe_dump({**SPEC, "folds": 3}))
    for keep, count in (("[folds]", 3), ("[seeds]", 1)):
        own = tmp_path / "own.yaml"
        own.write_text(f"name: own\nextends: {{file: base.yaml, keep: {keep}}}\n")
        assert len(load_experiment(own).cells) == count


def test_a_wrong_setting_is_told_once_for_all_folds() -> None:
    with pytest.raises(SpecError) as raised:
        build(folds=5, seeds=[0, 1], train={"epochs": 0})
    assert len(raised.value.problems) == 1


def test_the_names_of_a_cell_have_its_fold() -> None:
    cells = [item.cell for item in build(folds=2, sweep={"grid": {"lr": [0.1]}}).cells]
    assert [run_name(cell) for cell in cells] == ["lr=0.1 fold=1 seed=0", "lr=0.1 fold=2 seed=0"]
    assert run_name(build().cells[0].cell) == "seed=0"
    assert cell_reference("a", 1, 0, "", 2) == "a:1:0:2"
    assert cell_reference("a", 1, 0, "profile x", 2) == "a:1:0:2@profile x"
    assert cell_reference("a", 1, 0, "") == "a:1:0"


def test_editors_know_folds() -> None:
    number, mapping = spec_schema()["properties"]["folds"]["oneOf"]
    assert (number["minimum"], number["maximum"]) == (2, 1000)
    assert set(mapping["properties"]) == {"of", "held_out"}
