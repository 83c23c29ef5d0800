"""Analyses: what a spec's `analyses` may name. To add one: a file here, and its class in the union.

An analysis looks at weights that a run has kept. It is no part of the run: it has a key of its own,
and is added to finished runs without training. How it is computed is in `runner/engine/analyses/`,
under the same name.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated

from pydantic import Field, TypeAdapter

from runner.components.analyses.analysis import AnalysisSettings
from runner.components.analyses.embedding import Embedding
from runner.components.analyses.predictions import Predictions
from runner.components.analyses.robustness import Robustness
from runner.components.analyses.saliency import Saliency
from runner.components.analyses.sizes import Sizes
from runner.components.analyses.weights import Filters, Neurons
from runner.components.component import keyed_text
from runner.core.keys import canonical_json, text_key
from runner.core.reader import KeptWeights
from runner.core.run import ResolvedSettings

Analysis = Annotated[
    Robustness | Predictions | Filters | Neurons | Saliency | Embedding | Sizes,
    Field(discriminator="name"),
]


def analysis_key(analysis: AnalysisSettings) -> str:
    """Return the key of an analysis, the same for every run: no name of the user's is in it."""
    return text_key("analysis", keyed_text(analysis))


def with_weights(analysis: AnalysisSettings, weights: KeptWeights) -> AnalysisSettings:
    """Return an analysis of the weights that a run has kept.

    The last weights of a run that counts them as its best are the same: one analysis, not two.
    """
    if analysis.weights == weights:
        return analysis
    return analysis.model_copy(update={"weights": weights})


def typed_analysis(resolved: ResolvedSettings) -> AnalysisSettings:
    """Return the settings of an analysis as their own class."""
    if resolved.typed is None:
        resolved.typed = _validated(canonical_json(resolved.json))
    analysis: AnalysisSettings = resolved.typed
    return analysis


@lru_cache(maxsize=1 << 8)
def _validated(text: str) -> AnalysisSettings:
    analysis: AnalysisSettings = TypeAdapter(Analysis).validate_json(text)
    return analysis
