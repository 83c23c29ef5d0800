"""What a figure is asked for, and which option is for which figure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from runner.bind.request import several
from runner.core.errors import SourcePosition, UsageError, nearest
from runner.report.figures.axis_titles import x_name
from runner.spec.experiment import Experiment
from runner.spec.figures.declared import KINDS, DeclaredFigure, parse_figure
from runner.spec.figures.kinds import Per
from runner.spec.nodes import Node, merge
from runner.spec.tables.column import Column

FOLDER = Path("figures")
PER = get_args(Per)
OPTIONS = ("per", "smooth", "x", "metrics", "at", "images", "analysis")
"""Settings of figures that are options of `plot`, too."""

OPTION_WORDS = {"metrics": "metric"}
"""Options that are called otherwise than the setting."""

EPOCH_RULES = ("best", "last", "min", "max")


@dataclass(frozen=True)
class PlotOptions:
    """What a figure is asked for.

    Attributes:
        kind: the name of a figure of the spec; or a kind of figures, as sheet, loss, accuracy,
            curves or setting, of recorded runs; augmentations, which needs the data instead; or
            filters, neurons, saliency, embedding, predictions or robustness, of an analysis of the
            spec.
        only: label texts, ``label=text`` or ``setting=value``.
        profile: name of a profile.
        sets: ``setting=value`` options.
        per: ``step`` or ``epoch``, for losses; epoch when not given.
        smooth: steps whose losses are averaged into one point; so many that about 150 points
            remain when not given.
        x: the setting or label on the x axis of `setting`; the only one that varies when not given.
        metrics: metrics or formulas of `setting`, accuracies and their gap when not given; or
            accuracy and loss of `robustness`, accuracy when not given.
        at: best, last, min, max or an epoch, as in tables; best when not given.
        images: how many images `augmentations` shows of a data set; 3 when not given.
        analysis: of the spec, by name; the only one of the figure's kind when not given.
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
    analysis: str | None = None
    out: str | Path | None = None
    db: str | Path | None = None
    data: str | Path | None = None

    def __post_init__(self) -> None:
        for name in ("only", "sets", "metrics"):
            object.__setattr__(self, name, several(getattr(self, name)))


def asked_figure(experiment: Experiment, options: PlotOptions) -> DeclaredFigure:
    """Return the figure that is asked for: one of the spec, with options on top, or of a kind.

    Raises:
        UsageError: for an unknown figure, and options that it does not take.
        SpecError: for wrong values of options, or an analysis that the spec has not.
    """
    declared = next((each for each in experiment.figures if each.name == options.kind), None)
    kind = options.kind if declared is None else declared.kind
    _check_options(options, kind, [each.name for each in experiment.figures])
    given = dict(_given(options))
    if declared is not None and not given:
        return declared
    place = SourcePosition(f"figure {options.kind}", 0, 0)
    named = Node({"name": Node(kind, place)}, place)
    tree = merge(named if declared is None else declared.tree, Node(given, place))
    return parse_figure(options.kind, tree, experiment.analyses, is_option=True)


def _given(options: PlotOptions) -> Iterator[tuple[str, Node]]:
    """Yield the settings of a figure that are given as options, each where it was given."""
    for name in OPTIONS:
        value = getattr(options, name)
        if value is None or value == ():
            continue
        if name == "at":
            value = _epoch_rule(value)
        if name == "metrics":
            items = tuple(_placed(name, each) for each in dict.fromkeys(value))
            yield name, replace(items[0], value=items)
        else:
            yield name, _placed(name, value)


def _placed(name: str, value: object) -> Node:
    position = SourcePosition(f"--{OPTION_WORDS.get(name, name)} {value}", 0, 0)
    return Node(value, position, position)


def _epoch_rule(at: str) -> str | int:
    if at in EPOCH_RULES:
        return at
    if at.isdecimal() and int(at) > 0:
        return int(at)
    allowed = f"{', '.join(EPOCH_RULES)} or an epoch from 1"
    raise UsageError(f"--at is '{at}'", allowed=allowed)


def _check_options(options: PlotOptions, kind: str, declared: Sequence[str]) -> None:
    """Refuse an unknown figure, and options that it does not take.

    Raises:
        UsageError: with what is allowed.
    """
    if kind not in KINDS:
        raise _unknown("figure", kind, list(dict.fromkeys([*KINDS, *declared])))
    for name in OPTIONS:
        if getattr(options, name) in (None, ()) or name in KINDS[kind].model_fields:
            continue
        allowed = ", ".join(each for each in KINDS if name in KINDS[each].model_fields)
        found = f"--{OPTION_WORDS.get(name, name)} is not for the figure '{kind}'"
        raise UsageError(found, allowed=allowed)
    if options.per not in (None, *PER):
        raise _unknown("--per", str(options.per), PER)
    if options.smooth is not None and options.per != "step" and kind == options.kind:
        raise UsageError("--smooth averages the losses of steps", hint="give --per step as well")


def _unknown(what: str, word: str, allowed: Sequence[str]) -> UsageError:
    return UsageError(
        f"unknown {what} '{word}'", allowed=", ".join(allowed), suggestion=nearest(word, allowed)
    )


def figure_path(experiment: Experiment, options: PlotOptions, x: Column | None = None) -> Path:
    """Return the file; by default one for each experiment, variant, figure and x axis."""
    if options.out is not None:
        return Path(options.out)
    variant = as_file_part(experiment.variant)
    axis = as_file_part(x_name(x)) if x is not None and options.kind == "setting" else ""
    name = "-".join(part for part in (experiment.name, variant, options.kind, axis) if part)
    return FOLDER / f"{name}.png"


def as_file_part(text: str) -> str:
    """Return a text as part of a file's name: letters of any script, digits, few signs."""
    return re.sub(r"[^\w.=]+", "-", text).strip("-")
