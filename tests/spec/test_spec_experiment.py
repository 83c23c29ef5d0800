from pathlib import Path
from typing import Any

import pytest
import yaml
from every_setting import right_value

from runner.components.data import Data
from runner.components.models import Model
from runner.core.errors import SpecError
from runner.core.run import Published
from runner.spec.experiment import Experiment, build_experiment
from runner.spec.matching import cell_matches, same_value
from runner.spec.nodes import to_node
from runner.spec.options import model_options, tags_of
from runner.spec.resolve import origins
from runner.spec.schema import spec_schema
from runner.spec.sweep import PUBLISHED_KEYS
from runner.spec.yaml_loader import parse_yaml

SPEC: dict[str, Any] = {"name": "a", "data": {"dataset": "digits"}, "model": {"name": "mlp"}}


def build(**changed: Any) -> Experiment:
    text = yaml.safe_dump({**SPEC, **changed}, sort_keys=False)
    return build_experiment(parse_yaml(text, "a.yaml"), Path("a.yaml"))


def titles(experiment: Experiment) -> list[str]:
    return [column.title for column in experiment.tables[0].columns]


def test_components_may_be_given_by_name() -> None:
    short = build(data="digits", model="mlp", train={"optimizer": "sgd", "schedule": "cosine"})
    long = build(train={"optimizer": {"name": "sgd"}, "schedule": {"name": "cosine"}})
    assert short.cells[0].settings == long.cells[0].settings


def test_empty_early_stopping_switches_it_on() -> None:
    assert build().cells[0].settings.train.early_stopping is None
    stopping = build(train={"early_stopping": {}}).cells[0].settings.train.early_stopping
    assert (stopping.monitor, stopping.mode, stopping.patience) == ("val_loss", "min", 10)


@pytest.mark.parametrize(("monitor", "mode"), [("val_loss", "min"), ("train_accuracy", "max")])
def test_mode_follows_from_the_monitor(monitor: str, mode: str) -> None:
    rules = {"best": {"monitor": monitor}, "early_stopping": {"monitor": monitor}}
    train = build(train=rules).cells[0].settings.train
    assert (train.best.mode, train.early_stopping.mode) == (mode, mode)


def test_mode_that_is_given_is_kept() -> None:
    rules = {"best": {"monitor": "val_loss", "mode": "max"}}
    assert build(train=rules).cells[0].settings.train.best.mode == "max"


def needed(component: type) -> dict[str, Any]:
    """Return a component with what it needs, and defaults for the rest."""
    schema = component.model_json_schema()
    return schema["examples"][0] if "examples" in schema else right_value(schema)


@pytest.mark.parametrize("data", model_options(Data), ids=lambda model: tags_of(model)[0])
@pytest.mark.parametrize("model", model_options(Model), ids=lambda model: tags_of(model)[0])
def test_defaults_contradict_no_other(data: type, model: type) -> None:
    (item,) = build(data=needed(data), model=needed(model)).cells
    assert item.settings.data.dataset == tags_of(data)[0]


def test_last_epoch_is_kept_without_validation_images() -> None:
    def best_of(**best: str) -> str:
        train = {"train": {"best": best}} if best else {}
        return build(data="cifar100", **train).cells[0].settings.train.best.monitor

    assert (best_of(), best_of(mode="max"), best_of(monitor="train_loss")) == (
        "last",
        "last",
        "train_loss",
    )
    with pytest.raises(SpecError, match=r"train\.best\.monitor is val_accuracy, which is not"):
        best_of(monitor="val_accuracy")


def test_test_is_left_out_without_test_images() -> None:
    data = {"dataset": "digits", "test": 0}
    assert build(data=data).cells[0].settings.evaluate.test == "never"
    full = build(data=data, evaluate={"train_eval": "full"}).cells[0].settings.evaluate
    assert (full.test, full.train_eval) == ("never", "full")
    with pytest.raises(SpecError, match=r"test images are wanted \(evaluate\.test: last\)"):
        build(data=data, evaluate={"test": "last"})


def test_defaults_that_follow_from_the_splits_have_the_keys_of_the_same_written_out() -> None:
    data = {"dataset": "digits", "validation": 0, "test": 0}
    (item,) = build(data=data).cells
    written = build(data=data, train={"best": {"monitor": "last"}}, evaluate={"test": "never"})
    assert item.cell.settings_key == written.cells[0].cell.settings_key
    shown = {path: origin for path, _, origin in origins(item.settings, item.tree)}
    assert shown["train.best.monitor"] == "default, as data.validation is 0"
    assert shown["evaluate.test"] == "default, as data.test is 0"
    assert shown["train.best.mode"] == "default"


def test_cells_have_the_defaults_of_their_own_splits() -> None:
    cells = build(sweep={"grid": {"data.validation": [0.0, 0.25]}}).cells
    assert [item.settings.train.best.monitor for item in cells] == ["last", "val_accuracy"]


def test_source_is_the_text_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("# a comment\nname: a\ndata: digits\nmodel: mlp\n")
    experiment = build_experiment(parse_yaml(path.read_text(), "a.yaml"), path)
    assert experiment.source == path.read_text()


ROWS = {
    "rows": [
        {"labels": {"NET": "small", "WIDTH": 8}, "hidden": [8], "published": {"VAL_ACC": 0.25}},
        {"labels": {"NET": "large", "WIDTH": 64}, "hidden": [64]},
        {"lr": 0.5, "optimizer": "sgd"},
    ]
}


@pytest.mark.parametrize(
    ("where", "positions"),
    [
        ({}, [0, 1, 2]),
        ({"NET": "small"}, [0]),
        ({"WIDTH": 64}, [1]),
        ({"WIDTH": "64"}, [1]),
        ({"NET": "small", "epochs": 10}, [0]),
        ({"hidden": [64]}, [1]),
        ({"lr": 0.001}, [0, 1]),
        ({"optimizer": "sgd"}, [2]),
        ({"optimizer": {"name": "adam", "lr": 0.001}}, [0, 1]),
        ({"momentum": 0}, [2]),
        ({"model.batch_norm": False, "lr": 0.5}, [2]),
        ({"early_stopping": None}, [0, 1, 2]),
    ],
    ids=str,
)
def test_where_finds_cells_by_label_and_setting(where: dict, positions: list[int]) -> None:
    experiment = build(sweep=ROWS, published=[{"where": where, "values": {"TEST_ACC": 0.5}}])
    found = [item.cell.position for item in experiment.cells if "TEST_ACC" in item.cell.published]
    assert found == positions


def test_published_values_of_rows_and_wheres_join() -> None:
    entries = [
        {"where": {"NET": "small"}, "values": {"TEST_ACC": 1}},
        {"where": {"NET": "small"}, "values": {"VAL_ACC": 0.75}},
    ]
    published = build(sweep=ROWS, published=entries).cells[0].cell.published
    assert published == {"VAL_ACC": Published(0.75), "TEST_ACC": Published(1.0)}


def test_schema_knows_both_forms_of_a_published_value() -> None:
    schema = spec_schema()
    row = schema["$defs"]["Sweep"]["properties"]["rows"]["items"]
    listed = schema["properties"]["published"]["items"]["properties"]["values"]
    assert row["properties"]["published"] == listed
    number, with_tolerance = listed["additionalProperties"]["oneOf"]
    assert number == {"type": "number"}
    assert tuple(with_tolerance["properties"]) == PUBLISHED_KEYS


def test_published_value_has_a_tolerance_in_a_row_and_in_a_where() -> None:
    rows = [{"lr": 0.5, "published": {"VAL_ACC": {"value": 0.5, "within": 0.03}}}, {"lr": 0.25}]
    entries = [{"where": {"lr": 0.25}, "values": {"VAL_ACC": {"within": 0, "value": 1}}}]
    experiment = build(sweep={"rows": rows}, published=entries)
    first, second = (item.cell.published["VAL_ACC"] for item in experiment.cells)
    assert (first, second) == (Published(0.5, 0.03), Published(1.0, 0.0))


def test_name_that_is_neither_label_nor_setting_matches_no_cell() -> None:
    cell = build().cells[0].cell
    assert not cell_matches(cell, {"NET": to_node("small")})


@pytest.mark.parametrize(
    ("resolved", "written", "same"),
    [
        (0.5, 0.5, True),
        (1.0, 1, True),
        (True, 1, False),
        (True, True, True),
        ([1, 2], (1, 2), True),
        ([1, 2], (1,), False),
        ({"name": "adam", "lr": 1.0}, "adam", True),
        ({"name": "adam", "lr": 1.0}, {"lr": 1}, True),
        ({"name": "adam", "lr": 1.0}, {"lr": 2}, False),
        ({"dataset": "digits"}, "digits", True),
        ({"mean": [0.5], "std": [0.5]}, None, False),
        (None, None, True),
    ],
    ids=str,
)
def test_written_value_is_compared_with_the_resolved_one(resolved, written, same) -> None:
    assert same_value(resolved, written) is same


def test_swept_settings_are_recorded_by_dotted_path() -> None:
    (item,) = build(sweep={"rows": [{"lr": 0.5, "model.dropout": 0.25}]}).cells
    assert item.cell.swept == {"train.optimizer.lr": 0.5, "model.dropout": 0.25}


def test_cells_that_resolve_alike_share_a_settings_key() -> None:
    rows = [{"label": "a", "lr": 0.001}, {"label": "b"}]
    one, other = build(sweep={"rows": rows}).cells
    assert one.cell.settings_key == other.cell.settings_key
    assert one.cell.position != other.cell.position


def test_default_table_shows_what_varies_and_the_accuracies() -> None:
    sweep = {"rows": [{"label": "a", "lr": 0.5, "model.dropout": 0.5}]}
    assert titles(build(sweep=sweep)) == ["LABEL", "LR", "DROPOUT", "VAL_ACC", "TEST_ACC"]


@pytest.mark.parametrize("test", ["best", "last", "each_epoch"])
def test_default_table_shows_test_images_when_they_are_evaluated(test: str) -> None:
    (table,) = build(evaluate={"test": test}).tables
    assert table.column("TEST_ACC").at == ("last" if test == "last" else "best")


def test_default_table_without_validation_and_test_shows_training() -> None:
    experiment = build(
        data={"dataset": "digits", "validation": 0, "test": 0},
        train={"best": {"monitor": "last"}},
        evaluate={"test": "never"},
    )
    assert titles(experiment) == ["TRAIN_ACC"]


def test_titles_of_the_default_table_are_distinct() -> None:
    rows = [
        {
            "labels": {"lr": "x", "Net": "y", "net": "z"},
            "lr": 0.5,
            "patience": 2,
            "schedule": {"name": "plateau"},
            "train.schedule.patience": 3,
        }
    ]
    shown = titles(build(sweep={"rows": rows}))
    assert len(set(shown)) == len(shown) == 3 + 4 + 2
