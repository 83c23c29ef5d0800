"""Weights of a network as pictures: filters before and after training, neurons."""

from __future__ import annotations

import numpy as np
import torch

from runner.components.analyses.weights import Filters, Neurons
from runner.engine.analyses.result import AnalysisInput, AnalysisResult
from runner.engine.inspection.filters import filter_pictures, neuron_pictures
from runner.engine.network.build import build_network


def filters(subject: AnalysisInput, asked: Filters) -> AnalysisResult:
    """Return the filters of the first convolution, before and after training.

    Raises:
        NotSuitable: when there is none.
    """
    settings, images = subject.settings, subject.images
    weights = subject.context.weights_path(settings)
    cpu = torch.device("cpu")
    initial = build_network(settings, images.shape, len(images.classes), cpu, weights)
    made = filter_pictures(initial.module, subject.network.module)
    layer = np.array([made.layer])
    return AnalysisResult(arrays={"layer": layer, "before": made.before, "after": made.after})


def neurons(subject: AnalysisInput, asked: Neurons) -> AnalysisResult:
    """Return the weights of neurons.

    Raises:
        NotSuitable: when they do not look at pixels.
    """
    network, shape = subject.network.module, subject.images.shape
    made = neuron_pictures(network, shape, asked.neurons, asked.layer)
    named = {"layer": np.array([made.layer]), "neurons": np.array(made.neurons)}
    return AnalysisResult(arrays={**named, "color": made.color, "summed": made.summed})
