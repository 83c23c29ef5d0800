"""Saliency beside an independent reference: hooks on modules, and torch's own gradients."""

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional

from runner.components.models.classifier import UnknownLayer
from runner.components.models.layers_net import on_meta
from runner.engine.inspection.guided import check_guided
from runner.engine.inspection.layers import NotSuitable, last_maps
from runner.engine.inspection.pictures import saliency_pictures
from runner.engine.inspection.saliency import (
    grad_cam,
    gradients,
    guided_backpropagation,
    predict,
)


class Tiny(nn.Module):
    """A residual block with a ReLU in place that is used twice, then a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 6, 3, padding=1)
        self.second = nn.Conv2d(6, 6, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.pool = nn.MaxPool2d(2)
        self.dropout = nn.Dropout(0.5)
        self.out = nn.Linear(6 * 16, 4)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.relu(self.first(images))
        maps = self.relu(maps + self.second(maps))
        logits: Tensor = self.out(self.dropout(self.pool(maps).flatten(1)))
        return logits


class Before(nn.Module):
    """Blocks that begin with their ReLU, of which the shortcut goes past it."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 6, 3, padding=1)
        self.second = nn.Conv2d(6, 6, 3, padding=1)
        self.relu = nn.ReLU()
        self.out = nn.Linear(6 * 64, 4)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.first(images)
        maps = self.relu(maps) + maps
        maps = self.second(self.relu(maps)) + maps
        logits: Tensor = self.out(maps.flatten(1))
        return logits


def network_of(name: str) -> nn.Module:
    torch.manual_seed(3)
    if name in ("tiny", "before"):
        return Tiny() if name == "tiny" else Before()
    network: nn.Module = torchvision.models.get_model(name, weights=None)
    return network


def images_for(name: str) -> Tensor:
    torch.manual_seed(4)
    side = 8 if name in ("tiny", "before") else 224
    return torch.randn(2, 3, side, side)


CLASSES = torch.tensor([1, 3])


def modules(network: nn.Module, kind: type[nn.Module]) -> list[nn.Module]:
    return [each for each in network.modules() if isinstance(each, kind)]


class GuidedReLU(torch.autograd.Function):
    @staticmethod
    def forward(context: torch.autograd.function.FunctionCtx, inputs: Tensor) -> Tensor:
        context.save_for_backward(inputs)
        return inputs.clamp(min=0)

    @staticmethod
    def backward(context: torch.autograd.function.FunctionCtx, gradient: Tensor) -> Tensor:  # type: ignore[override]
        (inputs,) = context.saved_tensors  # type: ignore[attr-defined]
        return torch.where((inputs > 0) & (gradient > 0), gradient, torch.zeros(()))


def by_reference(network: nn.Module, images: Tensor, classes: Tensor, guided: bool) -> Tensor:
    """Return the gradient, by replacing the function of each ReLU."""
    network = copy.deepcopy(network).eval()
    for relu in modules(network, nn.ReLU):
        relu.forward = GuidedReLU.apply if guided else functional.relu  # type: ignore[method-assign]
    inputs = images.clone().requires_grad_()
    scores = network(inputs)
    scores.gather(1, classes[:, None]).sum().backward()
    assert inputs.grad is not None
    return inputs.grad


def cam_by_reference(network: nn.Module, images: Tensor, classes: Tensor, layer: str) -> Tensor:
    """Return Grad-CAM from a layer's output, kept by a hook, and its gradient."""
    network = copy.deepcopy(network).eval()
    for relu in modules(network, nn.ReLU):
        relu.inplace = False
    kept: list[Tensor] = []
    network.get_submodule(layer).register_forward_hook(lambda *_: kept.append(_[2]))
    scores = network(images)
    (slopes,) = torch.autograd.grad(scores.gather(1, classes[:, None]).sum(), kept[-1])
    weights = slopes.mean((2, 3), keepdim=True)
    maps = (weights * kept[-1]).sum(1, keepdim=True).relu()
    size = images.shape[2:]
    return functional.interpolate(maps, size=size, mode="bilinear", align_corners=False)[:, 0]


EVERY = [
    "tiny",
    "before",
    *(pytest.param(name, marks=pytest.mark.slow) for name in ("alexnet", "resnet18")),
]


def close(found: Tensor, wanted: Tensor) -> bool:
    assert wanted.abs().max() > 0
    wanted = wanted.detach()
    return bool(torch.allclose(found, wanted, rtol=1e-4, atol=1e-6 * float(wanted.abs().max())))


@pytest.mark.parametrize("name", EVERY)
def test_gradients_are_those_of_the_reference(name: str) -> None:
    network, images = network_of(name), images_for(name)
    assert close(gradients(network, images, CLASSES), by_reference(network, images, CLASSES, False))


@pytest.mark.parametrize("name", EVERY)
def test_guided_backpropagation_is_that_of_the_reference(name: str) -> None:
    network, images = network_of(name), images_for(name)
    found = guided_backpropagation(network, images, CLASSES)
    assert close(found, by_reference(network, images, CLASSES, True))
    assert not torch.allclose(found, gradients(network, images, CLASSES), rtol=0.01)


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("tiny", "second"),
        ("tiny", "first"),
        ("tiny", "relu"),
        ("before", "second"),
        pytest.param("alexnet", "features.10", marks=pytest.mark.slow),
        pytest.param("alexnet", "features.12", marks=pytest.mark.slow),
        pytest.param("resnet18", "layer4", marks=pytest.mark.slow),
        pytest.param("resnet18", "layer4.1.conv2", marks=pytest.mark.slow),
    ],
)
def test_grad_cam_is_that_of_the_reference(name: str, layer: str) -> None:
    network, images = network_of(name), images_for(name)
    found = grad_cam(network, images, CLASSES, layer)
    assert close(found, cam_by_reference(network, images, CLASSES, layer))
    assert found.shape == (2, *images.shape[2:])


def test_grad_cam_looks_at_the_last_maps() -> None:
    network, images = network_of("tiny"), images_for("tiny")
    assert last_maps(network, images) == "relu"  # after the shortcut, before the pooling
    named = grad_cam(network, images, CLASSES, "relu")
    assert torch.equal(grad_cam(network, images, CLASSES), named)


def densenet() -> nn.Module:
    return torchvision.models.DenseNet(4, (2, 2), 8)


def resnet() -> nn.Module:
    return torchvision.models.ResNet(torchvision.models.resnet.BasicBlock, [1, 1, 1, 1])


def pooled_first(inplace: bool) -> Callable[[], nn.Module]:
    layers = (nn.Conv2d(3, 4, 3), nn.MaxPool2d(2), nn.ReLU(inplace), nn.Dropout2d(), nn.Flatten())
    return lambda: nn.Sequential(nn.Sequential(*layers), nn.Linear(4 * 31**2, 2))


@pytest.mark.parametrize(
    ("build", "layer"),
    [
        (densenet, "features"),  # all channels that are classified, not those of one convolution
        (resnet, "layer4"),
        (pooled_first(inplace=True), "0.0"),
        (pooled_first(inplace=False), "0.0"),
    ],
)
def test_last_maps_are_those_that_are_classified(
    build: Callable[[], nn.Module], layer: str
) -> None:
    network = on_meta(build)
    assert last_maps(network, torch.empty(2, 3, 64, 64, device="meta")) == layer


def test_last_maps_of_a_network_of_tokens_are_to_be_named() -> None:
    layers = (nn.Conv2d(3, 8, 4, 4), nn.Flatten(2), nn.Linear(4, 6), nn.Flatten())
    with pytest.raises(NotSuitable, match=r"the maps of 0 become a sequence .*1 gives no"):
        last_maps(nn.Sequential(*layers), torch.randn(1, 3, 8, 8))


def test_a_network_is_left_as_it_was() -> None:
    network, images = network_of("tiny").train(), images_for("tiny")
    network.get_submodule("first").eval()
    network.get_submodule("out").requires_grad_(False)
    before = copy.deepcopy(network.state_dict())
    with torch.inference_mode():
        for method in (gradients, guided_backpropagation, grad_cam):
            method(network, images, CLASSES)
    assert network.training
    assert not network.get_submodule("first").training
    assert all(torch.equal(before[name], each) for name, each in network.state_dict().items())
    assert all(each.grad is None for each in network.parameters())
    assert not any(each._backward_hooks or each._forward_hooks for each in network.modules())


def test_predicted_classes_are_those_of_the_highest_probability() -> None:
    network, images = network_of("tiny").train(), images_for("tiny")
    found = predict(network, images)
    scores = copy.deepcopy(network).eval()(images)
    assert torch.allclose(found.probabilities, scores.softmax(1))
    assert torch.equal(found.classes, scores.argmax(1))


def unguided(build: Callable[[], nn.Module]) -> str:
    with pytest.raises(NotSuitable) as caught:
        guided_backpropagation(build(), torch.randn(1, 3, 8, 8), torch.tensor([0]))
    return str(caught.value)


class Functional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.relu, self.last = nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 6)

    def forward(self, images: Tensor) -> Tensor:
        return functional.relu(self.last(self.relu(self.first(images)))).flatten(1)


class Hidden(nn.Module):
    """A layer without layers inside, whose activation no hook sees."""

    def forward(self, maps: Tensor) -> Tensor:
        return functional.relu(maps) * 2


class Gated(nn.Module):
    """Maps that are weighed by what one of their layers makes of them."""

    def __init__(self, gate: nn.Module) -> None:
        super().__init__()
        self.gate, self.relu, self.inner = gate, nn.ReLU(), nn.Conv2d(3, 3, 1)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.relu(images)
        return (maps * self.gate(self.inner(maps))).flatten(1)


class Swish(Gated):
    def forward(self, images: Tensor) -> Tensor:
        maps = self.inner(self.relu(images))
        return (maps * self.gate(maps)).flatten(1)


class Reused(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.relu = nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.first(images)
        return (self.relu(maps) + maps).flatten(1)


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: nn.Sequential(nn.ReLU(), Hidden(), nn.Flatten()), "relu is a call of relu; "),
        (lambda: nn.Sequential(nn.ReLU(), nn.Threshold(0, 0)), "1 is a Threshold; "),
        (lambda: nn.Sequential(nn.ReLU(), nn.Softsign()), "1 is a Softsign; "),
        (lambda: nn.Sequential(nn.ReLU(), nn.TransformerEncoderLayer(8, 2)), "is a Transformer"),
        (lambda: nn.Sequential(nn.ReLU(), nn.Sigmoid(), nn.Flatten()), "1 is a Sigmoid; "),
        (lambda: Swish(nn.Sigmoid()), "gate is a Sigmoid; "),
        (Reused, "relu changes in place what is used again behind it"),
    ],
)
def test_guided_backpropagation_refuses_what_may_be_an_activation(
    build: Callable[[], nn.Module], said: str
) -> None:
    with pytest.raises(NotSuitable, match=said):
        check_guided(build())


def test_guided_backpropagation_knows_gates_from_activations() -> None:
    for gate in (nn.Sigmoid(), nn.Hardsigmoid()):
        check_guided(Gated(gate))


def test_gradients_that_are_not_finite_are_refused() -> None:
    network, images = network_of("tiny"), images_for("tiny")
    with torch.no_grad():
        network.get_submodule("second").weight.fill_(float("nan"))
    for method in (gradients, guided_backpropagation, grad_cam):
        with pytest.raises(NotSuitable, match="is not finite"):
            method(network, images, CLASSES)


@pytest.mark.parametrize("activation", [nn.SiLU, nn.Hardswish, nn.ReLU6, nn.GELU, nn.LeakyReLU])
def test_guided_backpropagation_refuses_other_activations(activation: type[nn.Module]) -> None:
    layers = (nn.Conv2d(3, 2, 3), nn.ReLU(), activation(), nn.Flatten())
    said = unguided(lambda: nn.Sequential(*layers))
    rules = "guided backpropagation has rules for ReLU modules and linear operations alone"
    assert said == f"2 is a {activation.__name__}; {rules}"


def test_guided_backpropagation_refuses_functional_relu() -> None:
    assert unguided(Functional).startswith("relu_1 is a call of relu; guided")


def test_guided_backpropagation_refuses_a_network_without_relu() -> None:
    assert unguided(nn.Flatten).startswith("the network has no ReLU")


class Unused(nn.ModuleList):
    def __init__(self) -> None:
        super().__init__([nn.Conv2d(3, 4, 3)])

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1)


def test_grad_cam_refuses_layers_without_maps() -> None:
    network, images = network_of("tiny"), images_for("tiny")
    with pytest.raises(UnknownLayer, match="secnd") as caught:
        grad_cam(network, images, CLASSES, "secnd")
    assert "second" in caught.value.layers
    with pytest.raises(NotSuitable, match="out gives no maps"):
        grad_cam(network, images, CLASSES, "out")
    pooled = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with pytest.raises(NotSuitable, match="1 gives maps of one place only"):
        grad_cam(pooled, images, CLASSES, "1")
    with pytest.raises(NotSuitable, match="no image goes through 0"):
        grad_cam(Unused(), images, CLASSES, "0")
    with pytest.raises(NotSuitable, match="no layer that gives maps"):
        grad_cam(nn.Sequential(nn.Flatten(), nn.Linear(192, 4)), images, CLASSES)


def test_saliency_pictures_are_scaled_as_they_say() -> None:
    gradient = np.zeros((3, 2, 2), np.float32)
    gradient[0, 0, 0], gradient[1, 1, 1] = 4, -2
    made = saliency_pictures(gradient)
    most = np.percentile(np.abs(gradient), 99.5)
    assert made["positive"][0, 0].tolist() == [1, 0, 0]
    assert made["positive"].sum() == 1
    assert made["negative"][1, 1, 1] == pytest.approx(2 / most)
    assert np.count_nonzero(made["negative"]) == 1
    assert made["color"][0, 0].tolist() == [1, 0.5, 0.5]
    assert made["color"][1, 1].tolist() == pytest.approx([0.5, 0.5 - 1 / most, 0.5])
    assert made["gray"][0].tolist() == [1, 0]


def test_one_bright_pixel_does_not_leave_the_others_dark() -> None:
    gradient = np.ones((1, 40, 40), np.float32)
    gradient[0, 3, 4] = 1000
    made = saliency_pictures(gradient)
    assert made["positive"].min() == made["gray"].min() == 1
    alone = np.zeros((1, 40, 40), np.float32)
    alone[0, 3, 4] = 1000
    assert saliency_pictures(alone)["positive"].sum() == 1


def test_pictures_of_no_gradient_are_plain() -> None:
    made = saliency_pictures(np.zeros((1, 2, 2), np.float32))
    plain = {name: (float(each.min()), float(each.max())) for name, each in made.items()}
    assert plain == {"color": (0.5, 0.5), "gray": (0, 0), "positive": (0, 0), "negative": (0, 0)}
