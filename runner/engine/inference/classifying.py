"""A trained network at work: from pixels to logits, as its run is evaluated.

Owns how a network is built again from the weights that its run keeps. Knows neither files of images
nor what is asked of the logits.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from runner.components.models.pretrained import Pretrainable
from runner.core.errors import StageFailed
from runner.engine.arithmetic import computing, in_format, memory_format
from runner.engine.data.normalisation import Normalisation
from runner.engine.data.samples import evaluation_batch_size
from runner.engine.inference.model import TrainedModel
from runner.engine.network.build import Network, build_network, load_state
from runner.engine.numerics import MULTIPLY_ADDS_A_THREAD, begin_numerics, on_threads
from runner.engine.stages.evaluate import autocast


def restored_network(model: TrainedModel, device: torch.device) -> Network:
    """Return a trained network in evaluation mode.

    Raises:
        StageFailed: when the file of pretrained weights is no longer what it was, or the code of
            the network has changed since, so that the weights do not fit any more.
    """
    settings = model.settings
    if model.pretrained is not None and isinstance(settings.model, Pretrainable):
        from runner.engine.network.weights import WeightsMismatch, check_file

        try:
            check_file(settings.model, model.pretrained)
        except WeightsMismatch as error:
            raise StageFailed(f"{error}; put it back") from None
    given = model.tensors.keys()
    network = build_network(
        settings, model.shape, len(model.classes), device, model.pretrained, given
    )
    try:
        load_state(network, model.tensors)
    except RuntimeError as error:
        raise StageFailed(
            f"the weights of run {model.run_key[:12]} do not fit its network any more: {error}",
            hint=f"`runner show {model.run_key[:12]}` names the code that has changed since",
        ) from None
    network.eval()
    return network


class TrainedClassifier:
    """A trained network on a device.

    Attributes:
        model: what it was made from.
        network: in evaluation mode.
        batch_size: of the images that it takes best at a time.
    """

    def __init__(self, model: TrainedModel, device: torch.device) -> None:
        """Build the network.

        Raises:
            StageFailed: as :func:`restored_network`.
        """
        from runner.engine.network.layout import count_multiply_adds, network_on_meta

        self._cores = begin_numerics(device).cores
        self.model = model
        self.network = restored_network(model, device)
        self.batch_size = evaluation_batch_size(model.shape, device)
        self._device = device
        self._precision = model.settings.train.precision
        self._form = memory_format(device, self._precision)
        self._normalised = Normalisation(
            *model.settings.data.normalization(), model.shape[0], device
        )
        on_meta = network_on_meta(model.settings.model, model.shape, len(model.classes))
        work = count_multiply_adds(on_meta, model.shape)
        self._threads = max(1, min(self._cores, work // MULTIPLY_ADDS_A_THREAD))

    def inputs(self, pixels: NDArray[np.uint8]) -> Tensor:
        """Return pixels (B, H, W, C) as the network takes them: (B, C, H, W) float32."""
        channels, height, width = self.model.shape
        rows = torch.from_numpy(pixels).flatten(1).to(self._device)
        floats = self._normalised.rows(rows).view(len(rows), height, width, channels)
        return in_format(floats.permute(0, 3, 1, 2), self._form)

    @contextmanager
    def in_full(self) -> Iterator[None]:
        """Compute in fp32 while entered, on as many threads as the network takes."""
        with on_threads(self._threads), computing(self._device, "fp32"):
            yield

    def logits(self, pixels: NDArray[np.uint8], in_full: bool = False) -> Tensor:
        """Return logits (B, outputs), float32 on the CPU.

        Args:
            pixels: (B, H, W, C).
            in_full: compute in fp32, whatever the precision of the run.
        """
        precision = "fp32" if in_full else self._precision
        with (
            on_threads(self._threads),
            computing(self._device, precision),
            torch.inference_mode(),
            autocast(self._device, precision),
        ):
            return self.network.evaluated(self.inputs(pixels)).float().cpu()

    def most_probable(
        self, pixels: NDArray[np.uint8], count: int
    ) -> list[tuple[tuple[str, float], ...]]:
        """Return the (class, probability) of the most probable classes of each image.

        Args:
            pixels: (B, H, W, C).
            count: how many classes.
        """
        logits = self.logits(pixels).double()
        # of equal ones the first comes first, as in accuracy
        order = logits.argsort(dim=1, descending=True, stable=True)[:, :count]
        probabilities = logits.softmax(1).gather(1, order)
        return [
            tuple((self.model.outputs[index], share) for index, share in zip(*each, strict=True))
            for each in zip(order.tolist(), probabilities.tolist(), strict=True)
        ]
