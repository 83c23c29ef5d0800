"""The specs of reports R1.4 to R5.4: their rows are the report's."""

import re
from pathlib import Path
from typing import Any

import pytest

from runner import api
from runner.spec.experiment import Experiment, load_experiment

SPECS = Path(__file__).resolve().parents[2] / "experiments"


def spec(name: str) -> Experiment:
    return load_experiment(SPECS / f"{name}.yaml")


def published(name: str, *labels: str) -> dict[str, dict[str, float]]:
    """Return the published values of each cell, by its labels."""
    return {
        " ".join(cell.cell.labels[label] for label in labels): {
            title: each.value for title, each in cell.cell.published.items()
        }
        for cell in spec(name).cells
    }


def settings(name: str, text: str) -> Any:
    """Return the settings of the cell that has this label."""
    (found,) = [c.settings for c in spec(name).cells if text in c.cell.labels.values()]
    return found


def steps(name: str, text: str) -> list[str]:
    """Return the names of a cell's augmentations."""
    augment = settings(name, text).train.augment
    return [] if augment is None else [each.name for each in augment.steps]


def test_r1_4_three_pipelines_with_probability_one_half() -> None:
    assert published("alexnet_augmentation", "label") == {
        "CS-HF": {"TEST_ACCURACY": 0.85, "ACCURACY_GAP": 0.12, "LOSS_GAP": 0.66},
        "H-RP": {"TEST_ACCURACY": 0.83, "ACCURACY_GAP": 0.15, "LOSS_GAP": 0.75},
        "B-GS-R": {"TEST_ACCURACY": 0.81, "ACCURACY_GAP": 0.16, "LOSS_GAP": 0.77},
    }
    assert steps("alexnet_augmentation", "CS-HF") == ["ColorJitter", "RandomHorizontalFlip"]
    assert steps("alexnet_augmentation", "H-RP") == ["ColorJitter", "RandomPerspective"]
    last = ["ColorJitter", "RandomGrayscale", "RandomRotation"]
    assert steps("alexnet_augmentation", "B-GS-R") == last
    for cell in spec("alexnet_augmentation").cells:
        assert cell.settings.train.augment is not None
        assert cell.settings.train.augment.p == 0.5
        for step in cell.settings.train.augment.steps:
            assert getattr(step, "p", 1.0) == 1.0
        assert cell.settings.model.freeze == "none"
        assert cell.settings.train.optimizer.lr == 0.005


def test_r1_5_three_networks_whole_and_frozen() -> None:
    assert published("networks", "NET", "POLICY") == {
        "AlexNet whole": {"TEST_ACCURACY": 0.82},
        "AlexNet freeze": {"TEST_ACCURACY": 0.84},
        "Resnet18 whole": {"TEST_ACCURACY": 0.87},
        "Resnet18 freeze": {"TEST_ACCURACY": 0.91},
        "Resnet50 whole": {"TEST_ACCURACY": 0.91},
        "Resnet50 freeze": {"TEST_ACCURACY": 0.93},
    }
    for cell in spec("networks").cells:
        frozen = cell.cell.labels["POLICY"] == "freeze"
        assert cell.settings.model.freeze == ("features" if frozen else "none")
        assert cell.settings.model.name == cell.cell.labels["NET"].lower()
        assert cell.settings.train.augment is None


def test_r2_1_the_five_blocks() -> None:
    for cell in spec("convnet_cifar10").cells:
        train = cell.settings.train
        assert cell.settings.model.filters == (128, 512, 512, 512, 512)
        assert (train.optimizer.name, train.optimizer.lr) == ("adam", 0.001)
        assert (train.batch_size, train.epochs) == (200, 20)
        assert cell.settings.data.validation == 0.02
    sizes = [each["PARAMETERS"] for each in published("convnet_cifar10", "label").values()]
    assert sizes == [7678474, 7682826]


def test_r2_2_four_rows_of_early_stopping() -> None:
    found = [
        (
            cell.settings.train.early_stopping.monitor,
            cell.settings.train.early_stopping.mode,
            cell.settings.model.batch_norm,
        )
        for cell in spec("early_stopping").cells
    ]
    assert found == [
        ("val_loss", "min", False),
        ("val_loss", "min", True),
        ("val_accuracy", "max", False),
        ("val_accuracy", "max", True),
    ]
    for cell in spec("early_stopping").cells:
        train = cell.settings.train
        assert train.best.monitor == train.early_stopping.monitor
        assert train.best.mode == train.early_stopping.mode
        stop = train.early_stopping
        assert (train.epochs, stop.patience, stop.tolerance) == (50, 10, 1e-5)


def test_r2_3_the_reports_three_pipelines() -> None:
    name = "cifar10_augmentation"
    assert steps(name, "none") == []
    head = ["RandomEqualize", "ColorJitter", "RandomGrayscale", "RandomAdjustSharpness"]
    assert steps(name, "pipeline 1") == [*head, "RandomPerspective"]
    assert steps(name, "pipeline 2") == [*head, "RandomPerspective", "RandomAffine"]
    assert steps(name, "pipeline 3") == ["RandomEqualize", "RandomCrop", "RandomErasing"]
    assert {cell.settings.train.epochs for cell in spec(name).cells} == {20}
    first = settings(name, "pipeline 1").train.augment.steps
    assert [each.p for each in first if each.name != "ColorJitter"] == [1.0, 0.2, 0.7, 0.6]
    jitter = first[1]
    assert (jitter.brightness, jitter.contrast) == ((0.2, 0.8), (0.2, 0.5))
    assert (jitter.saturation, jitter.hue) == ((0.1, 0.3), (-0.2, 0.2))
    assert (first[3].sharpness_factor, first[4].distortion_scale) == (2.0, 0.2)
    second = settings(name, "pipeline 2").train.augment.steps
    assert [each.p for each in second[2:5]] == [0.4, 0.5, 0.5]
    jitter = second[1]
    assert (jitter.brightness, jitter.contrast) == ((0.3, 0.8), (0.3, 0.7))
    assert (jitter.saturation, jitter.hue) == ((0.1, 0.4), (-0.3, 0.3))
    assert (second[3].sharpness_factor, second[4].distortion_scale) == (1.0, 0.7)
    assert second[5].degrees in (20, 20.0, (-20.0, 20.0))
    crop, erasing = settings(name, "pipeline 3").train.augment.steps[1:]
    assert (crop.size, crop.padding) == (32, 4)
    assert (erasing.p, erasing.scale, erasing.ratio) == (0.5, (0.39, 0.4), (1.0, 1.0))


def test_r2_4_nine_dropouts_between_the_blocks() -> None:
    found = [cell.settings.model.dropout for cell in spec("dropout").cells]
    assert found == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    for cell in spec("dropout").cells:
        assert cell.settings.model.dropout_at == ("between_blocks",)
        assert cell.settings.train.augment is None


def test_r2_5_vgg_three_ways_with_two_augmentations() -> None:
    found = [
        (
            cell.cell.labels["ROW"],
            cell.settings.model.weights is not None,
            cell.settings.model.freeze,
            len(cell.settings.train.augment.steps),
        )
        for cell in spec("vgg").cells
    ]
    assert found == [
        ("a", True, "features", 1),
        ("b1", True, "none", 1),
        ("b2", False, "none", 1),
        ("a", True, "features", 3),
        ("b1", True, "none", 3),
        ("b2", False, "none", 3),
    ]


def test_r3_the_points_of_cifar100() -> None:
    found = published("cifar100", "POINT")
    assert {point: values.get("ACCURACY") for point, values in found.items()} == {
        "1": 26,
        "2": 29,
        "3a": 33,
        "3b": 34,
        "3c": 36,
        "4a": 40,
        "4b": 38,
        "4c": None,
        "5a": 36,
        "5b": 38,
        "6": 72,
        "best": 52,
    }
    losses = [2.67, 2.0, 0.168, 0.071, 0.053, 0.012, 0.109, None, 0.982, 1.065, 0.067, 0.968]
    assert [values.get("LOSS") for values in found.values()] == losses
    for cell in spec("cifar100").cells:
        values = cell.settings
        assert values.data.validation == 0
        assert values.evaluate.test == "each_epoch"
        assert values.train.best.monitor == "last"
        assert values.train.drop_last
        point = cell.cell.labels["POINT"]
        assert values.train.batch_size == (128 if point in ("4b", "6", "best") else 256)
        assert values.train.epochs == (10 if point == "6" else 20)
        optimizer = values.train.optimizer
        assert (optimizer.name, optimizer.lr) == ("adam", 1e-3 if point == "best" else 1e-4)
        # pixels from 0 to 1; only ImageNet's weights want ImageNet's mean and deviation
        assert values.data.normalize == ("imagenet" if point == "6" else "none")
        augment = values.train.augment
        steps = [] if augment is None else [step.name for step in augment.steps]
        flipped = ["RandomHorizontalFlip"]
        changed = {"5a": flipped, "5b": ["Resize", "RandomCrop"], "best": flipped}
        assert steps == changed.get(point, [])


def test_r3_the_networks_of_cifar100() -> None:
    models = {each.cell.labels["POINT"]: each.settings.model for each in spec("cifar100").cells}
    assert models["1"].hidden == (4096, 4096)
    assert (models["6"].name, models["6"].weights) == ("resnet18", "IMAGENET1K_V1")
    blocks = {
        "2": (32, 32, 32, 64),
        "3b": (256, 256, 256, 512),
        "3c": (512, 512, 512, 1024),
    }
    for point in ("2", "3a", "3b", "3c", "4a", "4b", "4c", "5a", "5b", "best"):
        model = models[point]
        assert (model.filters, model.kernel) == (blocks.get(point, (128, 128, 128, 256)), 3)
        assert model.pool_blocks == "last"
        assert model.linear == ((8192, 8192) if point == "4b" else (4096, 4096))
        assert model.batch_norm == (point in ("4a", "4b", "4c", "best"))
        dropped = {"4c": 0.5, "best": 0.8}.get(point, 0.0)
        assert model.dropout == dropped
        assert dropped == 0 or model.dropout_at == ("output",)


def test_r4_451_images_of_eleven_classes() -> None:
    for name in ("eleven_classes", "regularisation", "architecture"):
        for cell in spec(name).cells:
            data = cell.settings.data
            assert len(data.include) * data.per_class == 451
            assert (len(data.include), data.resize) == (11, (50, 50))
    base = settings("eleven_classes", "base network (R4.1)").model
    assert (base.kernel, base.stride, base.pool) == (5, 2, "none")
    assert len(base.filters) == 2
    best = settings("eleven_classes", "best network (R4.5)")
    assert (best.train.batch_size, best.train.optimizer.lr) == (128, 0.001)
    assert best.train.early_stopping.patience == 50
    assert (best.model.dropout, best.model.dropout_at) == (0.25, ("flatten", "output"))


def test_r4_3_and_r4_4_vary_what_the_report_varies() -> None:
    found = published("regularisation", "METHOD", "VALUE")
    assert found["dropout 0.1"] == {"TRAIN_ACC": 0.64, "VAL_ACC": 0.58}
    assert found["dropout 0.3"] == {"TRAIN_ACC": 0.58, "VAL_ACC": 0.55}
    assert found["dropout 0.5"] == {"TRAIN_ACC": 0.45, "VAL_ACC": 0.42}
    assert found["early stopping patience 10"] == {"VAL_ACC": 0.53}
    assert found["early stopping patience 100"] == {"VAL_ACC": 0.62}
    patiences = [
        cell.settings.train.early_stopping.patience
        for cell in spec("regularisation").cells
        if cell.settings.train.early_stopping is not None
    ]
    assert patiences == [10, 50, 100, 120, 150]
    varied = list(published("architecture", "VARIED", "VALUE"))
    assert varied[:6] == [f"filter size {k}" for k in (3, 5, 7)] + [
        f"stride {s}" for s in (1, 2, 3)
    ]
    assert [len(c.settings.model.filters) for c in spec("architecture").cells[6:11]] == [
        1,
        2,
        3,
        4,
        5,
    ]


def test_r4_6_is_measured_on_the_best_network_of_r4_5() -> None:
    (cell,) = spec("robustness").cells
    assert cell.settings == settings("eleven_classes", "best network (R4.5)")
    titles = {"none", "ColorJitter", "GaussianBlur", "RandomPerspective", "RandomRotation ±45°"}
    titles |= {"RandomAffine translation", "RandomAffine scaling"}
    assert published("robustness", "label")["best network (R4.5)"].keys() == titles
    (changed,) = spec("robustness").analyses.values()
    turned = next(t for t in changed.settings.transforms if t.label == "RandomRotation")
    assert turned.severities[-1][0].degrees == 45


def test_r4_7_a_node_sees_seven_by_seven_however_the_field_grew() -> None:
    networks = api.inspect_sizes(SPECS / "receptive_field.yaml").networks
    last = [[row for row in each.sizes.layers if row.kind == "Conv2d"][-1] for each in networks]
    assert [row.field.size for row in last] == [(7, 7)] * 3
    assert [row.field.stride for row in last] == [(1, 1), (2, 2), (1, 1)]
    assert all(each == {"FIELD": 7} for each in published("receptive_field", "label").values())


FACES = ["faces_plain", "faces_alexnet", "faces_alexnet_features"]


@pytest.mark.parametrize("name", FACES)
def test_r5_faces(name: str) -> None:
    assert "TEST_ACCURACY" in next(iter(published(name, "label").values()))
    first = spec(name).cells[0].settings
    assert first.model.init == "kaiming_uniform"
    if name == "faces_plain":
        assert (first.data.resize, first.model.hidden) == ((28, 28), (300,))
        assert first.train.epochs == 600
    else:
        assert (first.model.cut, first.model.freeze) == ("avgpool", "features")
        assert first.model.head.hidden == (4096, 4096)
        second = spec(name).cells[1].settings
        assert (second.model.cut, second.model.freeze) == (None, "none")


@pytest.mark.parametrize("name", FACES)
def test_r5_the_stand_in_for_the_faces_is_said_to_be_ours(name: str) -> None:
    for cell in spec(name).cells:
        data = cell.settings.data
        assert (len(data.include), data.per_class) == (12, 40)
        assert data.include == spec("faces_plain").cells[0].settings.data.include
    assert re.search(r"Ours: the (stand-in for the )?faces", " ".join(spec(name).about.split()))


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("convnet_cifar10", ["filters"]),
        ("faces_plain", ["neurons"]),
        ("faces_alexnet", ["predictions", "saliency"]),
        ("faces_alexnet_features", ["predictions", "saliency"]),
    ],
)
def test_what_the_reports_show_of_a_network_is_an_analysis(name: str, kinds: list[str]) -> None:
    assert [each.settings.kind for each in spec(name).analyses.values()] == kinds
