"""Analyses of networks: how each is computed. To add one: a module here, and a line below."""

from __future__ import annotations

from runner.components.analyses.analysis import AnalysisSettings
from runner.components.analyses.embedding import Embedding
from runner.components.analyses.predictions import Predictions
from runner.components.analyses.robustness import Robustness
from runner.components.analyses.saliency import Saliency
from runner.components.analyses.sizes import Sizes
from runner.components.analyses.weights import Filters, Neurons
from runner.engine.analyses.embedding import check_embedding, embedding
from runner.engine.analyses.predictions import predictions
from runner.engine.analyses.result import Analyser
from runner.engine.analyses.robustness import robustness
from runner.engine.analyses.saliency import check_saliency, saliency
from runner.engine.analyses.sizes import sizes
from runner.engine.analyses.weights import check_filters, check_neurons, filters, neurons

ANALYSES: dict[type[AnalysisSettings], Analyser] = {
    Robustness: Analyser(robustness),
    Predictions: Analyser(predictions),
    Filters: Analyser(filters, check_filters),
    Neurons: Analyser(neurons, check_neurons),
    Saliency: Analyser(saliency, check_saliency),
    Embedding: Analyser(embedding, check_embedding),
    Sizes: Analyser(sizes),
}
"""What makes each analysis, by the class of its settings."""
