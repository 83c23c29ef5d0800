"""Which figures there are, and where each is drawn.

To add one: a function of its name from a request to a figure, in a module beside this one, and a
line in ``FIGURES``. Imports no drawing: the command line lists the names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from runner.report.figures.curves import FigureRequest

FIGURES: Mapping[str, str] = {
    "sheet": "figure",
    "loss": "figure",
    "accuracy": "figure",
    "curves": "figure",
    "setting": "setting_figure",
    "augmentations": "samples",
}
"""The module beside this one that has the function of this name."""


def figure_function(kind: str) -> Callable[[FigureRequest], Figure]:
    """Return what draws a figure of a kind in ``FIGURES``."""
    module = import_module(f"runner.report.figures.{FIGURES[kind]}")
    return cast("Callable[[FigureRequest], Figure]", getattr(module, kind))
