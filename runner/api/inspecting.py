"""The verb `inspect_analysis`: what an analysis of a spec found of a run, and its pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.api.drawing import draw
from runner.api.frames import Framed
from runner.bind.analysis_names import (
    as_values,
    chosen_analysis,
    settings_of,
    told_apart,
    with_names,
)
from runner.bind.kept_analyses import ONLY_TRAINING, is_made_by_run, kept_arrays, what_makes
from runner.bind.named_runs import find_record
from runner.bind.workspace import workspace
from runner.core.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class InspectedAnalysis(Framed):
    """What an analysis found of the weights of a run.

    Attributes:
        kind: which analysis, as `filters`.
        key: of the analysis.
        arrays: by name; the component of the analysis says what they hold.
        values: its numbers: name, dims, value.
        figures: by name, "" where there is one.
        paths: of their files.
    """

    kind: str
    key: str
    arrays: Mapping[str, NDArray[Any]]
    values: tuple[Mapping[str, Any], ...]
    figures: Mapping[str, Figure]
    paths: tuple[Path, ...]

    def frame(self) -> pd.DataFrame:
        """Return a row per value: its name, value, then its dimensions."""
        import pandas as pd

        rows = [
            {"name": each["name"], "value": each["value"], **each["dims"]} for each in self.values
        ]
        return pd.DataFrame(rows, columns=None if rows else ["name", "value"])


def inspect_analysis(
    name: str,
    kind: str,
    analysis: str = "",
    out: str | Path | None = None,
    db: str | Path | None = None,
) -> InspectedAnalysis:
    """Return what an analysis found of a run, and draw it.

    Args:
        name: the run, as :func:`runner.api.show` takes it.
        kind: which analysis: ``filters``, ``neurons``, ``saliency``, ``embedding``,
            ``predictions`` or ``robustness``.
        analysis: its name in the spec, or the beginning of its key, where the run has several of
            that kind.
        out: a .png, .svg or .pdf file; figures/RUN-NAME.png when not given, with its name in the
            spec. Where several figures are drawn, their names stand before the suffix.
        db: the database; results.db when not given.

    Raises:
        UsageError: for an unknown run, an analysis that was not made or whose arrays are gone, or
            a path that cannot be written.
        DiskFull: when there is no room for the figures.
    """
    from runner.report.figures.kinds import FIGURES, OF_ONE_RUN, draw_arrays, draw_values
    from runner.report.figures.page import check_suffix

    if out is not None:
        check_suffix(Path(out))
    home = workspace(db)
    with home.open(create=False) as database:
        record = find_record(database, name)
        named = with_names(database, record)
        made = chosen_analysis(
            named, name, kind, analysis, OF_ONE_RUN, what_makes(database, home, record)
        )
        arrays: Mapping[str, NDArray[Any]] = {}
        if FIGURES[kind].of_arrays:
            kept, missing = kept_arrays(database, home, made["stage_key"])
            if kept is None:
                found = f"{kind} of run '{name}' cannot be shown: {missing}"
                by_run = is_made_by_run(database, home, made["stage_key"])
                hint = "`runner run SPEC` makes them again" if by_run else ONLY_TRAINING
                raise UsageError(found, hint=hint)
            arrays = kept.arrays
        else:
            settings = settings_of(database, made["stage_key"])
    run = str(record["run_key"])[:12]
    apart = told_apart(named, made)
    called = next(iter(made["names"]), apart or kind)
    title = f"run {run}, {apart}" if apart else f"run {run}"
    path = Path(out) if out is not None else Path("figures") / f"{run}-{called}.png"
    if FIGURES[kind].of_arrays:
        figures, paths = draw(lambda: draw_arrays(kind, title, arrays), path)
    else:
        values = as_values(made["values"])
        figures, paths = draw(lambda: draw_values(kind, title, settings, values), path)
    found = made["analysis_key"]
    return InspectedAnalysis(kind, found, arrays, tuple(made["values"]), figures, paths)
