"""The verb `inspect_predictions`: pictures of what a run's kept weights say of images.

Owns which images are shown. Logits were kept by the run, so that no network is needed; pixels are
those that were prepared, or come from the run's data where these are gone.
"""

from __future__ import annotations

import csv
import errno
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from runner.api.drawing import draw
from runner.api.frames import Framed
from runner.api.predictions import SplitPredictions
from runner.artifacts.atomic import refuse_place, whole_file
from runner.bind.kept_predictions import find_logits
from runner.bind.metric_names import name_metrics, own_values
from runner.bind.named_runs import find_record
from runner.bind.prediction_images import Arrays, confident_rows, predicted_images
from runner.bind.request import several
from runner.bind.workspace import Workspace, workspace
from runner.components import scores
from runner.core.errors import DataError, DiskFull, UsageError, nearest

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from runner.engine.kept_logits import KeptLogits

MOST = 12
MOST_SHOWN = 200
MOST_COMPARED = 20_000


@dataclass(frozen=True, repr=False, eq=False)
class InspectedPredictions(Framed):
    """Images with what a network says of them, and its confusion matrix.

    Attributes:
        predictions: of the whole split.
        sheets: what each sheet shows: ``right`` and ``wrong``, the most confident first, and
            ``chosen``, the images that were named. Each has ``images`` (N, H, W, C) uint8,
            ``labels``, ``predicted``, ``probabilities`` (N, classes) and ``names``.
        missing: why there are no sheets, or "".
        figures: drawn, by name: the sheets and ``confusion``.
        paths: where they were written.
    """

    predictions: SplitPredictions
    sheets: Mapping[str, Mapping[str, NDArray[Any]]]
    missing: str
    figures: Mapping[str, Figure]
    paths: tuple[Path, ...]

    def frame(self) -> pd.DataFrame:
        """Return the rows of the predictions' frame that are shown, with their sheet."""
        import pandas as pd

        every = self.predictions.frame().set_index("image", drop=False)
        parts = [
            every.loc[sheet["names"].tolist()].assign(sheet=name)
            for name, sheet in self.sheets.items()
        ]
        found = pd.concat(parts) if parts else every.iloc[:0].assign(sheet="")
        return found.reset_index(drop=True)[["sheet", *every.columns]]

    def confusion(self) -> pd.DataFrame:
        """Return how many images of each class (rows) are predicted as each class (columns)."""
        return self.predictions.confusion()


def inspect_predictions(
    run: str,
    split: str = "test",
    most: int = MOST,
    images: str | Sequence[str] = (),
    *,
    weights: str | None = None,
    out: str | Path | None = None,
    db: str | Path | None = None,
) -> InspectedPredictions:
    """Return what a run's kept weights say of images, and draw it.

    Args:
        run: the beginning of a run key, or a cell as ``experiment:position[:seed][@variant]``.
        split: ``test``, ``val`` or ``train_eval``.
        most: how many images the sheets of the most confident show; 0 for none.
        images: names of images of the split that a sheet of their own shows.
        weights: ``best`` or ``last``; by default the first of them of which logits were kept.
        out: a .png, .svg or .pdf file, before whose suffix ``-right``, ``-wrong``, ``-chosen`` and
            ``-confusion`` stand; figures/RUN-predictions.png when not given.
        db: the database; results.db when not given.

    Raises:
        UsageError: as :func:`predictions`; for an unknown image, or a path that cannot be written.
        DiskFull: when there is no room for the figures.
    """
    from runner.report.figures.page import check_suffix
    from runner.report.figures.predictions import predictions

    if not 0 <= most <= MOST_SHOWN:
        raise UsageError(f"the most images of a sheet are {most}", allowed=f"0 to {MOST_SHOWN}")
    if out is not None:
        check_suffix(Path(out))
    home = workspace(db)
    with home.open(create=False) as database:
        record = find_record(database, run)
        kept = find_logits(database, home, record, split, weights)
        name_metrics(database, record)
        own = own_values(record, kept.split, kept.epoch)
        found = SplitPredictions(record["run_key"], kept, own)
        rows = confident_rows(found.kept, most) | {"chosen": _rows_of(found, run, several(images))}
        sheets, missing = _sheets(home, record, found.kept, {**rows})
    short = str(record["run_key"])[:12]
    path = Path(out) if out is not None else Path("figures") / f"{short}-predictions.png"
    figures, paths = draw(lambda: predictions(f"run {short}", _arrays(found, sheets)), path)
    return InspectedPredictions(found, sheets, missing, figures, paths)


def _sheets(
    home: Workspace, record: Mapping[str, Any], kept: KeptLogits, rows: Mapping[str, Sequence[int]]
) -> tuple[dict[str, Arrays], str]:
    """Return the arrays of the sheets that show any image; or why there are none of them."""
    shown = {name: each for name, each in rows.items() if each}
    try:
        return (predicted_images(home, record, kept, shown) if shown else {}), ""
    except (UsageError, DataError) as error:
        return {}, str(error).partition("\n")[0]


def _arrays(found: SplitPredictions, sheets: Mapping[str, Arrays]) -> Arrays:
    """Return what is drawn, as figures of predictions take it."""
    kept = found.kept
    arrays: Arrays = {
        "class_names": np.array(kept.classes),
        "confusion": scores.confusion_matrix(kept.logits, kept.labels),
        "about": np.array([f"{kept.split} images, weights of epoch {kept.epoch}"]),
    }
    for sheet, values in sheets.items():
        arrays |= {f"{sheet}_{name}": array for name, array in values.items()}
    return arrays


def write_confusion(predictions: SplitPredictions, path: str | Path) -> None:
    """Write a confusion matrix as CSV: a row a class, a column a predicted class.

    Raises:
        UsageError: when it cannot be written there.
        DiskFull: when there is no room.
    """
    from runner.report.tables.render import csv_field

    path = Path(path)
    refuse_place(path)
    kept = predictions.kept
    matrix = scores.confusion_matrix(kept.logits, kept.labels)
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    names = [csv_field(name) for name in kept.classes]
    writer.writerow(["class", *names])
    writer.writerows([name, *row] for name, row in zip(names, matrix.tolist(), strict=True))
    try:
        with whole_file(path, durable=False) as partial:
            partial.write_text(buffer.getvalue(), encoding="utf-8")
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(error) from error
        raise UsageError(f"{path} cannot be written: {error.strerror}") from None


def _rows_of(found: SplitPredictions, run: str, names: Sequence[str]) -> list[int]:
    """Return the rows of images by their names."""
    rows = {name: row for row, name in enumerate(found.kept.names)}
    for name in names:
        if name not in rows:
            known = found.kept.names if len(rows) <= MOST_COMPARED else ()
            raise UsageError(
                f"no {found.kept.split} image of run '{run}' is called '{name}'",
                hint="other splits have images of their own: --split",
                suggestion=nearest(name, known),
            )
    return [rows[name] for name in dict.fromkeys(names)]
