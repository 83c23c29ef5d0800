"""Every analysis of a spec can be computed, and every figure of one can be drawn."""

from inspect import isfunction
from typing import Any, get_args

import pytest

from runner.components.analyses import Analysis
from runner.components.analyses.analysis import AnalysisSettings
from runner.engine.analyses import ANALYSES
from runner.report.figures.kinds import FIGURES
from runner.spec.figures.kinds import FigureKind, FigureSettings


def classes_of(union: Any) -> list[Any]:
    """Return the classes of a discriminated union."""
    return list(get_args(get_args(union)[0]))


def named(settings: type[AnalysisSettings] | type[FigureSettings]) -> str:
    """Return the name by which a spec chooses a class."""
    name: str = get_args(settings.model_fields["name"].annotation)[0]
    return name


KINDS = {named(kind): kind for kind in classes_of(Analysis)}
FIGURE_KINDS = {named(kind): kind for kind in classes_of(FigureKind)}


def test_no_line_is_of_something_that_a_spec_cannot_name() -> None:
    assert set(ANALYSES) <= set(KINDS.values())
    assert set(FIGURES) <= set(FIGURE_KINDS)


@pytest.mark.parametrize("name", KINDS)
def test_an_analysis_is_whole(name: str) -> None:
    kind = KINDS[name]
    assert kind in ANALYSES, f"{name} wants a line in ANALYSES, runner/engine/analyses/__init__.py"
    if kind.LEAVES_ARRAYS:
        assert name in FIGURE_KINDS, (
            f"{name} leaves arrays that no figure shows: it wants a class in"
            " runner/spec/figures/kinds.py"
        )
        assert name == FIGURE_KINDS[name].ANALYSIS


@pytest.mark.parametrize("name", FIGURE_KINDS)
def test_a_figure_is_whole(name: str) -> None:
    assert name in FIGURES, f"{name} wants a line in FIGURES, runner/report/figures/kinds.py"
    analysis = FIGURE_KINDS[name].ANALYSIS
    drawing = FIGURES[name]
    assert isfunction(drawing.function(name))
    assert drawing.of_arrays == (bool(analysis) and KINDS[analysis].LEAVES_ARRAYS)
    if drawing.of_values:
        assert isfunction(drawing.function(drawing.of_values))
