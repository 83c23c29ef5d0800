"""timm's networks in torch: found by name, built for the images and classes of the data."""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import timm
from timm.models import get_pretrained_cfg
from torch import nn

from runner.components.models.layers_net import on_meta, output_size
from runner.components.models.timm_names import PREFIX, UnknownNetwork
from runner.core.errors import nearest

if TYPE_CHECKING:
    from timm.models import PretrainedCfg

SUGGESTED = 3
"""Names of networks that a message suggests at most."""


def build_timm(name: str, image_shape: tuple[int, int, int], num_classes: int) -> nn.Module:
    """Return timm's network of that name; its weights are drawn as timm does.

    Args:
        name: as in a spec.
        image_shape: channels, height, width; any number of channels.
        num_classes: outputs of its last layer.

    Raises:
        UnknownNetwork: when timm has none of that name.
        ValueError: when it takes no images of this shape.
        RuntimeError: when the images are too small for it.
    """
    config = network_config(name)
    channels, height, width = image_shape
    own = tuple(config.input_size[1:])
    is_sized = config.fixed_input_size and (height, width) != own
    size: dict[str, Any] = {"img_size": (height, width)} if is_sized else {}
    try:
        network = _created(name, num_classes, in_chans=channels, **size)
    except TypeError:
        if not size:
            raise
        raise ValueError(
            f"{name} takes images of {own[0]}×{own[1]} alone, not of {height}×{width}"
        ) from None
    given = output_size(network, image_shape)
    if given != (num_classes,):
        shown = ", ".join(map(str, given))
        raise ValueError(f"{name} gives (B, {shown}), not logits (B, {num_classes})")
    return network


def _created(name: str, num_classes: int, **settings: Any) -> nn.Module:
    architecture = name.removeprefix(PREFIX)
    network: nn.Module = timm.create_model(
        architecture, pretrained=False, num_classes=num_classes, **settings
    )
    return network


@cache
def network_config(name: str) -> PretrainedCfg:
    """Return what timm says of a network and of the weights that its tag names.

    Raises:
        UnknownNetwork: when timm has none of that name.
    """
    wanted = name.removeprefix(PREFIX)
    architecture, _, tag = wanted.partition(".")
    tags = [each.partition(".")[2] for each in timm.list_pretrained(f"{architecture}.*")]
    if not timm.is_model(architecture):
        like = get_close_matches(architecture, timm.list_models(), SUGGESTED)
        found = f"timm {timm.__version__} has no network {architecture}"
        hint = "" if like else "timm.list_models() lists its networks"
        names = ", ".join(PREFIX + each for each in like)
        raise UnknownNetwork(found, hint=hint, suggestion=names)
    if tag and tag not in tags:
        nearest_tag = nearest(tag, tags)
        found = f"timm {timm.__version__} has no weights {tag} of {architecture}"
        known = ", ".join(tags) or "none"
        suggestion = f"{PREFIX}{architecture}.{nearest_tag}" if nearest_tag else ""
        raise UnknownNetwork(found, hint=f"it has: {known}", suggestion=suggestion)
    config: PretrainedCfg | None = get_pretrained_cfg(wanted)
    assert config is not None, f"timm says nothing of {wanted}"
    return config


@cache
def last_layer(name: str) -> frozenset[str]:
    """Return the names of a network's tensors whose shapes depend on the number of classes."""
    shapes = []
    for num_classes in (2, 3):
        network = on_meta(partial(_created, name, num_classes))
        shapes.append({key: tensor.shape for key, tensor in network.state_dict().items()})
    return frozenset(key for key, shape in shapes[0].items() if shapes[1][key] != shape)
