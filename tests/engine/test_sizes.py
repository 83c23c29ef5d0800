"""Sizes of layers: known networks, and receptive fields beside those that gradients show."""

import copy
from typing import Any

import pytest
import torch
import torchvision
from benches import settings_of
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from runner.components.models.layers_net import on_meta
from runner.engine.inspection.receptive_fields import Fields, receptive_fields
from runner.engine.inspection.sizes import NetworkSizes, network_sizes
from runner.engine.network.layout import count_multiply_adds, network_layout

IMAGENET = (3, 224, 224)


def sizes(name: str, classes: int = 1000, shape: Any = IMAGENET, **model: Any) -> NetworkSizes:
    return network_sizes(settings_of(model={"name": name, **model}).model, shape, classes)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "parameters", "size"),
    [
        ("alexnet", 61_100_840, 195),
        ("vgg16", 138_357_544, 212),
        ("resnet18", 11_689_512, 435),
        ("mobilenet_v2", 3_504_872, 491),
    ],
)
def test_sizes_of_known_networks(name: str, parameters: int, size: int) -> None:
    found = sizes(name)
    assert found.parameters == found.trainable == parameters
    assert found.last_field is not None
    assert (found.last_field.size[0], found.last_field.stride[0]) == (size, 32)
    assert sum(each.parameters for each in found.layers) == parameters
    assert sum(each.multiply_adds for each in found.layers) == found.multiply_adds
    assert not found.unknown
    assert found.layers[-1].output == (1000,)


def test_a_unit_of_two_convolutions_sees_seven_pixels() -> None:
    model = {"filters": [16, 16], "kernel": 3, "stride": [2, 1], "pool": "none"}
    found = sizes("convnet", 11, (3, 50, 50), **model)
    by_name = {each.layer: each for each in found.layers}
    second = by_name["features.block2.conv"]
    assert second.field is not None
    assert (second.field.size, second.field.stride) == ((7, 7), (2, 2))
    assert second.multiply_adds == 16 * 25 * 25 * 16 * 9


def test_what_looks_at_everything_sees_the_image_and_has_no_stride() -> None:
    for layer in sizes("mlp", 4, (3, 6, 9), hidden=[5]).layers[1:]:
        assert layer.field is not None
        assert (layer.field.size, layer.field.stride) == ((6, 9), (0, 0))


def test_frozen_weights_are_not_trainable() -> None:
    found = sizes("convnet", 3, (3, 16, 16), filters=[4, 6], freeze="features")
    trainable = {each.layer: each.trainable for each in found.layers if each.parameters}
    assert trainable["features.block1.conv"] == 0
    assert trainable["classifier.output"] == found.trainable > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["squeezenet1_1", "vit_b_16", "swin_t"])
def test_sizes_agree_with_the_plan(name: str) -> None:
    settings = settings_of(model={"name": name})
    layout = network_layout(settings, IMAGENET, 7)
    found = network_sizes(settings.model, IMAGENET, 7)
    assert (found.parameters, found.multiply_adds) == (layout.parameters, layout.multiply_adds)


class Products(nn.Module):
    """Products of matrices of all kinds, most of them by functions."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(3, 4, 3, stride=2, groups=1)
        self.grouped = nn.Conv2d(4, 6, 3, groups=2)
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        tokens = self.grouped(self.up(images)).flatten(2).transpose(1, 2)
        tokens = self.attention(tokens, tokens, tokens, need_weights=False)[0]
        scores = torch.einsum("b n d, b m d -> b n m", tokens, tokens) @ tokens
        scores = nn.functional.scaled_dot_product_attention(scores, scores, scores)
        return torch.baddbmm(scores, scores.bmm(scores.mT), tokens)


def test_multiply_adds_are_those_that_torch_counts() -> None:
    network = on_meta(Products).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.empty((1, 3, 5, 5), device="meta"))
    assert count_multiply_adds(network, (3, 5, 5)) == counter.get_total_flops() // 2 > 0


@pytest.mark.slow
def test_attention_is_counted_and_its_field_is_said_to_be_unknown() -> None:
    found = sizes("vit_b_16")
    assert found.parameters == 86_567_656  # as torchvision says, layers without a call included
    assert found.multiply_adds == pytest.approx(17.56e9, rel=1e-3)
    assert "behind reshape" in found.unknown
    assert found.last_field is None
    assert found.layers[-1].field is None


def test_branches_of_different_strides_are_unknown() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fine, self.coarse = nn.Conv2d(3, 4, 5), nn.Conv2d(3, 4, 3, stride=2)
            self.after = nn.ReLU()

        def forward(self, images: torch.Tensor) -> Any:
            return self.after(self.fine(images)[:, :, :3, :3] + self.coarse(images))

    found = receptive_fields(on_meta(Odd).eval(), (3, 7, 7))
    assert "a part of a tensor" in found.unknown
    assert set(found.by_call) == {("fine", 0), ("coarse", 0)}


def by_gradient(network: nn.Module, layer: str, side: int, call: int = -1) -> int:
    """Return how many rows of pixels move the middle unit of a call of a layer."""
    network = smooth(copy.deepcopy(network)).double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(1.0)
    images = torch.ones(1, 3, side, side, dtype=torch.float64, requires_grad=True)
    caught: list[torch.Tensor] = []
    network.get_submodule(layer).register_forward_hook(lambda *_: caught.append(_[2]))
    network(images)
    middle = caught[call].shape[-1] // 2
    caught[call][0, :, middle, middle].sum().backward()
    assert images.grad is not None
    rows = images.grad[0].abs().sum((0, 2)).nonzero().flatten()
    assert rows[0] > 0, "the image is too small"
    assert rows[-1] < side - 1, "the image is too small"
    return int(rows[-1] - rows[0]) + 1


def smooth(network: nn.Module) -> nn.Module:
    """Return the network with mean pooling for max pooling, and without ReLU and normalisation."""
    for name, child in network.named_children():
        if isinstance(child, nn.MaxPool2d):
            pool = nn.AvgPool2d(child.kernel_size, child.stride, child.padding, child.ceil_mode)
            setattr(network, name, pool)
        elif isinstance(child, nn.ReLU | nn.BatchNorm2d):
            setattr(network, name, nn.Identity())
        else:
            smooth(child)
    return network


class Branched(nn.Module):
    """Branches of different reach, put together and added, with uneven windows."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 4, stride=2, padding=1)
        self.wide = nn.Conv2d(4, 4, 3, padding=4, dilation=4)
        self.narrow = nn.Conv2d(4, 4, 1)
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.joined = nn.Conv2d(8, 4, 3, padding="same")
        self.relu = nn.ReLU()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.stem(images)
        both = self.relu(torch.cat([self.narrow(maps), self.wide(maps)], 1))
        maps = self.pool(both)
        return self.relu(self.joined(maps))


def test_receptive_fields_of_branches_are_those_of_the_gradient() -> None:
    network = Branched()
    found = receptive_fields(copy.deepcopy(network).to("meta").eval(), (3, 99, 99))
    assert not found.unknown
    for layer in ("stem", "wide", "narrow", "pool", "joined", "relu"):
        assert last_field(found, layer) == by_gradient(network, layer, 99), layer
    assert found.by_call["relu", 0].size[0] == by_gradient(network, "relu", 99, 0)
    assert found.by_call["relu", 0] != found.by_call["relu", 1]


class Repeated(nn.Module):
    """A block of two layers that images go through three times."""

    def __init__(self) -> None:
        super().__init__()
        self.block = nn.Sequential(nn.Conv2d(3, 3, 3, stride=2, padding=1), nn.ReLU())

    def forward(self, images: torch.Tensor) -> Any:
        return self.block(self.block(self.block(images)))


def test_each_call_of_a_layer_has_a_receptive_field_of_its_own() -> None:
    network = Repeated()
    found = receptive_fields(copy.deepcopy(network).to("meta").eval(), (3, 99, 99)).by_call
    for layer in ("block", "block.0", "block.1"):
        fields = [found[layer, call].size[0] for call in range(3)]
        assert fields == [by_gradient(network, layer, 99, call) for call in range(3)] == [3, 7, 15]


def test_a_shared_relu_of_a_residual_block_has_two_receptive_fields() -> None:
    layers = sizes("resnet18").layers
    shared = [each.field for each in layers if each.layer == "layer1.0.relu"]
    assert [each and each.size for each in shared] == [(19, 19), (27, 27)]


def seen_by_all(network: nn.Module, side: int) -> int:
    """Return how many rows of pixels move what a network gives, whose weights are all 1."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(1.0)
    images = torch.rand(1, 3, side, side, requires_grad=True)
    network.eval()(images).square().sum().backward()
    assert images.grad is not None
    return len(images.grad[0].abs().sum((0, 2)).nonzero())


def test_normalisation_by_the_image_itself_looks_at_the_whole_of_it() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.InstanceNorm2d(4), nn.Conv2d(4, 2, 3))
    found = receptive_fields(copy.deepcopy(network).to("meta").eval(), (3, 20, 20)).by_call
    assert (found["0", 0].size, found["0", 0].stride) == ((3, 3), (1, 1))
    for layer in ("1", "2"):
        assert (found[layer, 0].size, found[layer, 0].stride) == ((20, 20), (0, 0))
    network.append(nn.AvgPool2d(8, 99))  # one unit, far from the edges
    assert seen_by_all(network, 20) == 20


@pytest.mark.parametrize(
    ("layer", "known"),
    [
        (nn.BatchNorm2d(4), True),
        (nn.InstanceNorm2d(4, track_running_stats=True), True),
        (nn.BatchNorm2d(4, track_running_stats=False), False),
        (nn.GroupNorm(2, 4), False),
    ],
)
def test_normalisation_is_pointwise_by_recorded_statistics_alone(
    layer: nn.Module, known: bool
) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), layer).to("meta").eval()
    found = receptive_fields(network, (3, 20, 20))
    assert (found.by_call.get(("1", 0)) == found.by_call["0", 0]) is known
    assert bool(found.unknown) is not known


@pytest.mark.parametrize("wanted", [2, 4, 6])
def test_all_units_of_an_uneven_pooling_see_no_more_than_there_is(wanted: int) -> None:
    pooled = nn.Sequential(nn.Conv2d(3, 4, 3, stride=3), nn.AdaptiveAvgPool2d(wanted))
    network = nn.Sequential(pooled, nn.Flatten(), nn.Linear(4 * wanted**2, 2))
    found = receptive_fields(copy.deepcopy(network).to("meta").eval(), (3, 17, 17)).by_call
    assert found["2", 0].size[0] == seen_by_all(network, 17) == 15


def last_field(found: Fields, layer: str) -> int:
    last = max(number for name, number in found.by_call if name == layer)
    return found.by_call[layer, last].size[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "layers", "side"),
    [
        ("alexnet", ["features.0", "features.5", "features.12"], 400),
        ("vgg16", ["features.9", "features.30"], 288),
        ("resnet18", ["maxpool", "layer1.0.relu", "layer3.0.conv2", "layer4.1.relu"], 576),
        ("squeezenet1_0", ["features.12.squeeze"], 400),
    ],
)
def test_receptive_fields_of_networks_are_those_of_the_gradient(
    name: str, layers: list[str], side: int
) -> None:
    network = torchvision.models.get_model(name, weights=None)
    found = receptive_fields(copy.deepcopy(network).to("meta").eval(), (3, side, side))
    body = network.features if hasattr(network, "features") else network
    for layer in layers:
        inner = layer.removeprefix("features.")
        assert last_field(found, layer) == by_gradient(body, inner, side), layer
