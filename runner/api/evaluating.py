"""The verb `evaluate`: a recorded run measured on another folder; its record stays as it is."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.api.frames import Framed
from runner.bind.trained_models import trained_model
from runner.bind.workspace import workspace
from runner.components.data.listing import Listing, SharedFolder, class_names, list_images
from runner.components.data.split_folders import SplitFolders, refuse_splits
from runner.core.errors import DataError, UsageError, nearest
from runner.core.text import printable

if TYPE_CHECKING:
    import pandas as pd

    from runner.engine.inference.measuring import Measuring

SHOWN = 10


@dataclass(frozen=True, repr=False)
class Evaluation(Framed):
    """What was measured of a run on a folder.

    Attributes:
        run_key: of the run.
        folder: of class folders.
        epoch: whose weights were measured.
        images: how many, by class of the run; 0 where the folder lacks a class.
        measures: value by name, over all images.
        right: how many images of each class were predicted right.
        left_out: images that could not be read, and why; only where the run's data leaves such
            images out as well.
        notes: what a person should know of the folder.
    """

    run_key: str
    folder: Path
    epoch: int
    images: Mapping[str, int]
    measures: Mapping[str, float]
    right: Mapping[str, int]
    left_out: Mapping[str, str]
    notes: tuple[str, ...] = ()

    def rows(self) -> list[dict[str, Any]]:
        """Return a row per measure, then the accuracy of each class that has images."""
        total = sum(self.images.values())
        rows: list[dict[str, Any]] = [
            {"measure": name, "class": None, "value": value, "images": total}
            for name, value in self.measures.items()
        ]
        rows += [
            {
                "measure": "accuracy",
                "class": name,
                "value": self.right[name] / count,
                "images": count,
            }
            for name, count in self.images.items()
            if count
        ]
        return rows

    def frame(self) -> pd.DataFrame:
        """Return the rows: measure, class, value, images."""
        import pandas as pd

        return pd.DataFrame(self.rows(), columns=["measure", "class", "value", "images"])


def evaluate(
    name: str,
    data: str | Path,
    *,
    weights: str = "best",
    allow_missing: bool = False,
    db: str | Path | None = None,
    run_data: str | Path | None = None,
    device: str | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Evaluation:
    """Measure the trained network of a run on another folder of class folders.

    Images are prepared as those of the run's data were. Nothing is recorded.

    Args:
        name: the run, as in :func:`runner.api.show`.
        data: the folder; its class folders are called as the classes of the run.
        weights: ``best`` or ``last``.
        allow_missing: let the folder lack classes of the run.
        db: the database; results.db when not given.
        run_data: where the run's own data and pretrained weights are looked for first, if they are
            needed; RUNNER_DATA when not given.
        device: where it is computed; the CUDA GPU when there is one.
        on_progress: hears how many images are done, and of how many; what it raises ends the work.

    Raises:
        UsageError: when nothing or several runs are meant, the weights are gone, or the classes of
            the folder are not those of the run; nothing was looked at.
        DataError: when images cannot be read; the first of them are named.
    """
    home = workspace(db, run_data)
    model, _ = trained_model(home, name, weights, db)
    folder = Path(data)
    listing = _listing(folder)
    _compare(model.classes, listing.classes, folder, allow_missing)

    from runner.engine.device import choose_device
    from runner.engine.inference.classifying import TrainedClassifier
    from runner.engine.inference.measuring import Measuring

    leaves_out = model.settings.data.on_corrupt == "skip"
    measuring = Measuring(TrainedClassifier(model, choose_device(device)), leaves_out)
    outputs = [model.classes.index(each) for each in listing.classes]
    paths = [folder / each for each in listing.names]
    for done in measuring.batches(paths, [outputs[label] for label in listing.labels]):
        on_progress(done, len(paths))
    _refuse_unread(measuring, leaves_out, len(paths))
    counts, right = Counter(measuring.labels), Counter(measuring.right)
    return Evaluation(
        run_key=model.run_key,
        folder=folder,
        epoch=model.epoch,
        images={each: counts[label] for label, each in enumerate(model.classes)},
        measures=measuring.values(),
        right={each: right[label] for label, each in enumerate(model.classes)},
        left_out={printable(str(each.path)): each.error for each in measuring.unread},
        notes=listing.notes,
    )


def _listing(folder: Path) -> Listing:
    """Return the images of a folder by class.

    Raises:
        UsageError: when there are none, or the folder is not what it should be.
    """
    if not os.path.isdir(folder):
        raise UsageError(f"no folder {folder}", hint="give a folder of class folders")
    try:
        listing = list_images(folder)
        refuse_splits(listing, folder, str(folder))
    except SplitFolders as error:
        raise UsageError(str(error), hint="give the folder of one part") from None
    except SharedFolder as error:
        raise UsageError(str(error), hint="give each class a folder of its own") from None
    except OSError as error:
        raise UsageError(f"the folder cannot be read: {error}") from None
    if not listing.names:
        folders = class_names(folder)
        hint = "give a folder that holds one folder of images per class"
        raise UsageError(f"no images in class folders under {folder}", hint=hint if folders else "")
    return listing


def _compare(
    classes: Sequence[str], found: Sequence[str], folder: Path, allow_missing: bool
) -> None:
    """Refuse a folder of other classes than a run's.

    Raises:
        UsageError: with all differences.
    """
    unknown = [name for name in found if name not in classes]
    missing = [name for name in classes if name not in found]
    if not unknown and (allow_missing or not missing):
        return
    lines = [f"the classes under {folder} are not those of the run"]
    if unknown:
        lines.append(f"    only in the folder: {_listed(unknown)}")
    if missing:
        lines.append(f"    only in the run: {_listed(missing)}")
    near = [(name, nearest(name, missing)) for name in unknown]
    hint = "" if unknown else "--allow-missing measures on those that are there"
    raise UsageError(
        "\n".join(lines),
        hint=hint,
        suggestion=", ".join(f"{right} for {name}" for name, right in near[:SHOWN] if right),
    )


def _listed(names: Sequence[str]) -> str:
    more = f", … and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _refuse_unread(measuring: Measuring, leave_out: bool, total: int) -> None:
    """Refuse images that could not be read, unless the run leaves such images out.

    Raises:
        DataError: with the first of them by name.
    """
    unread = measuring.unread
    if not unread or (leave_out and measuring.labels):
        return
    lines = [f"{len(unread)} of {total} images cannot be read:"]
    lines += [f"    {printable(str(each.path))}: {each.error}" for each in unread[:SHOWN]]
    lines += [f"    … and {len(unread) - SHOWN} more"] if len(unread) > SHOWN else []
    hint = "remove them; only runs with `on_corrupt: skip` leave such images out"
    raise DataError("\n".join(lines), hint=hint)
