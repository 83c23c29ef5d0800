"""What a figure is asked for, and which option is for which figure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from runner.bind.request import several
from runner.core.errors import UsageError, nearest
from runner.report.figures.axis_titles import x_name
from runner.spec.experiment import Experiment
from runner.spec.tables.columns import Column

FOLDER = Path("figures")
OF_IMAGES = ("augmentations",)
"""Figures that need the data and no results."""

OPTIONS_OF = {
    "per": ("sheet", "loss", "curves"),
    "smooth": ("sheet", "loss", "curves"),
    "x": ("setting",),
    "metric": ("setting",),
    "at": ("setting",),
    "images": ("augmentations",),
}
"""Which kinds an option is for."""


@dataclass(frozen=True)
class PlotOptions:
    """What a figure is asked for.

    Attributes:
        kind: sheet, loss, accuracy, curves or setting, of recorded runs; or augmentations, which
            needs the data instead.
        only: label texts, ``label=text`` or ``setting=value``.
        profile: name of a profile.
        sets: ``setting=value`` options.
        per: ``step`` or ``epoch``, for losses; epoch when not given.
        smooth: steps whose losses are averaged into one point; so many that about 150 points
            remain when not given.
        x: the setting or label on the x axis of `setting`; the only one that varies when not given.
        metrics: metrics or formulas of `setting`; accuracies and their gap when not given.
        at: best, last, min, max or an epoch, as in tables; best when not given.
        images: how many images `augmentations` shows of a data set; 3 when not given.
        out: the file, .png, .svg or .pdf; in the folder ``figures`` when not given.
        db: the database; results.db when not given.
        data: folder in which the data of `augmentations` is looked for.
    """

    kind: str = "sheet"
    only: Sequence[str] = ()
    profile: str | None = None
    sets: Sequence[str] = ()
    per: str | None = None
    smooth: int | None = None
    x: str | None = None
    metrics: Sequence[str] = ()
    at: str | None = None
    images: int | None = None
    out: str | Path | None = None
    db: str | Path | None = None
    data: str | Path | None = None

    def __post_init__(self) -> None:
        for name in ("only", "sets", "metrics"):
            object.__setattr__(self, name, several(getattr(self, name)))


def check_options(options: PlotOptions, kinds: Sequence[str]) -> None:
    """Refuse an unknown figure, and options that it does not take.

    Raises:
        UsageError: with what is allowed.
    """
    if options.kind not in kinds:
        raise _unknown("figure", options.kind, kinds)
    given = {
        "per": options.per,
        "smooth": options.smooth,
        "x": options.x,
        "metric": options.metrics or None,
        "at": options.at,
        "images": options.images,
    }
    for name, value in given.items():
        if value is not None and options.kind not in OPTIONS_OF[name]:
            allowed = ", ".join(OPTIONS_OF[name])
            found = f"--{name} is not for the figure '{options.kind}'"
            raise UsageError(found, allowed=allowed)
    if options.per not in (None, "step", "epoch"):
        raise _unknown("--per", str(options.per), ("step", "epoch"))
    if options.smooth is not None and options.per != "step":
        raise UsageError("--smooth averages the losses of steps", hint="give --per step as well")


def _unknown(what: str, word: str, allowed: Sequence[str]) -> UsageError:
    return UsageError(
        f"unknown {what} '{word}'", allowed=", ".join(allowed), suggestion=nearest(word, allowed)
    )


def figure_path(experiment: Experiment, options: PlotOptions, x: Column | None = None) -> Path:
    """Return the file; by default one for each experiment, variant, figure and x axis."""
    if options.out is not None:
        return Path(options.out)
    variant, axis = _plain(experiment.variant), "" if x is None else _plain(x_name(x))
    name = "-".join(part for part in (experiment.name, variant, options.kind, axis) if part)
    return FOLDER / f"{name}.png"


def _plain(text: str) -> str:
    """Return a text as part of a file's name: letters of any script, digits, few signs."""
    return re.sub(r"[^\w.=]+", "-", text).strip("-")
