"""Where a network looks: what of an image moves the score of a class, by captum.

Owns which networks a method says something about: captum gives the plain gradient, without a word,
for a ReLU that it cannot hook. Networks are looked at in evaluation mode and float32, and left with
their weights, mode and gradients as they were.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from runner.components.models.classifier import UnknownLayer
from runner.components.models.layers_net import LeafTracer

UNGUIDED = (
    *(nn.LeakyReLU, nn.PReLU, nn.RReLU, nn.ReLU6, nn.ELU, nn.CELU, nn.SELU, nn.GELU, nn.SiLU),
    *(nn.Mish, nn.Hardswish, nn.Hardtanh, nn.Softplus, nn.Tanh, nn.LogSigmoid),
)
"""Activations that guided backpropagation knows no rule for. Gates (sigmoid) are none."""

FUNCTIONAL = frozenset(
    {
        *("relu", "relu_", "relu6", "leaky_relu", "elu", "celu", "selu", "gelu", "silu", "mish"),
        *("hardswish", "hardtanh", "softplus", "tanh", "clamp", "clamp_min"),
    }
)
"""Names of functions and methods that are activations without a module to hook."""


class NotSuitable(ValueError):
    """A network of which a method says nothing, or something else than its name promises."""


@dataclass(frozen=True, slots=True)
class Predicted:
    """What a network makes of images.

    Attributes:
        classes: the class of the highest score (B,) int64.
        probabilities: of all classes (B, classes) float32.
    """

    classes: Tensor
    probabilities: Tensor


def predict(network: nn.Module, images: Tensor) -> Predicted:
    """Return the most likely class of normalised images (B, C, H, W), and all probabilities."""
    with _looked_at(network), torch.no_grad():
        probabilities = network(images).float().softmax(1)
    return Predicted(probabilities.argmax(1), probabilities)


def gradients(network: nn.Module, images: Tensor, classes: Tensor) -> Tensor:
    """Return the gradient of each image's class score by its pixels.

    Args:
        network: from images to scores.
        images: normalised (B, C, H, W).
        classes: whose score (B,) int64.

    Returns:
        Gradients (B, C, H, W), with their signs.
    """
    from captum.attr import Saliency

    with _looked_at(network):
        found: Tensor = Saliency(network).attribute(_own(images), target=classes, abs=False)
    return found.detach()


def guided_backpropagation(network: nn.Module, images: Tensor, classes: Tensor) -> Tensor:
    """Return the gradient in which each ReLU passes back positive values only.

    Springenberg et al., 2015; arguments and shapes as of :func:`gradients`.

    Raises:
        NotSuitable: when something in the network would pass its plain gradient instead.
    """
    from captum.attr import GuidedBackprop

    check_guided(network)
    with _looked_at(network), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Setting backward hooks on ReLU")
        found: Tensor = GuidedBackprop(network).attribute(_own(images), target=classes)
    return found.detach()


def check_guided(network: nn.Module) -> None:
    """Check that all activations of a network are modules of the class ``nn.ReLU``.

    Raises:
        NotSuitable: with the first that is not.
    """
    for name, layer in network.named_modules():
        if isinstance(layer, UNGUIDED):
            kind = type(layer).__name__
            raise NotSuitable(f"{name} is a {kind}; guided backpropagation is of ReLU alone")
    try:
        graph = LeafTracer().trace(network)
    except (fx.proxy.TraceError, TypeError):
        raise NotSuitable(
            "which operations the network has depends on values: that all its activations are"
            " ReLU modules cannot be told"
        ) from None
    for node in graph.nodes:
        name = str(getattr(node.target, "__name__", node.target))
        if node.op in ("call_function", "call_method") and name in FUNCTIONAL:
            raise NotSuitable(
                f"{node.name} is a call of {name}, no module: its gradient cannot be guided"
            )
    if not any(isinstance(layer, nn.ReLU) for layer in network.modules()):
        raise NotSuitable("the network has no ReLU; guided backpropagation would be its gradient")


def grad_cam(
    network: nn.Module, images: Tensor, classes: Tensor, layer: str | None = None
) -> Tensor:
    """Return how much each place of a layer's maps speaks for a class (Selvaraju et al., 2017).

    Args:
        network: from images to scores.
        images: normalised (B, C, H, W).
        classes: whose score (B,) int64.
        layer: its name; the last convolution that gives maps when not given.

    Returns:
        Maps (B, H, W) of the images' size, 0 and above, interpolated from the layer's.

    Raises:
        UnknownLayer: for a layer that the network has not.
        NotSuitable: for one that gives no maps, or a network without such a layer.
    """
    from captum.attr import LayerGradCam

    name = last_maps(network, images) if layer is None else layer
    chosen = layer_named(network, name)
    with _looked_at(network):
        captured = LayerGradCam(network, chosen).attribute(
            _own(images), target=classes, relu_attributions=True
        )
    if not isinstance(captured, Tensor) or captured.ndim != 4:
        shape = tuple(captured.shape[1:]) if isinstance(captured, Tensor) else "no tensor"
        raise NotSuitable(f"{name} gives no maps for Grad-CAM, but {shape}")
    size = (images.shape[2], images.shape[3])
    maps = functional.interpolate(captured.detach(), size, mode="bilinear", align_corners=False)
    return maps[:, 0]


def layer_named(network: nn.Module, name: str) -> nn.Module:
    """Return the layer of that name.

    Raises:
        UnknownLayer: when there is none.
    """
    layers: dict[str, nn.Module] = dict(network.named_modules())
    if name not in layers or not name:
        raise UnknownLayer("layer", name, [each for each in layers if each])
    return layers[name]


def last_maps(network: nn.Module, images: Tensor) -> str:
    """Return the name of the convolution called last whose maps have more than one place.

    Raises:
        NotSuitable: when there is none.
    """
    called: list[str] = []
    hooks = []
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Conv2d):

            def remember(_: nn.Module, __: object, output: Tensor, name: str = name) -> None:
                if output.shape[2] * output.shape[3] > 1:
                    called.append(name)

            hooks.append(layer.register_forward_hook(remember))
    try:
        with _looked_at(network), torch.no_grad():
            network(images[:1])
    finally:
        for hook in hooks:
            hook.remove()
    if not called:
        raise NotSuitable("the network has no convolution that gives maps")
    return called[-1]


def _own(images: Tensor) -> Tensor:
    """Return images that take gradients, without others knowing."""
    return images.detach().float().clone().requires_grad_()


@contextmanager
def _looked_at(network: nn.Module) -> Iterator[None]:
    """Put a network into evaluation mode while entered."""
    modes: Sequence[tuple[nn.Module, bool]] = [(each, each.training) for each in network.modules()]
    network.eval()
    try:
        with torch.inference_mode(mode=False), torch.enable_grad():
            yield
    finally:
        for module, mode in modes:
            module.training = mode
