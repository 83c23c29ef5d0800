"""The specs of report R1: their rows are the report's, and their runs what the report did."""

import os
from pathlib import Path
from typing import Any

import pytest

from runner.spec.experiment import Experiment, load_experiment

SPECS = Path(__file__).resolve().parents[2] / "experiments"
POLICIES = {
    "train the entire model": ("none", 0.044, 0.82),
    "freeze convolutional layers": ("features", 0.035, 0.84),
    "freeze fully connected layers": ("classifier", 2.628, 0.39),
}


def spec(name: str, profile: str | None = None) -> Experiment:
    return load_experiment(SPECS / f"{name}.yaml", profile)


def rows(experiment: Experiment) -> list[tuple[Any, ...]]:
    """Return learning rate, epochs, step size, gamma and published values of each cell."""
    found = []
    for item in experiment.cells:
        train, schedule = item.settings.train, item.settings.train.schedule
        assert schedule.name == "step"
        values = tuple(each.value for each in item.cell.published.values())
        found.append(
            (train.optimizer.lr, train.epochs, schedule.step_size, schedule.gamma, *values)
        )
    return found


def test_the_learning_rate_grid_is_the_reports_six_rows() -> None:
    assert rows(spec("alexnet_lr_grid")) == [
        (0.001, 30, 20, 0.1, 0.16, 0.09),
        (0.005, 20, 10, 0.1, 0.15, 0.13),
        (0.01, 30, 15, 0.1, 0.25, 0.26),
        (0.05, 30, 20, 0.1, 0.47, 0.49),
        (0.1, 30, 5, 0.5, 0.40, 0.42),
        (0.05, 40, 20, 0.1, 0.41, 0.42),
    ]


@pytest.mark.parametrize("profile", [None, "features"])
def test_the_transfer_rates_are_the_reports_three_rows_and_the_one_that_explodes(
    profile: str | None,
) -> None:
    found = rows(spec("alexnet_transfer_lr", profile))
    published = [(0.82,), (0.85,), (0.82,), ()] if profile is None else [()] * 4
    assert found == [
        (0.001, 30, 20, 0.1, *published[0]),
        (0.005, 20, 10, 0.1, *published[1]),
        (0.0005, 40, 30, 0.5, *published[2]),
        (0.05, 30, 20, 0.1),
    ]


@pytest.mark.parametrize("name", ["alexnet_transfer", "alexnet_transfer_features"])
def test_the_freeze_policies_are_the_reports_with_its_best_rate(name: str) -> None:
    experiment = spec(name)
    assert rows(experiment) == [
        (0.005, 20, 10, 0.1, loss, accuracy) for _, loss, accuracy in POLICIES.values()
    ]
    found = {item.cell.labels["label"]: item.settings.model.freeze for item in experiment.cells}
    assert found == {label: freeze for label, (freeze, _, _) in POLICIES.items()}


@pytest.mark.parametrize(
    ("name", "normalize", "weights"),
    [
        ("alexnet_lr_grid", "half", None),
        ("alexnet_transfer_lr", "imagenet", "IMAGENET1K_V1"),
        ("alexnet_transfer", "imagenet", "IMAGENET1K_V1"),
        ("alexnet_transfer_features", "imagenet", ("classifier",)),
    ],
)
def test_the_protocol_is_the_reports(name: str, normalize: str, weights: Any) -> None:
    for item in spec(name).cells:
        data, train, model = item.settings.data, item.settings.train, item.settings.model
        assert (data.dataset, data.validation, data.resize, data.crop) == (
            "caltech101",
            0.5,
            256,
            224,
        )
        assert data.normalize == normalize
        assert (train.batch_size, train.drop_last, train.loss.name) == (256, True, "cross_entropy")
        assert (train.optimizer.momentum, train.optimizer.weight_decay) == (0.9, 5e-5)
        assert train.best.monitor == "val_accuracy"
        assert (item.settings.evaluate.train_eval, item.settings.evaluate.test) == ("full", "best")
        assert model.name == "alexnet"
        assert getattr(model.weights, "missing", model.weights) == weights


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "titles"),
    [
        ("alexnet_lr_grid", "LR NUM_EPOCHS STEP_SIZE GAMMA MAX_VAL_ACC TEST_ACC"),
        ("alexnet_transfer_lr", "LR NUM_EPOCHS STEP_SIZE GAMMA MAX_VAL_ACC"),
        ("transfer", "POLICY FINAL_TRAIN_LOSS TEST_ACCURACY"),
        ("transfer_features", "POLICY FINAL_TRAIN_LOSS TEST_ACCURACY"),
    ],
)
def test_the_tables_have_the_reports_columns(name: str, titles: str) -> None:
    tables = {
        table.name: table
        for path in SPECS.glob("alexnet_*.yaml")
        for table in spec(path.stem).tables
    }
    assert [column.title for column in tables[name].columns] == titles.split()


def test_each_spec_says_what_it_is_and_what_is_ours() -> None:
    for path in SPECS.glob("alexnet_*.yaml"):
        assert "Report R1." in spec(path.stem).about or "report R1." in spec(path.stem).about
    assert "only the ImageNet weights of the convolutional part" in " ".join(
        spec("alexnet_transfer_features").about.split()
    )


SMALL = ["resize=72", "crop=64", "epochs=2"]
"""AlexNet's smallest images, and few epochs."""


@pytest.mark.data
@pytest.mark.slow(100)
def test_features_of_real_photographs_change_no_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frozen AlexNet on all of Caltech-101: trained on features, and without."""
    from runner import api
    from runner.api.running import run
    from runner.bind.request import Request

    monkeypatch.chdir(tmp_path)
    chosen = ["freeze convolutional layers"]
    for db, limit in (("alone.db", 0), ("shared.db", 10**9)):  # features on disk would be used
        request = Request(
            [SPECS / "alexnet_transfer_features.yaml"],
            only=chosen,
            sets=SMALL,
            db=db,
            data=os.environ["RUNNER_DATA"],
            cache_limit=limit,
        )
        run(request)
    records = []
    for db in ("shared.db", "alone.db"):
        rows = api.list_runs(db=db).frame()
        (key,) = rows.loc[rows.status == "done", "run"]
        records.append(api.show(key, db=db))
    shared, alone = records
    kinds = [[each["kind"] for each in record["attempts"]] for record in records]
    assert kinds == [["prepare", "features", "train", "evaluate"], ["prepare", "train", "evaluate"]]
    assert shared["run_key"] == alone["run_key"]
    for ours, theirs in zip(shared["epochs"], alone["epochs"], strict=True):
        for name, value in ours.items():
            tolerance = 0.005 if name.endswith("accuracy") else 0.01
            assert value is None or value == pytest.approx(theirs[name], abs=tolerance), name
    assert alone["epochs"][-1]["val_accuracy"] > 0.2
