"""Where a network looks: what of an image moves the score of a class, by captum.

Networks are looked at in evaluation mode and float32, and left with their weights, mode and
gradients as they were. Of which networks a method says something is told by ``guided`` and
``layers``.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from runner.engine.inspection.guided import check_guided
from runner.engine.inspection.layers import (
    NotSuitable,
    check_maps,
    evaluated,
    last_maps,
    layer_named,
)


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
    with evaluated(network), torch.no_grad():
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

    Raises:
        NotSuitable: when they are not finite.
    """
    from captum.attr import Saliency

    with evaluated(network):
        found: Tensor = Saliency(network).attribute(_own(images), target=classes, abs=False)
    return _finite(found, "gradient")


def guided_backpropagation(network: nn.Module, images: Tensor, classes: Tensor) -> Tensor:
    """Return the gradient in which each ReLU passes back positive values only.

    Springenberg et al., 2015; arguments and shapes as of :func:`gradients`.

    Raises:
        NotSuitable: when something in the network would pass its plain gradient instead, or when
            they are not finite.
    """
    from captum.attr import GuidedBackprop

    check_guided(network)
    relus = [layer for layer in network.modules() if isinstance(layer, nn.ReLU)]
    hooks = [relu.register_forward_pre_hook(_copied) for relu in relus]
    try:
        with evaluated(network), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Setting backward hooks on ReLU")
            found: Tensor = GuidedBackprop(network).attribute(_own(images), target=classes)
    finally:
        for hook in hooks:
            hook.remove()
    return _finite(found, "gradient")


def _copied(_: nn.Module, inputs: tuple[Any, ...]) -> Tensor:
    """Return a copy of what a ReLU takes in.

    captum applies the rule to all that comes back to this tensor; what else uses the original, as
    the shortcut around a block that begins with its ReLU, is not to be guided.
    """
    (given,) = inputs
    copy: Tensor = given.clone()
    return copy


def grad_cam(
    network: nn.Module, images: Tensor, classes: Tensor, layer: str | None = None
) -> Tensor:
    """Return how much each place of a layer's maps speaks for a class (Selvaraju et al., 2017).

    Args:
        network: from images to scores.
        images: normalised (B, C, H, W).
        classes: whose score (B,) int64.
        layer: its name; that of :func:`last_maps` when not given.

    Returns:
        Maps (B, H, W) of the images' size, 0 and above, interpolated from the layer's.

    Raises:
        UnknownLayer: for a layer that the network has not.
        NotSuitable: for one that gives no maps, or a network without such a layer, or when the
            result is not finite.
    """
    from captum.attr import LayerGradCam

    name = last_maps(network, images) if layer is None else layer
    check_maps(network, images[:1], name)
    with evaluated(network):
        captured = LayerGradCam(network, layer_named(network, name)).attribute(
            _own(images), target=classes, relu_attributions=True
        )
    assert isinstance(captured, Tensor)
    size = (images.shape[2], images.shape[3])
    maps = functional.interpolate(
        _finite(captured, "map"), size, mode="bilinear", align_corners=False
    )
    return maps[:, 0]


def _own(images: Tensor) -> Tensor:
    """Return images that take gradients, without others knowing."""
    return images.detach().float().clone().requires_grad_()


def _finite(values: Tensor, what: str) -> Tensor:
    """Return values that can be shown.

    Raises:
        NotSuitable: when some are not finite.
    """
    if not values.isfinite().all():
        raise NotSuitable(f"the {what} is not finite, as of a training that has diverged")
    return values.detach()
