"""Analyses of networks: how each is computed. To add one: a module here, and a line below."""

from __future__ import annotations

from runner.components.analyses.analysis import AnalysisSettings
from runner.components.analyses.embedding import Embedding
from runner.components.analyses.predictions import Predictions
from runner.components.analyses.robustness import Robustness
from runner.components.analyses.saliency import Saliency
from runner.components.analyses.sizes import Sizes
from runner.components.analyses.weights import Filters, Neurons
from runner.engine.analyses.embedding import embedding
from runner.engine.analyses.predictions import predictions
from runner.engine.analyses.result import Analyser, LogitsAnalyser
from runner.engine.analyses.robustness import robustness
from runner.engine.analyses.saliency import saliency
from runner.engine.analyses.sizes import sizes
from runner.engine.analyses.weights import filters, neurons

ANALYSES: dict[type[AnalysisSettings], Analyser] = {
    Robustness: robustness,
    Filters: filters,
    Neurons: neurons,
    Saliency: saliency,
    Embedding: embedding,
    Sizes: sizes,
}
"""What computes each analysis, by the class of its settings."""

OF_LOGITS: dict[type[AnalysisSettings], LogitsAnalyser] = {Predictions: predictions}
"""The same of those that are ``FROM_LOGITS``: they see no network."""
