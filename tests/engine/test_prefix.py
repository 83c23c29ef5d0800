"""The frozen prefix: found where it is one, and the two parts compute what the whole does."""

import pytest
import torch
from benches import settings_of

from runner.engine.network.build import Network, build_network
from runner.engine.network.layout import network_layout

CPU = torch.device("cpu")
BLOCKS = {"name": "convnet", "filters": [4, 6], "batch_norm": True, "dropout": 0.3, "linear": [8]}


def built(model: dict, side: int = 8) -> Network:
    return build_network(settings_of(model=model), (3, side, side), 3, CPU)


@pytest.mark.parametrize(
    ("model", "cut"),
    [
        ({**BLOCKS, "freeze": "features"}, "flatten"),
        ({**BLOCKS, "freeze": ["features.block1"]}, "features_block1_dropout"),
        ({**BLOCKS, "freeze": ["features.block1.conv"]}, "features_block1_conv"),
        ({**BLOCKS, "freeze": ["features", "classifier.hidden1"]}, "classifier_hidden1_dropout"),
        (
            {"name": "mlp", "hidden": [9, 8], "dropout": 0.2, "freeze": ["hidden1"]},
            "hidden1_dropout",
        ),
        (
            {"name": "mlp", "hidden": [9], "dropout": 0.2, "freeze": ["*.linear"]},
            "hidden1_activation",
        ),
    ],
    ids=str,
)
def test_the_prefix_ends_before_the_first_trained_or_random_layer(model: dict, cut: str) -> None:
    split = built(model).split()
    assert split is not None
    assert split.cut == cut


@pytest.mark.parametrize(
    "freeze", ["none", "classifier", ["features.block2"], ["features.block1.norm"]], ids=str
)
def test_a_network_that_begins_with_a_trained_layer_has_no_prefix(freeze) -> None:
    assert built({**BLOCKS, "freeze": freeze}).split() is None


def test_normalisation_that_moves_its_statistics_is_no_prefix() -> None:
    layers = ["features.block1.conv", "features.block1.norm.weight", "features.block1.norm.bias"]
    split = built({**BLOCKS, "freeze": layers}).split()
    assert split is not None
    assert split.cut == "features_block1_conv"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "side"),
    [
        ({**BLOCKS, "freeze": "features"}, 8),
        ({"name": "squeezenet1_1", "freeze": "features"}, 48),
        ({"name": "resnet18", "freeze": ["conv1", "bn1", "layer1"]}, 32),
        ({"name": "resnet18", "cut": "layer1", "head": {"pool": "max"}, "freeze": "features"}, 32),
        ({"name": "shufflenet_v2_x0_5", "freeze": "features"}, 48),
        ({"name": "mobilenet_v3_small", "freeze": ["features.[012]"]}, 48),
    ],
    ids=str,
)
def test_split_parts_compute_what_the_whole_network_does(model: dict, side: int) -> None:
    network = built(model, side)
    split = network.split()
    assert split is not None
    images = torch.rand(4, 3, side, side)
    network.eval()
    with torch.no_grad():
        torch.testing.assert_close(split.head(split.prefix(images)), network(images))
    network.train()
    torch.manual_seed(0)
    trained = network(images)
    torch.manual_seed(0)
    in_parts = split.head(split.prefix(images))
    torch.testing.assert_close(in_parts, trained)
    in_parts.sum().backward()
    assert all(each.grad is not None for each in network.trainable())


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "densenet121",
        "efficientnet_b0",
        "convnext_tiny",
        "vit_b_16",
        "swin_t",
        "regnet_y_400mf",
        "mnasnet0_5",
    ],
)
def test_split_parts_of_other_families_too(name: str) -> None:
    side = 224 if name.startswith(("vit", "swin")) else 64
    network = built({"name": name, "freeze": "features"}, side)
    split = network.split()
    assert split is not None
    images = torch.rand(2, 3, side, side)
    network.eval()
    with torch.no_grad():
        torch.testing.assert_close(split.head(split.prefix(images)), network(images))


def test_the_layout_is_that_of_the_built_network() -> None:
    settings = settings_of(model={"name": "alexnet", "freeze": "features"})
    layout = network_layout(settings, (3, 224, 224), 101)
    assert (layout.cut, layout.features) == ("flatten", (9216,))
    assert layout.parameters == 61_100_840 - 4097 * (1000 - 101)
    assert layout.structure == network_layout(settings, (3, 224, 224), 7).structure
    assert network_layout(settings_of(), (3, 8, 8), 3).cut == ""


def test_another_end_of_the_prefix_is_another_structure() -> None:
    cuts = [{"pool": pool} for pool in ("none", "average", "max")]
    structures = {
        network_layout(
            settings_of(
                model={"name": "alexnet", "cut": "features", "head": head, "freeze": "features"}
            ),
            (3, 64, 64),
            3,
        ).structure
        for head in cuts
    }
    assert len(structures) == 3


def test_a_prefix_with_normalisation_of_single_pixels_has_a_shape() -> None:
    layout = network_layout(
        settings_of(model={"name": "resnet18", "freeze": "features"}), (3, 32, 32), 10
    )
    assert (layout.cut, layout.features) == ("flatten", (512,))
