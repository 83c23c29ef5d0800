"""Whether a network may draw random numbers in training: if not, no generator is seeded for it.

Owns the list of layers that are known to draw none. Whatever is not in it may draw.
"""

from __future__ import annotations

from torch import nn

from runner.components.losses_net import FocalLoss

NEVER_DRAWING = frozenset(
    {
        *(nn.Sequential, nn.Identity, nn.Flatten, nn.Unflatten),
        *(nn.CrossEntropyLoss, FocalLoss),
        *(nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d),
        *(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.LayerNorm, nn.GroupNorm),
        *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.GELU, nn.SiLU, nn.Tanh, nn.Sigmoid),
        *(nn.Hardswish, nn.Hardsigmoid, nn.ELU, nn.Softplus, nn.Softmax, nn.LogSoftmax),
        *(nn.MaxPool1d, nn.MaxPool2d, nn.AvgPool1d, nn.AvgPool2d),
        *(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d),
    }
)
"""Classes of torch and a loss; a subclass, which may do anything, is none of them."""


def may_draw(*modules: nn.Module) -> bool:
    """Return whether the forward pass of one of these may draw from torch's generator."""
    return not all(_draws_nothing(layer) for module in modules for layer in module.modules())


def _draws_nothing(layer: nn.Module) -> bool:
    is_changed = "forward" in vars(layer) or layer._forward_hooks or layer._forward_pre_hooks
    return type(layer) in NEVER_DRAWING and not is_changed
