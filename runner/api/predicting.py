"""The verb `predict`: what a trained network says of files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.api.frames import Framed
from runner.bind.request import several
from runner.bind.trained_models import trained_model
from runner.bind.workspace import workspace
from runner.core.errors import UsageError
from runner.core.text import printable

if TYPE_CHECKING:
    import pandas as pd

    from runner.engine.inference.classifying import TrainedClassifier
    from runner.engine.inference.image_files import FileImage


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a network says of a file.

    Attributes:
        file: as it was given or found.
        top: (class, probability) of the most probable classes, the first one first.
    """

    file: Path
    top: tuple[tuple[str, float], ...]

    @property
    def class_name(self) -> str:
        """The most probable class."""
        return self.top[0][0]

    @property
    def probability(self) -> float:
        """Its probability."""
        return self.top[0][1]

    def row(self) -> dict[str, Any]:
        """Return the row of a table: file, class, probability, class_2, probability_2, …."""
        row: dict[str, Any] = {"file": printable(str(self.file))}
        for place, (name, probability) in enumerate(self.top, start=1):
            number = "" if place == 1 else f"_{place}"
            row |= {f"class{number}": name, f"probability{number}": probability}
        return row


@dataclass(frozen=True, slots=True)
class Unread:
    """A file that could not be read as an image, and why."""

    file: Path
    error: str


@dataclass(frozen=True, repr=False)
class FilePredictions(Framed):
    """What a network says of files.

    Attributes:
        run_key: of the run that trained it.
        classes: that it knows.
        top: how many classes each prediction has.
        rows: of the files that could be read, in their order.
        unread: the others.
        animated: files of which only the first frame was looked at.
    """

    run_key: str
    classes: tuple[str, ...]
    top: int
    rows: tuple[Prediction, ...]
    unread: tuple[Unread, ...] = ()
    animated: tuple[Path, ...] = ()

    def frame(self) -> pd.DataFrame:
        """Return a row per file: file, class, probability, and class_2, probability_2, …."""
        import pandas as pd

        return pd.DataFrame([each.row() for each in self.rows], columns=columns(self.top))


def columns(top: int) -> list[str]:
    """Return the columns of a table of predictions with so many classes each."""
    others = ([f"class_{place}", f"probability_{place}"] for place in range(2, top + 1))
    return ["file", "class", "probability", *chain.from_iterable(others)]


def predict(
    name: str,
    files: str | Path | Iterable[str | Path],
    *,
    top: int = 1,
    weights: str = "best",
    db: str | Path | None = None,
    data: str | Path | None = None,
    device: str | None = None,
    on_predicted: Callable[[Sequence[Prediction | Unread], int, int], None] = lambda *_: None,
) -> FilePredictions:
    """Return what the trained network of a run says of files.

    Images are prepared as those of the run's data were.

    Args:
        name: the run, as in :func:`runner.api.show`.
        files: files, and folders of which all files count but hidden ones.
        top: how many of the most probable classes each file gets.
        weights: ``best`` or ``last``.
        db: the database; results.db when not given.
        data: where the run's data and pretrained weights are looked for first, if they are needed;
            RUNNER_DATA when not given.
        device: where it is computed; the CUDA GPU when there is one.
        on_predicted: hears of each batch, in order: the files, how many are done, and of how many;
            what it raises ends the work.

    Raises:
        UsageError: when nothing or several runs are meant, the weights are gone, a file is not
            there, or ``top`` is no number of classes; nothing was looked at.
    """
    home = workspace(db, data)
    model, _ = trained_model(home, name, weights, db)
    if not 1 <= top <= len(model.classes):
        raise UsageError(f"top is {top}", allowed=f"1 to {len(model.classes)}, the run's classes")
    paths = found_files(files)

    from runner.engine.device import choose_device
    from runner.engine.inference.classifying import TrainedClassifier
    from runner.engine.inference.image_files import in_batches, read_files

    classifier = TrainedClassifier(model, choose_device(device))
    found = read_files(paths, model.settings.data, model.shape)
    rows: list[Prediction] = []
    unread: list[Unread] = []
    animated: list[Path] = []
    done = 0
    for batch in in_batches(found, classifier.batch_size):
        said = _predicted(classifier, batch, top)
        rows += [each for each in said if isinstance(each, Prediction)]
        unread += [each for each in said if isinstance(each, Unread)]
        animated += [each.path for each in batch if each.is_animated]
        done += len(batch)
        on_predicted(said, done, len(paths))
    return FilePredictions(
        model.run_key, tuple(model.classes), top, tuple(rows), tuple(unread), tuple(animated)
    )


def found_files(
    given: str | Path | Iterable[str | Path],
    is_output: Callable[[Path], bool] = lambda path: False,
) -> list[Path]:
    """Return the files that are given, and those in given folders.

    Args:
        given: files and folders.
        is_output: whether a file is the one that results are written to. In folders it is left out.

    Raises:
        UsageError: when one is not there, there are none, or the output is one that is given.
    """
    from runner.engine.inference.image_files import find_files

    paths = [Path(each) for each in several(given)]
    missing = [path for path in paths if not os.path.lexists(path)]
    if missing:
        raise UsageError(f"no file or folder {', '.join(printable(str(each)) for each in missing)}")
    for path in paths:
        if is_output(path):
            raise UsageError(
                f"{printable(str(path))} would be read, and written to", hint="give another --out"
            )
    try:
        files = [path for path in find_files(paths) if not is_output(path)]
    except OSError as error:
        raise UsageError(f"a folder cannot be read: {error}") from None
    if not files:
        raise UsageError(f"no files in {', '.join(printable(str(each)) for each in paths)}")
    return files


def _predicted(
    classifier: TrainedClassifier, batch: Sequence[FileImage], top: int
) -> list[Prediction | Unread]:
    """Return what is said of a batch of files, in their order."""
    import numpy as np

    pixels = [each.pixels for each in batch if each.pixels is not None]
    said = iter(classifier.most_probable(np.stack(pixels), top) if pixels else ())
    return [
        Unread(each.path, each.error) if each.pixels is None else Prediction(each.path, next(said))
        for each in batch
    ]
