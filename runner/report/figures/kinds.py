"""Which figures there are, and where each is drawn.

To add one: its settings in ``runner/spec/figures/kinds.py``, a function of its name in a module
beside this one, and a line in ``FIGURES``. Imports no drawing: the command line lists the names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from runner.components.analyses.analysis import AnalysisSettings
    from runner.core.records import AnalysisValue
    from runner.report.figures.figure_request import FigureRequest


@dataclass(frozen=True, slots=True)
class Drawing:
    """Where a figure is drawn.

    Attributes:
        module: beside this one, with a function of the figure's name. It returns one figure of a
            request, or those of the arrays that an analysis left of one run, by what tells their
            files apart, given a title and the arrays.
        of_arrays: whether it is of arrays, a page or more for each run.
        of_values: the name of a function there that returns the figures of one run likewise, given
            a title, the settings of the analysis and its values; "" where there is none.
    """

    module: str
    of_arrays: bool = False
    of_values: str = ""

    def function(self, name: str) -> Callable[..., Any]:
        """Return a function of the module."""
        found: Callable[..., Any] = getattr(
            import_module(f"runner.report.figures.{self.module}"), name
        )
        return found


FIGURES: Mapping[str, Drawing] = {
    "sheet": Drawing("figure"),
    "loss": Drawing("figure"),
    "accuracy": Drawing("figure"),
    "curves": Drawing("figure"),
    "setting": Drawing("setting_figure"),
    "augmentations": Drawing("samples"),
    "filters": Drawing("weights", of_arrays=True),
    "neurons": Drawing("weights", of_arrays=True),
    "saliency": Drawing("saliency", of_arrays=True),
    "embedding": Drawing("embedding", of_arrays=True),
    "predictions": Drawing("predictions", of_arrays=True),
    "robustness": Drawing("robustness", of_values="of_run"),
}
"""Figures by name; one of an analysis has the name of the analysis."""

OF_ONE_RUN = [kind for kind, each in FIGURES.items() if each.of_arrays or each.of_values]
"""Those that can be drawn of what an analysis has left of one run."""


def draw_pages(kind: str, request: FigureRequest) -> Iterable[tuple[str, Figure]]:
    """Return the pages of a figure of a kind in ``FIGURES``, with what tells their files apart.

    Those of arrays are drawn one after the other, as they are asked for.
    """
    if FIGURES[kind].of_arrays:
        return _pages_of_runs(kind, request)
    return [("", FIGURES[kind].function(kind)(request))]


def _pages_of_runs(kind: str, request: FigureRequest) -> Iterator[tuple[str, Figure]]:
    """Yield the pages of each run, with part of the file's name.

    Arrays of a run are read when its first page is asked for: nothing holds those of all.
    """
    variant = f" [{request.variant}]" if request.variant else ""
    for run in request.runs:
        name = "" if run.name == request.experiment else f", {run.name}"
        title = f"{request.experiment}{variant}{name}{request.said}"
        drawn = draw_arrays(kind, title, run.read())
        for part in list(drawn):
            yield "-".join(text for text in (run.part, part) if text), drawn.pop(part)


def draw_arrays(kind: str, title: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, Figure]:
    """Return the figures of the arrays of one run, by what tells their files apart.

    Args:
        kind: of figures, one of arrays.
        title: begins theirs.
        arrays: as the component of the analysis describes them.
    """
    found: dict[str, Figure] = FIGURES[kind].function(kind)(title, arrays)
    return found


def draw_values(
    kind: str, title: str, settings: AnalysisSettings, values: Sequence[AnalysisValue]
) -> dict[str, Figure]:
    """Return the figures of the values of one run, by what tells their files apart.

    Args:
        kind: of figures, one that has a function of values.
        title: begins theirs.
        settings: of the analysis.
        values: all that it found.
    """
    drawing = FIGURES[kind]
    found: dict[str, Figure] = drawing.function(drawing.of_values)(title, settings, values)
    return found
