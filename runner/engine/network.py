"""Models from settings: keyed initialisation, layout on the meta device.

Owns the model's memory format and how its weights are identified.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from runner.components.models.classifier import Classifier
from runner.core.keys import keyed_seed
from runner.spec.settings import Settings

Shape = tuple[int, int, int]


def build_network(
    settings: Settings, shape: Shape, num_classes: int, device: torch.device
) -> nn.Module:
    """Return the freshly initialised network, channels-last, on the device.

    Weights are drawn on the CPU from the run's seed, so that devices agree; the global random state
    is left as it was.
    """
    outputs = num_outputs(settings.model, num_classes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(keyed_seed(settings.seed, "init"))
        network = settings.model.build(shape, outputs)
    moved = network.to(device)
    return moved.to(memory_format=torch.channels_last)


def num_outputs(model: Classifier, num_classes: int) -> int:
    """Return the width of the last layer."""
    return num_classes if model.classes is None else model.classes


def count_parameters(network: nn.Module) -> int:
    """Return the number of parameters, trainable or not."""
    return sum(parameter.numel() for parameter in network.parameters())


def network_parameters(settings: Settings, shape: Shape, num_classes: int) -> int:
    """Return the number of parameters without allocating them.

    Raises:
        ValueError: when the network does not fit the images.
    """
    with torch.device("meta"):
        network = settings.model.build(shape, num_outputs(settings.model, num_classes))
    return count_parameters(network)


def copy_state(network: nn.Module) -> dict[str, Tensor]:
    """Return a copy of weights and buffers, on their device."""
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


def tensors_digest(tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 over names, types, shapes and values, in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
