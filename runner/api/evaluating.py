"""The verb `evaluate`: a recorded run measured on other images; its record stays as it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.api.frames import Framed
from runner.bind.labelled_images import compare_classes, labelled_images
from runner.bind.trained_models import trained_model
from runner.bind.workspace import workspace
from runner.core.errors import DataError
from runner.core.text import printable

if TYPE_CHECKING:
    import pandas as pd

    from runner.engine.inference.measuring import Measuring

SHOWN = 10


@dataclass(frozen=True, repr=False)
class Evaluation(Framed):
    """What was measured of a run on other images.

    Attributes:
        run_key: of the run.
        data: the folder or file of the images.
        split: which of its splits they are, None where it has none.
        epoch: whose weights were measured.
        images: how many, by class of the run; 0 of a class that is lacking.
        measures: value by name, over all images.
        right: how many images of each class were predicted right.
        left_out: images that could not be read, and why; only where the run's data leaves such
            images out as well.
        notes: what a person should know of the images.
    """

    run_key: str
    data: Path
    split: str | None
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
    data: str | Path | tuple[str | Path, str],
    *,
    weights: str = "best",
    allow_missing: bool = False,
    db: str | Path | None = None,
    run_data: str | Path | None = None,
    device: str | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Evaluation:
    """Measure the trained network of a run on other labelled images.

    Images are prepared as those of the run's data were. Nothing is recorded.

    Args:
        name: the run, as in :func:`runner.api.show`.
        data: a folder of class folders, a table (or the folder of its metadata.csv), or an .npz
            file of arrays, as a spec's data takes them; its classes are called as those of the run.
            Where it has splits, a pair with ``train``, ``val`` or ``test``.
        weights: ``best`` or ``last``.
        allow_missing: let the images lack classes of the run.
        db: the database; results.db when not given.
        run_data: where the run's own data and pretrained weights are looked for first, if they are
            needed; RUNNER_DATA when not given.
        device: where it is computed; the CUDA GPU when there is one.
        on_progress: hears how many images are done, and of how many; what it raises ends the work.

    Raises:
        UsageError: when nothing or several runs are meant, the weights are gone, the data cannot
            be used, or its classes are not those of the run; nothing was looked at.
        DataError: when images cannot be read; the first of them are named.
    """
    home = workspace(db, run_data)
    model, _ = trained_model(home, name, weights, db)
    path, split = data if isinstance(data, tuple) else (data, None)
    images = labelled_images(Path(path), split, model.settings.data)
    compare_classes(model.classes, images, allow_missing)

    from runner.engine.device import choose_device
    from runner.engine.inference.classifying import TrainedClassifier
    from runner.engine.inference.measuring import Measuring

    leaves_out = model.settings.data.on_corrupt == "skip"
    measuring = Measuring(TrainedClassifier(model, choose_device(device)), leaves_out)
    numbers = {each: number for number, each in enumerate(model.classes)}
    labels = [numbers[each] for each in images.labels]
    for done in measuring.batches(images.read(model.settings.data, model.shape), labels):
        on_progress(done, len(labels))
    _refuse_unread(measuring, leaves_out, len(labels))
    counts, right = Counter(measuring.labels), Counter(measuring.right)
    return Evaluation(
        run_key=model.run_key,
        data=images.path,
        split=images.split,
        epoch=model.epoch,
        images={each: counts[label] for label, each in enumerate(model.classes)},
        measures=measuring.values(),
        right={each: right[label] for label, each in enumerate(model.classes)},
        left_out={printable(str(each.path)): each.error for each in measuring.unread},
        notes=images.notes,
    )


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
