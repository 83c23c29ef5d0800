"""torchvision's networks: all of them, fitted to the classes, cut, with a new head."""

from typing import get_args

import pytest
import torch
import torchvision
from pydantic import ValidationError
from torch import nn

from runner.components.models.classifier import UnknownLayer
from runner.components.models.layers_net import on_meta
from runner.components.models.pretrained import WeightsFile, weights_name
from runner.components.models.torchvision_model import (
    Head,
    NamedWeights,
    TorchvisionModel,
    TorchvisionName,
)
from runner.components.models.torchvision_net import last_layer

NAMES = get_args(TorchvisionName)
WITH_AUXILIARY_OUTPUTS = {"googlenet", "inception_v3"}


def model(name: str, **settings: object) -> TorchvisionModel:
    return TorchvisionModel.model_validate({"name": name, **settings})


def num_parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_every_classifier_of_torchvision_may_be_named() -> None:
    known = set(torchvision.models.list_models(module=torchvision.models))
    assert set(NAMES) == known - WITH_AUXILIARY_OUTPUTS


def test_every_name_of_weights_may_be_named() -> None:
    known = {
        weights
        for name in NAMES
        for weights in torchvision.models.get_model_weights(name).__members__
    }
    assert set(get_args(NamedWeights)) == known - {"DEFAULT"}


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_network_has_as_many_outputs_as_classes(name: str) -> None:
    network = on_meta(lambda: model(name).build((3, 224, 224), 7)).eval()
    assert network(torch.empty(2, 3, 224, 224, device="meta")).shape == (2, 7)
    assert last_layer(name)


def test_alexnet_with_101_classes_is_torchvisions_but_for_the_last_layer() -> None:
    network = on_meta(lambda: model("alexnet").build((3, 224, 224), 101))
    assert num_parameters(network) == 61_100_840 - 4097 * (1000 - 101)
    assert last_layer("alexnet") == {"classifier.6.weight", "classifier.6.bias"}


def test_alexnet_as_a_feature_extractor_of_report_r5_2() -> None:
    head = {"hidden": (4096, 4096)}
    settings = model(
        "alexnet", cut="features", head=head, freeze="features", init="kaiming_uniform"
    )
    network = on_meta(lambda: settings.build((3, 224, 224), 20))
    layers = [each for each in network.head.modules() if not list(each.children())]
    assert [type(each).__name__ for each in layers] == [
        *("Flatten", "Linear", "ReLU", "Linear", "ReLU", "Linear")
    ]
    with torch.device("meta"):
        convolutional = num_parameters(torchvision.models.alexnet().features)
    linear = (9216 + 1) * 4096 + (4096 + 1) * 4096 + (4096 + 1) * 20
    assert num_parameters(network) == convolutional + linear
    assert not any(name.startswith("classifier") for name in network.state_dict())


@pytest.mark.slow
def test_vgg11_with_the_head_of_report_r2_5() -> None:
    head = {"hidden": (512,), "batch_norm": True}
    settings = model("vgg11_bn", cut="features", head=head)
    network = on_meta(lambda: settings.build((3, 32, 32), 10))
    layers = [each for each in network.head.modules() if not list(each.children())]
    assert [type(each).__name__ for each in layers] == [
        *("Flatten", "Linear", "BatchNorm1d", "ReLU", "Linear")
    ]
    assert [tuple(each.weight.shape) for each in layers[1::3]] == [(512, 512), (10, 512)]
    with torch.device("meta"):
        convolutional = num_parameters(torchvision.models.vgg11_bn().features)
    new = (512 + 1) * 512 + 2 * 512 + (512 + 1) * 10
    assert num_parameters(network) == convolutional + new
    assert {name.partition(".")[0] for name in network.state_dict()} == {"features", "head"}


def test_cut_keeps_what_comes_before_it() -> None:
    settings = model("squeezenet1_1", cut="features.4", head={"pool": "average"})
    network = settings.build((3, 64, 64), 5).eval()
    whole = torchvision.models.squeezenet1_1()
    whole.features.load_state_dict(
        {
            name.removeprefix("features."): value
            for name, value in network.state_dict().items()
            if name.startswith("features.")
        },
        strict=False,
    )
    whole.eval()
    images = torch.rand(2, 3, 64, 64)
    kept = whole.features[:5](images)
    assert kept.shape[1] == 128
    expected = network.head.output(kept.mean((2, 3)))
    torch.testing.assert_close(network(images), expected)


@pytest.mark.slow
def test_cut_through_a_residual_network() -> None:
    settings = model("resnet18", cut="layer2", head={"pool": "max", "hidden": (9,)})
    network = settings.build((3, 32, 32), 4).eval()
    assert {name.partition(".")[0] for name in network.state_dict()} == {
        *("conv1", "bn1", "layer1", "layer2", "head")
    }
    assert network(torch.rand(2, 3, 32, 32)).shape == (2, 4)


@pytest.mark.slow
def test_head_is_flatten_then_linear_norm_activation_dropout() -> None:
    head = Head(hidden=(6,), batch_norm=True, activation="tanh", dropout=0.2)
    network = model("alexnet", cut="features.0", head=head).build((3, 32, 32), 3)
    kinds = [type(part).__name__ for part in network.head.hidden1]
    assert kinds == ["Linear", "BatchNorm1d", "Tanh", "Dropout"]
    assert [name for name, _ in network.head.named_children()] == ["flatten", "hidden1", "output"]


@pytest.mark.slow
def test_cut_at_no_layer_names_the_layers_there_are() -> None:
    with pytest.raises(UnknownLayer) as caught:
        model("alexnet", cut="feature").build((3, 224, 224), 3)
    assert caught.value.pattern == "feature"
    assert "features" in caught.value.layers


def test_head_without_a_cut_is_refused() -> None:
    with pytest.raises(ValidationError, match="head needs cut"):
        model("alexnet", head={"hidden": (3,)})


def test_gray_images_are_refused() -> None:
    with pytest.raises(ValueError, match="alexnet takes images of three channels"):
        model("alexnet").build((1, 224, 224), 3)


def test_images_that_are_too_small_are_refused() -> None:
    with pytest.raises(RuntimeError):
        on_meta(lambda: model("alexnet").build((3, 32, 32), 3))


@pytest.mark.parametrize("digits", ["", "abc", "g" * 64, "0" * 63, "0" * 65])
def test_checksum_has_64_hexadecimal_digits(digits: str) -> None:
    with pytest.raises(ValidationError):
        WeightsFile(file="a.pth", sha256=digits)


def test_weights_are_called_by_model_and_source() -> None:
    sha = "0" * 64
    names = [
        weights_name(model("alexnet", weights="IMAGENET1K_V1")),
        weights_name(model("vgg11", weights="IMAGENET1K_V1")),
        weights_name(model("alexnet", weights={"file": "a.pth", "sha256": sha})),
        weights_name(model("alexnet", weights={"file": "b.pth", "sha256": sha})),
    ]
    assert len(set(names)) == 4
    assert weights_name(model("alexnet")) == ""


@pytest.mark.slow
@pytest.mark.parametrize("side", [224, 64])
def test_vision_transformer_is_made_for_the_size_of_the_images(side: int) -> None:
    network = on_meta(lambda: model("vit_b_16").build((3, side, side), 3))
    positions = (side // 16) ** 2 + 1
    assert network.encoder.pos_embedding.shape == (1, positions, 768)


def test_cut_whose_output_is_no_tensor_is_refused() -> None:
    settings = model("vit_b_16", cut="encoder.layers.encoder_layer_0.self_attention")
    with pytest.raises(ValueError, match="its output is no tensor, but a tuple"):
        on_meta(lambda: settings.build((3, 224, 224), 3))


def test_cut_at_the_head_itself_is_refused() -> None:
    with pytest.raises(ValueError, match="cut: head keeps the whole network"):
        on_meta(lambda: model("swin_t", cut="head").build((3, 224, 224), 3))


@pytest.mark.slow
def test_layers_that_cannot_be_cut_at_are_not_offered() -> None:
    with pytest.raises(UnknownLayer) as caught:
        on_meta(lambda: model("maxvit_t", cut="blocks").build((3, 224, 224), 3))
    assert "blocks" not in caught.value.layers
    assert "stem" in caught.value.layers


def test_checksum_may_be_written_in_capitals() -> None:
    assert WeightsFile(file="a.pth", sha256="AB" * 32).sha256 == "ab" * 32
