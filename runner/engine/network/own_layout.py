"""What is known of a network of the user's own: built in memory, and tried on two empty images.

Own code need not work on the meta device. Owns what such a network must do at the least: give
logits for its classes, and the same ones for the same images.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from runner.components.models.counting_net import MultiplyAdds
from runner.components.models.own_model import OwnModel
from runner.components.own.loading import failed
from runner.components.own.problems import OwnCodeFailed
from runner.components.settings import Settings
from runner.core.keys import keyed_seed

Shape = tuple[int, int, int]
TRIED = 2
"""Images of the batch that is tried."""


def own_network(settings: Settings, shape: Shape, outputs: int) -> tuple[nn.Module, int]:
    """Return an own network in evaluation mode, and its multiply-adds for one image.

    Raises:
        OwnCodeFailed: when own code raises an error; when it has no weights, does not give logits
            (B, ``outputs``), or gives others for the same images.
    """
    model = settings.model
    assert isinstance(model, OwnModel)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(keyed_seed(settings.seed, "init"))
        network = model.build(shape, outputs).eval()
        if not any(True for _ in network.parameters()):
            raise OwnCodeFailed(f"'{model.own.name}' has no weights to train")
        counter = MultiplyAdds()
        images = torch.linspace(-1, 1, TRIED * shape[0] * shape[1] * shape[2])
        images = images.reshape(TRIED, *shape)
        with counter:
            first = _logits(model, network, images)
        _check(model, first, outputs)
        second = _logits(model, network, images)
    if not torch.equal(first, second):
        raise OwnCodeFailed(
            f"'{model.own.name}' gives other logits for the same images in evaluation mode: it"
            " draws random numbers, or remembers what it was given",
            hint="F.dropout draws unless it is given training=self.training",
        )
    return network, counter.total // TRIED


def _logits(model: OwnModel, network: nn.Module, images: Tensor) -> Any:
    try:
        with torch.no_grad():
            logits = network(images.clone())
    except Exception as error:
        raise failed(f"'{model.own.name}' does not take images (B, C, H, W)", error) from error
    return logits.clone() if isinstance(logits, Tensor) else logits


def _check(model: OwnModel, logits: Any, outputs: int) -> None:
    name = f"'{model.own.name}'"
    if not isinstance(logits, Tensor):
        kind = type(logits).__name__
        raise OwnCodeFailed(f"{name} gives a {kind}, not a tensor of logits (B, {outputs})")
    if tuple(logits.shape) != (TRIED, outputs):
        given = ", ".join(map(str, logits.shape[1:]))
        raise OwnCodeFailed(
            f"{name} gives (B, {given}), not logits (B, {outputs}): num_classes is {outputs}"
        )
    if not logits.is_floating_point():
        raise OwnCodeFailed(f"{name} gives {logits.dtype}, not logits of floating point")
