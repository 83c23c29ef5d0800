from pathlib import Path
from typing import Any

import pytest
import yaml

from runner.core.errors import SpecError, UsageError
from runner.core.run import Published
from runner.spec.experiment import Experiment, build_experiment
from runner.spec.variants import Variant, variant_options
from runner.spec.yaml_loader import parse_yaml

SPEC: dict[str, Any] = {
    "name": "varied",
    "data": {"dataset": "digits"},
    "model": {"name": "mlp"},
    "seeds": [0, 1],
    "sweep": {"grid": {"lr": [0.5, 0.25]}},
    "published": [{"where": {"lr": 0.5}, "values": {"VAL_ACC": 0.9}}],
    "profiles": {"quick": {"epochs": 1, "seeds": [7]}, "empty": {}},
}


def build(profile: str | None = None, *sets: str, **changed: Any) -> Experiment:
    text = yaml.safe_dump({**SPEC, **changed}, sort_keys=False)
    return build_experiment(parse_yaml(text, "a.yaml"), Path("a.yaml"), profile, sets)


def message_of(*sets: str, profile: str | None = None, **changed: Any) -> str:
    with pytest.raises(SpecError) as caught:
        build(profile, *sets, **changed)
    return str(caught.value)


def test_spec_as_written_is_no_variant() -> None:
    experiment = build()
    assert experiment.variant == ""
    assert {item.cell.variant for item in experiment.cells} == {""}
    assert experiment.cells[0].cell.published == {"VAL_ACC": Published(0.9)}


def test_profile_makes_a_variant_without_published_values() -> None:
    experiment = build("quick")
    assert experiment.variant == "profile quick"
    assert {item.settings.train.epochs for item in experiment.cells} == {1}
    assert [item.cell.seed for item in experiment.cells] == [7, 7]
    assert [item.cell.published for item in experiment.cells] == [{}, {}]


def test_set_options_are_named_in_one_order_whatever_theirs() -> None:
    one = build(None, "train.epochs=3", "lr=1.0")
    other = build(None, "train.optimizer.lr=1", "epochs=3")
    assert one.variant == other.variant == "epochs=3, lr=1"
    assert [item.cell.settings_key for item in one.cells] == [
        item.cell.settings_key for item in other.cells
    ]


def test_profile_and_set_options_are_named_together() -> None:
    assert build("quick", "epochs=3").variant == "profile quick, epochs=3"


@pytest.mark.parametrize(
    ("option", "path", "value"),
    [
        ("epochs=3", "epochs", 3),
        ("train.epochs = 3", "epochs", 3),
        ("early_stopping={patience: 3}", "early_stopping.patience", 3),
        ("optimizer=sgd", "optimizer.name", "sgd"),
        ("clip_grad_norm=1e-3", "clip_grad_norm", 0.001),
        ("clip_grad_norm=", "clip_grad_norm", None),
        ("train={epochs: 4, batch_size: 2}", "batch_size", 2),
    ],
)
def test_value_of_a_set_option_is_yaml(option: str, path: str, value: object) -> None:
    found: object = build(None, option).cells[0].settings.train
    for name in path.split("."):
        found = getattr(found, name)
    assert found == value


def test_last_of_two_set_options_wins() -> None:
    assert build(None, "epochs=3", "epochs=4").cells[0].settings.train.epochs == 4


def test_set_seed_replaces_all_seeds() -> None:
    assert [item.cell.seed for item in build(None, "seed=9").cells] == [9, 9]
    assert [item.cell.seed for item in build("quick", "seed=9").cells] == [9, 9]


def test_swept_values_show_what_the_variant_made_of_them() -> None:
    experiment = build(None, "lr=1")
    assert [item.cell.swept for item in experiment.cells[::2]] == [{"train.optimizer.lr": 1}] * 2


def test_empty_profile_is_a_variant_all_the_same() -> None:
    assert build("empty").variant == "profile empty"


def test_unknown_profile_names_those_that_are_there() -> None:
    assert message_of(profile="quik") == (
        "a.yaml:20:3: no profile 'quik'\n    did you mean: quick\n    allowed: quick, empty"
    )


def test_profile_of_a_spec_without_profiles() -> None:
    text = "name: a\ndata: digits\nmodel: mlp\n"
    with pytest.raises(SpecError) as caught:
        build_experiment(parse_yaml(text, "a.yaml"), Path("a.yaml"), "quick")
    assert str(caught.value) == (
        "a.yaml:1:1: no profile 'quick'\n    hint: this spec has no profiles"
    )


def positions(cells: int, num_rows: int, **profile: Any) -> list[int]:
    experiment = build(
        "few",
        sweep={"grid": {"hidden": [[width + 1] for width in range(num_rows)]}},
        published=[],
        profiles={"few": {"cells": cells, **profile}},
    )
    return [item.cell.position for item in experiment.cells]


@pytest.mark.parametrize(
    ("cells", "num_rows", "expected"),
    [
        (1, 1, [0]),
        (1, 7, [0]),
        (2, 7, [0, 6]),
        (2, 2, [0, 1]),
        (3, 7, [0, 3, 6]),
        (4, 6, [0, 1, 3, 5]),
        (9, 3, [0, 1, 2]),
    ],
)
def test_profile_keeps_the_first_the_last_and_evenly_between(
    cells: int, num_rows: int, expected: list[int]
) -> None:
    assert positions(cells, num_rows, seeds=[0]) == expected


@pytest.mark.parametrize("num_rows", range(1, 9))
def test_profile_keeps_as_many_different_positions_as_it_says(num_rows: int) -> None:
    for cells in range(1, num_rows + 1):
        kept = Variant(cells=cells).kept_positions(num_rows)
        assert len(kept) == cells
        assert kept == sorted(set(kept))
        assert (kept[0], kept[-1]) == (0, num_rows - 1 if cells > 1 else 0)


def test_kept_positions_have_all_seeds_and_their_own_settings() -> None:
    assert positions(2, 5) == [0, 0, 4, 4]
    whole = build(sweep={"grid": {"lr": [0.5, 0.25, 0.125]}}, published=[])
    few = build(
        "few",
        sweep={"grid": {"lr": [0.5, 0.25, 0.125]}},
        published=[],
        profiles={"few": {"cells": 2}},
    )
    keys = {(item.cell.position, item.cell.seed): item.cell.settings_key for item in whole.cells}
    assert {(item.cell.position, item.cell.seed): item.cell.settings_key for item in few.cells} == {
        index: key for index, key in keys.items() if index[0] != 1
    }


def test_labels_of_rows_that_are_left_out_are_known_all_the_same() -> None:
    rows = [{"labels": {"NET": "a"}}, {"labels": {"POLICY": "b"}, "lr": 0.5}, {"lr": 0.25}]
    tables = {"nets": {"NET": "NET", "POLICY": {"label": "POLICY"}, "VAL_ACC": "val_accuracy"}}
    published = [{"where": {"POLICY": "b"}, "values": {"VAL_ACC": 0.5}}]
    written = {"sweep": {"rows": rows}, "tables": tables, "published": published}
    few = build("few", profiles={"few": {"cells": 1}}, **written)
    titles = [column.title for column in few.tables[0].columns]
    assert titles == ["NET", "POLICY", "VAL_ACC"]
    assert [item.cell.labels for item in few.cells] == [{"NET": "a"}] * 2


@pytest.mark.parametrize("cells", [0, -1, 1.5, True, "two", None, [1]])
@pytest.mark.parametrize("profile", [None, "few"])
def test_number_of_cells_is_checked_in_every_profile(cells: Any, profile: str | None) -> None:
    message = message_of(profile=profile, profiles={"few": {"cells": cells}})
    line = "22:5" if isinstance(cells, list) else "21:12"
    assert message.startswith(f"a.yaml:{line}: cells is ")
    assert message.endswith("allowed: a whole number of at least 1 (positions of the sweep)")


PHOTOS = {"dataset": "imagefolder", "path": "photos", "resize": 64, "crop": 56}
SMALL = {"dataset": "synthetic", "height": 8, "width": 8}


@pytest.mark.parametrize(
    "rows",
    [
        [{"resize": 32}, {"data.include": ["cat"], "crop": 8}, {"split_seed": 3}],
        [{"data": {"dataset": "digits"}}, {"data": {"per_class": 9}}, {"data": "cifar10"}],
        [{"train_images": 9}, {"data": {"dataset": "synthetic", "noise": 0.1}}, {}],
    ],
    ids=["settings", "data sets", "of all"],
)
def test_profile_replaces_the_data_of_every_row(rows: list[dict[str, Any]]) -> None:
    experiment = build(
        "smoke",
        data=PHOTOS,
        sweep={"rows": [{**row, "label": str(index)} for index, row in enumerate(rows)]},
        published=[],
        profiles={"smoke": {"data": SMALL, "seeds": [0]}},
    )
    found = [item.settings.data for item in experiment.cells]
    assert [data.dataset for data in found] == ["synthetic"] * 3
    assert {data.height for data in found} == {8}
    assert {(data.resize, data.crop, data.split_seed) for data in found} == {(None, None, 0)}
    assert [item.cell.labels for item in experiment.cells] == [{"label": n} for n in "012"]


def test_profiles_data_of_the_same_name_is_merged_over_the_rows() -> None:
    experiment = build(
        "smoke",
        data=PHOTOS,
        sweep={"grid": {"resize": [64, 96]}},
        published=[],
        profiles={"smoke": {"data": {"dataset": "imagefolder", "per_class": 4}, "seeds": [0]}},
    )
    found = [item.settings.data for item in experiment.cells]
    assert [(data.resize, data.per_class, data.path) for data in found] == [
        (64, 4, "photos"),
        (96, 4, "photos"),
    ]


NETS = [
    {"model": {"name": "alexnet", "weights": "IMAGENET1K_V1"}},
    {"model": {"name": "resnet18", "weights": {"file": "a.pth", "sha256": "a" * 64}}},
    {"model": {"name": "resnet18", "cut": "layer2", "weights": "IMAGENET1K_V1"}},
    {"model": "convnet", "filters": [4]},
]


@pytest.mark.parametrize("by_profile", [True, False])
@pytest.mark.parametrize("setting", ["weights", "model.weights"])
def test_variant_with_null_weights_leaves_no_row_with_weights(
    by_profile: bool, setting: str
) -> None:
    profile, sets = ("smoke", []) if by_profile else (None, [f"{setting}=null"])
    experiment = build(
        profile,
        *sets,
        data=PHOTOS,
        sweep={"rows": NETS},
        published=[],
        seeds=[0],
        profiles={"smoke": {setting: None}},
    )
    models = [item.settings.model for item in experiment.cells]
    assert [model.name for model in models] == ["alexnet", "resnet18", "resnet18", "convnet"]
    assert [getattr(model, "weights", None) for model in models] == [None] * 4
    assert models[2].cut == "layer2"


def test_swept_weights_are_null_too() -> None:
    experiment = build(
        "smoke",
        data=PHOTOS,
        model={"name": "alexnet"},
        sweep={"grid": {"weights": ["IMAGENET1K_V1", None], "freeze": ["none", "classifier"]}},
        published=[],
        seeds=[0],
        profiles={"smoke": {"weights": None}},
    )
    assert [item.settings.model.weights for item in experiment.cells] == [None] * 4
    assert [item.cell.swept["model.weights"] for item in experiment.cells] == [None] * 4


def test_null_for_what_no_component_of_a_kind_has_is_an_error() -> None:
    profiles = {"smoke": {"model.weihgts": None}}
    message = message_of(profile="smoke", profiles=profiles)
    assert "unknown setting 'weihgts' in model" in message


def test_value_for_what_a_rows_component_lacks_is_an_error() -> None:
    message = message_of(profile="smoke", profiles={"smoke": {"weights": "IMAGENET1K_V1"}})
    assert "'weights' is a setting of" in message


def test_row_may_not_give_a_null_for_what_its_component_lacks() -> None:
    message = message_of(sweep={"rows": [{"weights": None}]}, published=[])
    assert "'weights' is a setting of" in message


def test_set_wins_over_the_profile_and_the_profile_over_the_row() -> None:
    written: dict[str, Any] = {
        "train": {"epochs": 9, "schedule": {"name": "step"}},
        "sweep": {"rows": [{"epochs": 8, "schedule": {"name": "cosine"}}, {"epochs": 7}]},
        "published": [],
        "seeds": [0],
        "profiles": {"smoke": {"epochs": 2, "schedule": "constant"}},
    }
    trains = [item.settings.train for item in build("smoke", **written).cells]
    assert [(train.epochs, train.schedule.name) for train in trains] == [(2, "constant")] * 2
    trains = [item.settings.train for item in build("smoke", "epochs=1", **written).cells]
    assert [(train.epochs, train.schedule.name) for train in trains] == [(1, "constant")] * 2


@pytest.mark.parametrize("option", ["epochs", "", "epochs 5"])
def test_set_option_without_an_equals_sign_is_a_usage_error(option: str) -> None:
    with pytest.raises(UsageError, match="is not setting=value\n    hint: as in --set epochs=5"):
        build(None, option)


def test_set_option_with_an_unknown_setting() -> None:
    message = message_of("epoch=5")
    assert message.startswith("--set epoch=5: unknown setting 'epoch'\n    did you mean: epochs\n")


def test_set_option_with_an_unknown_dotted_path() -> None:
    message = message_of("train.epoch=5")
    assert message.startswith(
        "--set train.epoch=5: unknown setting 'epoch' in train\n    did you mean: epochs\n"
    )


def test_set_option_with_a_wrong_value() -> None:
    assert message_of("epochs=many") == (
        "--set epochs=many: train.epochs is 'many' (text)\n"
        "    allowed: a whole number (the most passes over the images)"
    )


@pytest.mark.parametrize("option", ["epochs=[1", "epochs={", "epochs=!!python/name:os.system x"])
def test_set_option_with_broken_yaml(option: str) -> None:
    assert message_of(option).startswith(f"--set {option}:1:")


@pytest.mark.parametrize("option", ["lr=.nan", "lr=.inf", "diverged_if=1e999"])
def test_set_option_that_is_not_finite(option: str) -> None:
    assert message_of(option.replace("diverged_if", "train.diverged_if")).endswith(")")


def test_setting_given_twice_in_a_profile() -> None:
    profiles = {"quick": {"lr": 0.5, "train.optimizer.lr": 0.25}}
    assert message_of(profiles=profiles) == (
        "a.yaml:22:5: train.optimizer.lr is given twice\n    hint: give each setting once"
    )


def test_seeds_of_a_profile_are_checked() -> None:
    message = message_of(profile="quick", profiles={"quick": {"seeds": 3}})
    assert "seeds is 3\n    allowed: a list of different whole numbers" in message


def test_seeds_of_a_profile_do_not_go_with_a_swept_seed() -> None:
    message = message_of(profile="quick", sweep={"grid": {"seed": [1, 2]}}, published=[])
    assert "seed is swept, and seeds are given" in message


def test_variant_need_not_fill_the_tables_of_the_spec() -> None:
    tables = {"grid": {"MOMENTUM": "momentum", "LATE": {"metric": "val_loss", "at": 20}}}
    written = {"tables": tables, "published": [], "train": {"optimizer": "sgd", "epochs": 20}}
    assert build(None, "optimizer=adam", **written).tables == build(**written).tables
    assert build("quick", **written).cells[0].settings.train.epochs == 1


def test_published_values_are_checked_in_a_variant_as_far_as_they_can_be() -> None:
    entry = {"where": {"lrr": 0.5}, "values": {"VAL_ACC": 0.5}}
    assert "unknown setting 'lrr'" in message_of("epochs=1", published=[entry])


@pytest.mark.parametrize("profile", [None, "quick"])
@pytest.mark.parametrize(
    "sets",
    [
        [],
        ["epochs=3"],
        ["lr=1e-3", "epochs=3", "early_stopping=null"],
        ["optimizer={name: sgd, momentum: 0.9}", "hidden=[3, 4]", "resize=[8, 8]"],
        ["data={dataset: imagefolder, path: 'a, lr=1'}", "seed=3"],
    ],
    ids=str,
)
def test_variant_can_be_made_again_from_its_name(profile: str | None, sets: list[str]) -> None:
    first = build(profile, *sets)
    options = variant_options(first.variant)
    pairs = list(zip(options[::2], options[1::2], strict=True))
    again = build(
        dict(pairs).get("--profile"), *[value for name, value in pairs if name == "--set"]
    )
    assert again.variant == first.variant
    assert [item.cell.settings_key for item in again.cells] == [
        item.cell.settings_key for item in first.cells
    ]
