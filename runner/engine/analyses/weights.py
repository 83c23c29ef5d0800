"""Weights of a network as pictures: filters before and after training, neurons."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from runner.components.analyses.weights import Filters, Neurons
from runner.engine.analyses.result import AnalysisResult, NetworkInput, Part
from runner.engine.inspection.filters import (
    filter_pictures,
    filters_layer,
    neuron_pictures,
    neurons_layer,
)
from runner.engine.network.build import build_network


def filters(subject: NetworkInput, asked: Filters) -> AnalysisResult:
    """Return the filters of the first convolution, before and after training.

    Raises:
        NotSuitable: when there is none.
    """
    settings, cpu = subject.settings, torch.device("cpu")
    weights = subject.context.weights_path(settings)
    initial = build_network(settings, subject.shape, subject.num_classes, cpu, weights)
    made = filter_pictures(initial.module, subject.network.module)
    layer = np.array([made.layer])
    return AnalysisResult(arrays={"layer": layer, "before": made.before, "after": made.after})


def check_filters(asked: Filters) -> list[Part]:
    """Return what it asks of a network: a convolution of the pixels."""
    return [("", lambda network, images: filters_layer(network))]


def neurons(subject: NetworkInput, asked: Neurons) -> AnalysisResult:
    """Return the weights of neurons.

    Raises:
        NotSuitable: when they do not look at pixels.
    """
    network, shape = subject.network.module, subject.shape
    made = neuron_pictures(network, shape, asked.neurons, asked.layer)
    named = {"layer": np.array([made.layer]), "neurons": np.array(made.neurons)}
    return AnalysisResult(arrays={**named, "color": made.color, "summed": made.summed})


def check_neurons(asked: Neurons) -> list[Part]:
    """Return what it asks of a network: neurons of these numbers that take in the pixels."""

    def look(network: nn.Module, images: Tensor) -> None:
        channels, height, width = images.shape[1:]
        neurons_layer(network, (channels, height, width), asked.neurons, asked.layer)

    return [("neurons", look)]
