from pathlib import Path
from typing import Any

import pytest
import yaml

from runner.core.errors import SpecError, UsageError
from runner.spec.experiment import Experiment, build_experiment
from runner.spec.variants import variant_options
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


def test_the_spec_as_written_is_no_variant() -> None:
    experiment = build()
    assert experiment.variant == ""
    assert {item.cell.variant for item in experiment.cells} == {""}
    assert experiment.cells[0].cell.published == {"VAL_ACC": 0.9}


def test_a_profile_makes_a_variant_without_published_values() -> None:
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


def test_a_profile_and_set_options_are_named_together() -> None:
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
def test_the_value_of_a_set_option_is_yaml(option: str, path: str, value: object) -> None:
    found: object = build(None, option).cells[0].settings.train
    for name in path.split("."):
        found = getattr(found, name)
    assert found == value


def test_the_last_of_two_set_options_wins() -> None:
    assert build(None, "epochs=3", "epochs=4").cells[0].settings.train.epochs == 4


def test_a_set_seed_replaces_all_seeds() -> None:
    assert [item.cell.seed for item in build(None, "seed=9").cells] == [9, 9]
    assert [item.cell.seed for item in build("quick", "seed=9").cells] == [9, 9]


def test_swept_values_show_what_the_variant_made_of_them() -> None:
    experiment = build(None, "lr=1")
    assert [item.cell.swept for item in experiment.cells[::2]] == [{"train.optimizer.lr": 1}] * 2


def test_an_empty_profile_is_a_variant_all_the_same() -> None:
    assert build("empty").variant == "profile empty"


def test_an_unknown_profile_names_those_that_are_there() -> None:
    assert message_of(profile="quik") == (
        "a.yaml:20:3: no profile 'quik'\n    did you mean: quick\n    allowed: quick, empty"
    )


def test_a_profile_of_a_spec_without_profiles() -> None:
    text = "name: a\ndata: digits\nmodel: mlp\n"
    with pytest.raises(SpecError, match="this spec has no profiles"):
        build_experiment(parse_yaml(text, "a.yaml"), Path("a.yaml"), "quick")


@pytest.mark.parametrize("option", ["epochs", "", "epochs 5"])
def test_a_set_option_without_an_equals_sign_is_a_usage_error(option: str) -> None:
    with pytest.raises(UsageError, match="is not setting=value, as in --set epochs=5"):
        build(None, option)


def test_a_set_option_with_an_unknown_setting() -> None:
    message = message_of("epoch=5")
    assert message.startswith("--set epoch=5: unknown setting 'epoch'\n    did you mean: epochs\n")


def test_a_set_option_with_an_unknown_dotted_path() -> None:
    message = message_of("train.epoch=5")
    assert message.startswith(
        "--set train.epoch=5: unknown setting 'epoch' in train\n    did you mean: epochs\n"
    )


def test_a_set_option_with_a_wrong_value() -> None:
    assert message_of("epochs=many") == (
        "--set epochs=many: train.epochs is 'many' (text)\n"
        "    allowed: a whole number (the most passes over the images)"
    )


@pytest.mark.parametrize("option", ["epochs=[1", "epochs={", "epochs=!!python/name:os.system x"])
def test_a_set_option_with_broken_yaml(option: str) -> None:
    assert message_of(option).startswith(f"--set {option}:1:")


@pytest.mark.parametrize("option", ["lr=.nan", "lr=.inf", "diverged_if=1e999"])
def test_a_set_option_that_is_not_finite(option: str) -> None:
    assert message_of(option.replace("diverged_if", "train.diverged_if")).endswith(")")


def test_a_setting_given_twice_in_a_profile() -> None:
    profiles = {"quick": {"lr": 0.5, "train.optimizer.lr": 0.25}}
    assert message_of(profiles=profiles) == (
        "a.yaml:22:5: train.optimizer.lr is given twice\n    allowed: each setting once"
    )


def test_seeds_of_a_profile_are_checked() -> None:
    message = message_of(profile="quick", profiles={"quick": {"seeds": 3}})
    assert "seeds is 3\n    allowed: a list of different whole numbers" in message


def test_seeds_of_a_profile_do_not_go_with_a_swept_seed() -> None:
    message = message_of(
        profile="quick", sweep={"grid": {"seed": [1, 2]}}, published=[], seeds=None
    )
    assert "seed is swept, and seeds are given" in message


def test_a_variant_need_not_fill_the_tables_of_the_spec() -> None:
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
def test_a_variant_can_be_made_again_from_its_name(profile: str | None, sets: list[str]) -> None:
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
