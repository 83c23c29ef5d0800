"""Which figures there are, and where each is drawn.

To add one: its settings in ``runner/spec/figures/kinds.py``, a function of its name from a request
to a figure, in a module beside this one, and a line in ``FIGURES``. Imports no drawing: the command
line lists the names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from runner.report.figures.curves import FigureRequest

ARRAYS = "analyses"
"""The module that draws what analyses leave as arrays."""

FIGURES: Mapping[str, str] = {
    "sheet": "figure",
    "loss": "figure",
    "accuracy": "figure",
    "curves": "figure",
    "setting": "setting_figure",
    "augmentations": "samples",
    "filters": ARRAYS,
    "neurons": ARRAYS,
    "saliency": ARRAYS,
    "embedding": ARRAYS,
    "predictions": ARRAYS,
    "robustness": "robustness",
}
"""The module beside this one that has the function of this name, or draws arrays of analyses."""


def is_of_arrays(kind: str) -> bool:
    """Return whether a figure is drawn from the arrays of an analysis, a page or more a run."""
    return FIGURES[kind] == ARRAYS


def draw_pages(kind: str, request: FigureRequest) -> Iterable[tuple[str, Figure]]:
    """Return the pages of a figure of a kind in ``FIGURES``, with what tells their files apart.

    Those of arrays are drawn one after the other, as they are asked for.
    """
    module = import_module(f"runner.report.figures.{FIGURES[kind]}")
    if is_of_arrays(kind):
        pages: Iterable[tuple[str, Figure]] = module.pages(kind, request)
        return pages
    function = cast("Callable[[FigureRequest], Figure]", getattr(module, kind))
    return [("", function(request))]
