"""Analyses of networks: how each is computed. To add one: a module here, and a line below."""

from __future__ import annotations

from runner.components.analyses.analysis import AnalysisSettings
from runner.components.analyses.robustness import Robustness
from runner.engine.analyses.analysed import Analyser
from runner.engine.analyses.robustness import robustness

ANALYSES: dict[type[AnalysisSettings], Analyser] = {
    Robustness: robustness,
}
"""What computes each analysis, by the class of its settings."""
