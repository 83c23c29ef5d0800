"""What the output of each layer sees of an image, given what its input sees.

Owns the rule of each layer; one without a rule is said to be unknown, never guessed.
"""

from __future__ import annotations

from typing import Any, cast

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.modules.instancenorm import _InstanceNorm
from torch.nn.modules.pooling import (
    _AdaptiveAvgPoolNd,
    _AdaptiveMaxPoolNd,
    _AvgPoolNd,
    _MaxPoolNd,
)

from runner.engine.inspection.layers import LAYER_NORM_2D, PERMUTE, STOCHASTIC_DEPTH, class_of
from runner.engine.inspection.receptive_windows import (
    ReceptiveWindow,
    UnknownOperation,
    Window,
    adaptively_pooled,
    mixed,
    normalised,
    permuted,
    reshaped,
    windowed,
)

POINTWISE_LAYERS = (
    *(_DropoutNd, nn.Identity, nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU),
    *(nn.CELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish, nn.Tanh, nn.Sigmoid, nn.Softplus, nn.Hardswish),
    *(nn.Hardsigmoid, nn.Hardtanh),
)
"""Each unit of the output sees what that unit of the input sees; all are in evaluation mode."""


OF_TORCHVISION = frozenset({LAYER_NORM_2D, STOCHASTIC_DEPTH, PERMUTE})
"""Layers with a rule that are not torch's own; any other, also of a subclass, may do anything."""


def layer_window(
    layer: nn.Module, source: Any, output: Any, seen: list[ReceptiveWindow]
) -> ReceptiveWindow:
    """Return what the output of a layer sees.

    Raises:
        UnknownOperation: for a layer without a rule.
    """
    one, kind, name = seen[0], type(layer), class_of(layer)
    if not name.startswith("torch.nn.modules.") and name not in OF_TORCHVISION:
        raise UnknownOperation(f"{kind.__name__} has no rule")
    if len(seen) > 1:
        raise UnknownOperation(f"{kind.__name__} of several inputs")
    if isinstance(layer, POINTWISE_LAYERS) or name in (STOCHASTIC_DEPTH, LAYER_NORM_2D):
        return one
    if isinstance(layer, _BatchNorm | _InstanceNorm):
        return _normalisation(layer, one, source)
    if isinstance(layer, _ConvNd) and not isinstance(layer, _ConvTransposeNd):
        return windowed(one, output, _convolution(layer))
    if isinstance(layer, _MaxPoolNd | _AvgPoolNd):
        return windowed(one, output, _pooling(layer))
    if isinstance(layer, _AdaptiveAvgPoolNd | _AdaptiveMaxPoolNd):
        return adaptively_pooled(one, output)
    if isinstance(layer, nn.Linear):
        return _linear(one, source, output)
    if isinstance(layer, nn.LayerNorm):
        return normalised(one, source, len(layer.normalized_shape))
    if name == PERMUTE:
        return permuted(one, tuple(cast(list[int], layer.dims)), output)
    if isinstance(layer, nn.Flatten):
        return reshaped(one, source, output)
    raise UnknownOperation(f"{kind.__name__} has no rule")


def _pair(value: Any) -> tuple[int, int]:
    return tuple(value) if isinstance(value, tuple | list) else (value, value)


def _convolution(layer: _ConvNd) -> tuple[Window, Window]:
    sizes, dilations = _pair(layer.kernel_size), _pair(layer.dilation)
    if layer.padding == "same":
        spans = [step * (size - 1) for size, step in zip(sizes, dilations, strict=True)]
        paddings = (spans[0] // 2, spans[1] // 2)
    else:
        paddings = (0, 0) if layer.padding == "valid" else _pair(layer.padding)
    strides = _pair(layer.stride)
    rows, columns = zip(sizes, strides, paddings, dilations, strict=True)
    return rows, columns


def _pooling(layer: Any) -> tuple[Window, Window]:
    sizes = _pair(layer.kernel_size)
    strides = sizes if layer.stride is None else _pair(layer.stride)
    dilations = _pair(getattr(layer, "dilation", 1))
    rows, columns = zip(sizes, strides, _pair(layer.padding), dilations, strict=True)
    return rows, columns


def _normalisation(
    layer: _BatchNorm | _InstanceNorm, seen: ReceptiveWindow, source: Tensor
) -> ReceptiveWindow:
    """Return what a normalisation sees that is in evaluation mode."""
    if layer.running_mean is not None:
        return seen  # by recorded statistics, each unit by itself
    if isinstance(layer, _BatchNorm):
        raise UnknownOperation(f"{type(layer).__name__} by the statistics of its batch")
    return normalised(seen, source, source.ndim - 2)


def _linear(seen: ReceptiveWindow, source: Tensor, output: Tensor) -> ReceptiveWindow:
    """Return what a linear layer over the last dimension sees."""
    if seen.axes is None:
        return seen.whole()
    if source.ndim - 1 in seen.axes:
        return mixed(seen, {source.ndim - 1}).at(seen.axes, output)
    return seen
