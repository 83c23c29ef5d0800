import pytest

from runner.components.settings import Settings
from runner.spec.names import (
    COMPONENT_PATHS,
    SETTING_ROOTS,
    SHORT_NAMES,
    as_mapping,
    setting_path,
    short_name,
    spell_out,
)
from runner.spec.nodes import plain, to_node
from runner.spec.options import model_options, models_at, own_kind_at

CLOSED_LIST = (
    "augment batch_norm batch_size clip_grad_norm crop dropout early_stopping epochs filters "
    "freeze gamma hidden init kernel label_smoothing lr milestones momentum monitor normalize "
    "optimizer patience pool precision resize schedule split_seed step_size stride tolerance "
    "train_images warmup weight_decay weights"
)


def exists(path: list[str]) -> bool:
    models = [Settings]
    for step in path:
        fields = [model.model_fields[step] for model in models if step in model.model_fields]
        if not fields:
            return False
        models = [option for field in fields for option in model_options(field.annotation)]
    return True


def test_list_of_short_names_is_closed() -> None:
    assert " ".join(sorted(SHORT_NAMES)) == CLOSED_LIST


@pytest.mark.parametrize("name", SHORT_NAMES)
def test_every_short_name_is_a_setting_and_comes_back(name: str) -> None:
    assert exists(SHORT_NAMES[name].split("."))
    assert short_name(SHORT_NAMES[name]) == name


def test_roots_are_the_fields_of_all_settings() -> None:
    assert set(SETTING_ROOTS) == set(Settings.model_fields)


@pytest.mark.parametrize("path", COMPONENT_PATHS)
def test_component_paths_exist(path: str) -> None:
    steps, key = path.split("."), COMPONENT_PATHS[path]
    is_own_alone = not models_at(Settings, to_node({}), steps)[1]
    assert exists([*steps, key]) or (
        is_own_alone and own_kind_at(Settings, steps) and key == "name"
    )


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("lr", ("train", "optimizer", "lr")),
        ("seed", ("seed",)),
        ("model.hidden", ("model", "hidden")),
        ("models.hidden", None),
        ("train..epochs", None),
        ("train.", None),
        ("", None),
        ("LR", None),
    ],
)
def test_setting_path(name: str, path: tuple[str, ...] | None) -> None:
    assert setting_path(name) == path


def test_as_mapping_is_how_a_spec_writes_a_path() -> None:
    assert as_mapping(("train", "optimizer", "lr")) == "train: {optimizer: {lr: …}}"
    assert as_mapping(("seed",)) == "seed: …"


def test_spell_out_gives_components_their_key_at_every_depth() -> None:
    tree = to_node({"data": "digits", "train": {"optimizer": "sgd", "precision": "bf16"}})
    assert plain(spell_out("", tree)) == {
        "data": {"dataset": "digits"},
        "train": {"optimizer": {"name": "sgd"}, "precision": "bf16"},
    }
    assert plain(spell_out("train.loss", to_node("cross_entropy"))) == {"name": "cross_entropy"}


FLIP, CROP = "RandomHorizontalFlip", {"name": "RandomCrop", "size": 4}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (None, None),
        (FLIP, {"p": 1.0, "steps": ({"name": FLIP},)}),
        (CROP, {"p": 1.0, "steps": (CROP,)}),
        ([FLIP, CROP], {"p": 1.0, "steps": ({"name": FLIP}, CROP)}),
        ({"p": 0.5, "steps": [FLIP]}, {"p": 0.5, "steps": ({"name": FLIP},)}),
        ({"p": 0.5}, {"p": 0.5}),
        ({"p": 0.5, "steps": FLIP}, {"p": 0.5, "steps": FLIP}),
        (
            [{"name": "one_of", "choices": [FLIP, [FLIP, CROP], CROP, []], "weights": [1]}],
            {
                "p": 1.0,
                "steps": (
                    {
                        "name": "one_of",
                        "choices": (({"name": FLIP},), ({"name": FLIP}, CROP), (CROP,), ()),
                        "weights": (1,),
                    },
                ),
            },
        ),
    ],
    ids=str,
)
def test_pipeline_may_be_written_short(written: object, meant: object) -> None:
    tree = to_node({"train": {"augment": written}})
    assert plain(spell_out("", tree)) == {"train": {"augment": meant}}
    assert plain(spell_out("train.augment", to_node(written))) == meant
