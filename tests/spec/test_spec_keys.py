from pathlib import Path
from typing import Any

import pytest
import yaml

from runner.spec.experiment import build_experiment
from runner.spec.nodes import plain, put, to_node
from runner.spec.resolve import origins
from runner.spec.yaml_loader import parse_yaml

SPEC: dict[str, Any] = {
    "name": "keys",
    "data": {"dataset": "imagefolder", "path": "pets"},
    "model": {"name": "mlp"},
    "train": {
        "optimizer": {"name": "sgd", "lr": 0.5},
        "schedule": {"name": "step"},
        "early_stopping": {},
    },
    "evaluate": {"test": "each_epoch", "train_eval": "full"},
}


def load(spec: dict[str, Any]):
    text = yaml.safe_dump(spec, sort_keys=False)
    return build_experiment(parse_yaml(text, "a.yaml"), Path("a.yaml"))


def key_of(spec: dict[str, Any]) -> str:
    (item,) = load(spec).cells
    return item.cell.settings_key


def with_setting(path: str, value: Any) -> dict[str, Any]:
    return plain_lists(plain(put(to_node(SPEC), path.split("."), to_node(value))))


def plain_lists(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: plain_lists(child) for name, child in value.items()}
    return [plain_lists(child) for child in value] if isinstance(value, tuple) else value


def test_settings_key_is_pinned() -> None:
    assert key_of(SPEC) == "172ef54a536a96deab48823c3f25340d"


@pytest.mark.parametrize(
    "changed",
    [
        {"name": "other"},
        {"about": "something else"},
        {"tables": {"grid": {"LR": "lr"}}},
        {"data": {"dataset": "imagefolder", "path": "/elsewhere/pets"}},
        {"sweep": {"rows": [{"label": "a"}]}},
        {"sweep": {"rows": [{"lr": 0.5, "published": {"VAL_ACC": 0.5}}]}},
        {"sweep": {"grid": {"epochs": [10]}}},
        {"profiles": {"quick": {"epochs": 1}}},
        {"seeds": [0]},
        {"seed": 0},
        dict(reversed(SPEC.items())),
        {"model": {"hidden": [128], "name": "mlp", "dropout": 0}},
        {"evaluate": {"train_eval": "full", "test": "each_epoch"}},
    ],
    ids=str,
)
def test_settings_key_ignores_what_is_no_setting(changed: dict[str, Any]) -> None:
    assert key_of({**SPEC, **changed}) == key_of(SPEC)


CHANGES = {
    "data.validation": 0.5,
    "data.test": 0.5,
    "data.split_seed": 1,
    "data.train_images": 5,
    "data.fold": {"index": 1, "of": 5},
    "data.include": ["cat"],
    "data.per_class": 5,
    "data.resize": 32,
    "data.crop": [8, 9],
    "data.color": "gray",
    "data.background": "black",
    "data.normalize": "none",
    "data.on_corrupt": "skip",
    "model.classes": 12,
    "model.freeze": "classifier",
    "model.init": "orthogonal",
    "model.hidden": [128, 128],
    "model.activation": "gelu",
    "model.batch_norm": True,
    "model.dropout": 0.5,
    "train.epochs": 11,
    "train.batch_size": 64,
    "train.drop_last": True,
    "train.sampling": "balanced",
    "train.optimizer.lr": 0.25,
    "train.optimizer.momentum": 0.9,
    "train.optimizer.weight_decay": 0.5,
    "train.schedule.step_size": 11,
    "train.schedule.gamma": 0.5,
    "train.schedule.warmup": 3,
    "train.loss.class_weights": "balanced",
    "train.loss.label_smoothing": 0.5,
    "train.clip_grad_norm": 1.0,
    "train.augment": ["RandomHorizontalFlip"],
    "train.early_stopping.monitor": "train_loss",
    "train.early_stopping.mode": "max",
    "train.early_stopping.patience": 11,
    "train.early_stopping.tolerance": 0.5,
    "train.best.monitor": "last",
    "train.best.mode": "min",
    "train.precision": "bf16",
    "train.diverged_if": 3.0,
    "evaluate.train_eval": "none",
    "evaluate.test": "best",
    "seed": 1,
}
ELSEWHERE = {
    "data.dataset": "see the test of components",
    "data.path": "a path is not keyed",
    "model.name": "see the test of components",
    "train.optimizer.name": "see the test of components",
    "train.schedule.name": "see the test of components",
    "train.loss.name": "see the test of components",
    "train.step": "own code: see test_own_training_steps",
    "train.optimizer.nesterov": "needs momentum",
}


@pytest.mark.slow
@pytest.mark.parametrize("path", CHANGES)
def test_every_setting_changes_the_settings_key(path: str) -> None:
    assert key_of(with_setting(path, CHANGES[path])) != key_of(SPEC)


def test_tests_above_name_every_setting() -> None:
    (item,) = load(SPEC).cells
    paths = {path for path, _, _ in origins(item.settings, item.tree)}
    assert paths == set(CHANGES) | set(ELSEWHERE)


@pytest.mark.parametrize(
    ("path", "component"),
    [
        ("data", {"dataset": "digits"}),
        ("data", {"dataset": "synthetic"}),
        ("model", {"name": "convnet"}),
        ("model", {"name": "alexnet"}),
        ("model", {"name": "resnet18"}),
        ("train.optimizer", {"name": "adam"}),
        ("train.optimizer", {"name": "adamw"}),
        ("train.schedule", {"name": "constant"}),
        ("train.schedule", {"name": "multistep", "milestones": [5]}),
        ("train.schedule", {"name": "cosine"}),
        ("train.schedule", {"name": "plateau"}),
        ("train.loss", {"name": "focal"}),
    ],
    ids=str,
)
def test_every_component_changes_the_settings_key(path: str, component: dict[str, str]) -> None:
    assert key_of(with_setting(path, component)) != key_of(SPEC)


def test_nesterov_changes_the_settings_key() -> None:
    plain_momentum = with_setting("train.optimizer", {"momentum": 0.9})
    nesterov = with_setting("train.optimizer", {"momentum": 0.9, "nesterov": True})
    assert key_of(nesterov) != key_of(plain_momentum)


ALEXNET = {"name": "alexnet"}
DIGITS_OF = {"a": "a" * 64, "b": "b" * 64}


@pytest.mark.parametrize(
    "changes",
    [
        {"weights": "IMAGENET1K_V1"},
        {"weights": "IMAGENET1K_V2"},
        {"weights": {"file": "a.pth", "sha256": DIGITS_OF["a"]}},
        {"weights": {"file": "a.pth", "sha256": DIGITS_OF["b"]}},
        {"weights": {"file": "a.pth", "sha256": DIGITS_OF["a"], "missing": ["classifier"]}},
        {"cut": "features"},
        {"cut": "features", "head": {}},
        {"cut": "features", "head": {"pool": "max"}},
        {"cut": "features", "head": {"hidden": [5]}},
        {"cut": "features", "head": {"hidden": [5], "activation": "gelu"}},
        {"cut": "features", "head": {"hidden": [5], "batch_norm": True}},
        {"cut": "features", "head": {"hidden": [5], "dropout": 0.5}},
        {"freeze": "features"},
        {"freeze": ["features"]},
    ],
    ids=str,
)
def test_every_setting_of_a_network_changes_the_settings_key(changes: dict[str, Any]) -> None:
    plain_network = key_of(with_setting("model", ALEXNET))
    assert key_of(with_setting("model", {**ALEXNET, **changes})) != plain_network


def test_path_of_weights_is_not_keyed() -> None:
    keys = {
        key_of(with_setting("model", {**ALEXNET, "weights": {"file": file, "sha256": "a" * 64}}))
        for file in ("a.pth", "elsewhere/a.safetensors")
    }
    assert len(keys) == 1


def test_keys_of_changed_settings_are_all_different() -> None:
    keys = {key_of(with_setting(path, value)) for path, value in CHANGES.items()}
    assert len(keys) == len(CHANGES)


@pytest.mark.parametrize(
    "path", ["train.optimizer.lr", "train.diverged_if", "train.clip_grad_norm"]
)
def test_float_field_takes_whole_numbers_as_the_same_setting(path: str) -> None:
    assert key_of(with_setting(path, 2)) == key_of(with_setting(path, 2.0))


@pytest.mark.slow
def test_default_written_out_is_the_same_setting() -> None:
    (item,) = load(SPEC).cells
    for path, value, origin in origins(item.settings, item.tree):
        if origin == "default" and value is not None:
            assert key_of(with_setting(path, value)) == key_of(SPEC), path


def test_origins_name_the_file_or_the_default() -> None:
    (item,) = load(SPEC).cells
    found = {path: (value, origin) for path, value, origin in origins(item.settings, item.tree)}
    assert found["train.optimizer.lr"] == (0.5, "a.yaml:10:9")
    assert found["train.epochs"] == (10, "default")
    assert found["train.optimizer.name"] == ("sgd", "a.yaml:9:11")
    assert found["train.loss.name"] == ("cross_entropy", "default")
