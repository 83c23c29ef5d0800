from pathlib import Path
from typing import Any

import pytest
import yaml
from every_setting import SETTINGS

from runner.components.settings import Settings
from runner.core.errors import SpecError
from runner.spec.experiment import build_experiment
from runner.spec.names import SHORT_NAMES
from runner.spec.nodes import to_node
from runner.spec.options import setting_paths
from runner.spec.unknown import likely_settings
from runner.spec.yaml_loader import parse_yaml

SPEC: dict[str, Any] = {"name": "a", "data": {"dataset": "digits"}, "model": {"name": "mlp"}}


def suggestions(*sets: str, profile: str | None = None, **changed: Any) -> list[str]:
    text = yaml.safe_dump({**SPEC, **changed}, sort_keys=False)
    with pytest.raises(SpecError) as caught:
        build_experiment(parse_yaml(text, "a.yaml"), Path("a.yaml"), profile, sets)
    return [problem.suggestion for problem in caught.value.problems]


def test_paths_of_settings_are_those_of_the_language() -> None:
    assert set(setting_paths(Settings)) == {setting.path for setting in SETTINGS}


WITH_SETTING = {
    "grid": {"sweep": {"grid": {"nesterov": [True]}}},
    "zip": {"sweep": {"zip": {"nesterov": [True]}}},
    "rows": {"sweep": {"rows": [{"nesterov": True}]}},
    "nested": {"sweep": {"rows": [{"label": "a", "grid": {"nesterov": [True]}}]}},
    "profile": {"profiles": {"quick": {"nesterov": True}}},
    "where": {"published": [{"where": {"nesterov": True}, "values": {"VAL_ACC": 0.5}}]},
    "column": {"tables": {"a": {"N": "nesterov"}}},
    "setting column": {"tables": {"a": {"N": {"setting": "nesterov"}}}},
}


@pytest.mark.parametrize("where", WITH_SETTING)
def test_last_part_of_a_path_names_the_setting(where: str) -> None:
    optimizer = {"train": {"optimizer": {"name": "sgd", "momentum": 0.9}}}
    assert suggestions(**optimizer, **WITH_SETTING[where]) == ["train.optimizer.nesterov"]


def test_set_option_is_told_the_path_too() -> None:
    assert suggestions("betas=[0.8, 0.9]") == ["train.optimizer.betas"]


@pytest.mark.parametrize(
    ("name", "model", "expected"),
    [
        ("activation", "mlp", "model.activation, model.head.activation"),
        ("linear", "convnet", "model.linear"),
        ("linear", "mlp", "model.linear (of convnet)"),
        ("min_lr", "mlp", "train.schedule.min_lr (of cosine, plateau)"),
        ("head.hidden", "alexnet", "model.head.hidden"),
        ("optimizer.betas", "mlp", "train.optimizer.betas"),
        ("model.hidden.0", "mlp", "model.hidden"),
        ("model.filters.1.x", "convnet", "model.filters"),
        ("modle.hidden", "mlp", "model.hidden, model.head.hidden"),
        ("modle.hiden", "mlp", "model.hidden"),
        ("activatoin", "mlp", "model.activation, model.head.activation"),
        ("epoch", "mlp", "epochs"),
        ("nothing_like_it", "mlp", ""),
    ],
)
def test_settings_of_the_chosen_components_come_first(name: str, model: str, expected: str) -> None:
    chosen = {"model": {"name": model}}
    assert suggestions(**chosen, sweep={"grid": {name: [1, 2]}}) == [expected]


def test_images_that_have_a_width_are_suggested_first_where_they_are_chosen() -> None:
    tree = to_node({"data": {"dataset": "synthetic"}, "model": {"name": "mlp"}})
    first = likely_settings("width", (), tree).split(", ")[0]
    assert first == "data.width"


@pytest.mark.parametrize(
    "name", sorted({path.rpartition(".")[2] for path in setting_paths(Settings)})
)
def test_every_last_part_leads_to_a_setting(name: str) -> None:
    first = likely_settings(name).split(", ")[0]
    assert first in setting_paths(Settings)
    assert first.rpartition(".")[2] == name


@pytest.mark.parametrize("name", SHORT_NAMES)
def test_misspelt_short_name_is_mended(name: str) -> None:
    assert likely_settings(f"{name}x").split(", ")[0].rpartition(".")[2] == name


def test_setting_written_too_high_is_shown_where_it_belongs() -> None:
    optimizer = {"optimizer": {"name": "sgd", "momentum": 0.9}, "nesterov": True}
    assert suggestions(train=optimizer) == ["optimizer: {nesterov: …}"]
