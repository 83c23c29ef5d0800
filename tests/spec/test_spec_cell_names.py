"""What cells are called: labels, and what else tells them apart."""

from pathlib import Path

import pytest

from runner.spec.cell_names import cell_names, run_name, settings_words
from runner.spec.experiment import build_experiment, load_experiment
from runner.spec.nodes import to_node

EXPERIMENTS = sorted((Path(__file__).resolve().parents[2] / "experiments").glob("*.yaml"))
FLIP, CROP = "RandomHorizontalFlip", {"name": "RandomCrop", "size": 4}


def names_of(sweep: object, sets: tuple[str, ...] = ()) -> list[str]:
    spec = {"name": "named", "data": "digits", "model": "mlp"}
    spec |= {} if sweep is None else {"sweep": sweep}
    cells = build_experiment(to_node(spec), Path("named.yaml"), None, sets).cells
    return [item.cell.name for item in cells]


def test_pipeline_is_written_as_short_as_it_can_be() -> None:
    steps = ({"name": FLIP}, CROP)
    short = {"train.augment": {"p": 1.0, "steps": steps}}
    assert settings_words(short) == f"augment=[{FLIP}, {{name: RandomCrop, size: 4}}]"
    half = {"train.augment": {"p": 0.5, "steps": steps[:1]}}
    assert settings_words(half) == f"augment={{p: 0.5, steps: [{FLIP}]}}"
    assert settings_words({"train.augment": None}) == "augment=null"


def test_labels_are_enough_where_they_differ() -> None:
    rows = [{"label": "slow", "lr": 0.01}, {"labels": {"A": "fast", "B": "one"}, "lr": 0.1}]
    assert names_of({"rows": rows}) == ["slow", "fast, one"]


def test_cell_name_without_labels_is_the_swept_settings() -> None:
    assert names_of({"grid": {"lr": [0.1, 0.2]}}) == ["lr=0.1", "lr=0.2"]
    assert names_of(None) == [""]


def test_settings_that_differ_stand_beside_a_label_that_several_cells_share() -> None:
    rows = [{"label": "plain", "lr": 0.1}, {"label": "wide", "hidden": [9]}]
    assert names_of({"rows": rows, "grid": {"train_images": [44, 88, None]}}) == [
        "plain (train_images=44)", "plain (train_images=88)", "plain (train_images=null)",
        "wide (train_images=44)", "wide (train_images=88)", "wide (train_images=null)",
    ]  # fmt: skip


def test_cell_name_says_more_only_where_labels_are_shared() -> None:
    rows = [
        {"label": "alone", "lr": 0.1},
        {"label": "grown", "grid": {"train_images": [44, 88]}},
        {"label": "grown", "epochs": 3},
    ]
    assert names_of({"rows": rows}) == [
        "alone",
        "grown (train_images=44)",
        "grown (train_images=88)",
        "grown (epochs=3)",
    ]


def test_variant_that_makes_cells_equal_leaves_them_their_positions() -> None:
    sweep = {"rows": [{"label": "plain", "grid": {"train_images": [44, 88]}}, {"label": "one"}]}
    assert names_of(sweep, ("train_images=9",)) == [
        "plain (position 0)",
        "plain (position 1)",
        "one",
    ]
    grid = {"grid": {"lr": [0.1, 0.2]}}
    assert names_of(grid, ("lr=1",)) == ["lr=1 (position 0)", "lr=1 (position 1)"]


def test_label_that_reads_like_another_name_is_told_apart() -> None:
    given = {
        0: ({"label": "a (lr=1)"}, {}),
        1: ({"label": "a"}, {"train.optimizer.lr": 1}),
        2: ({"label": "a"}, {"train.optimizer.lr": 2}),
    }
    assert len(set(cell_names(given).values())) == 3


def test_run_is_called_by_its_cell_and_seed() -> None:
    spec = {"name": "one", "data": "digits", "model": "mlp", "seeds": [0, 7]}
    cells = build_experiment(to_node(spec), Path("one.yaml")).cells
    assert [run_name(item.cell) for item in cells] == ["seed=0", "seed=7"]


@pytest.mark.slow
@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_cell_names_of_shipped_specs_are_unique(path: Path) -> None:
    names = {item.cell.position: item.cell.name for item in load_experiment(path).cells}
    assert len(set(names.values())) == len(names)
