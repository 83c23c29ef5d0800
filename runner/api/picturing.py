"""Pictures of a run for a page: figures of its analyses, its confusion matrix, the images behind.

Reads what the run has kept; computes and writes nothing. A picture is known by the SHA-256 of its
PNG file alone, so that who asks for one can only get what was shown.
"""

from __future__ import annotations

import hashlib
import io
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.api.watching import database_of
from runner.artifacts.arrays import read_arrays
from runner.artifacts.exchange import read_whole
from runner.bind.analysis_names import as_values, settings_of, told_apart, with_names
from runner.bind.kept_predictions import find_logits
from runner.bind.named_runs import find_record
from runner.bind.prediction_images import confident_rows, predicted_images
from runner.bind.workspace import workspace
from runner.components.settings import METRIC_SPLITS
from runner.core.artifacts import analysis_name
from runner.core.errors import RunnerError, UsageError
from runner.spec.experiment import build_experiment
from runner.spec.nodes import to_node
from runner.spec.variants import variant_choice
from runner.store.progress import artifact_digests
from runner.store.queries import stored_experiments
from runner.store.watching import open_to_watch

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from runner.engine.kept_logits import KeptLogits

AUGMENTED = "augmentations"
"""Of a figure of the pipeline, which is no analysis."""

MOST_BYTES = 256 << 20
"""Of pictures that are kept; the ones that were not asked for longest go first."""

MOST_CLASSES = 40
"""Larger confusion matrices are shown by their largest wrong numbers only."""

MOST_PAIRS = 100
MOST_IMAGES = 60


class Pictures:
    """The pictures of one database. Its methods, but :meth:`png`, are for one thread at a time."""

    def __init__(self, db: str | Path | None = None) -> None:
        """Open the database; arguments and errors as :class:`runner.api.watching.Watch`."""
        self._home = workspace(db)
        self._where = database_of(self._home)
        self._database = open_to_watch(self._where)
        self._held: OrderedDict[str, bytes] = OrderedDict()
        self._holding = threading.Lock()

    def of_run(self, run: str) -> dict[str, Any]:
        """Return which pictures there are of a run, as JSON values; none is drawn yet.

        Args:
            run: a run key, or a cell as `list` prints it.

        Returns:
            ``figures``: analyses that were made, as ``key``, ``name`` and ``kind``; ``confusions``:
            of each split of which logits were kept ``split``, ``epoch``, ``classes`` and
            ``matrix``, or for many classes ``pairs``, the largest wrong numbers as (class,
            predicted, count).

        Raises:
            UsageError: for an unknown run.
        """
        from runner.report.figures.kinds import OF_ONE_RUN

        record = find_record(self._database, run)
        named = with_names(self._database, record)
        figures = [
            {
                "key": each["analysis_key"],
                "kind": each["kind"],
                "name": next(iter(each["names"]), told_apart(named, each) or each["kind"]),
            }
            for each in named
            if each["made"] and each["kind"] in OF_ONE_RUN
        ]
        if record["settings"]["train"].get("augment") is not None and record["cells"]:
            figures.append({"key": AUGMENTED, "kind": AUGMENTED, "name": AUGMENTED})
        return {"figures": figures, "confusions": list(self._confusions(record))}

    def figure(self, run: str, analysis: str) -> list[dict[str, Any]]:
        """Draw what an analysis found of a run.

        Args:
            run: as of :meth:`of_run`.
            analysis: its key; or "augmentations", of what its pipeline makes of images, which needs
                the data.

        Returns:
            ``name`` and ``digest`` of each page.

        Raises:
            UsageError: for an unknown run or analysis, or where its arrays are gone.
        """
        from runner.report.figures.kinds import FIGURES, draw_arrays, draw_values
        from runner.report.figures.page import style

        record = find_record(self._database, run)
        if analysis == AUGMENTED:
            pages = self._augmented(record["cells"])
            return [{"name": AUGMENTED, "digest": self._keep(_png(each))} for each in pages]
        named = with_names(self._database, record)
        made = next((each for each in named if each["analysis_key"] == analysis), None)
        if made is None or not made["made"] or made["kind"] not in FIGURES:
            raise UsageError(f"no analysis '{analysis[:40]}' was made of this run")
        kind, stage = made["kind"], made["stage_key"]
        title = next(iter(made["names"]), kind)
        with style():
            if FIGURES[kind].of_arrays:
                figures = draw_arrays(kind, title, self._arrays(stage))
            else:
                settings = settings_of(self._database, stage)
                figures = draw_values(kind, title, settings, as_values(made["values"]))
            return [
                {"name": name or title, "digest": self._keep(_png(each))}
                for name, each in figures.items()
            ]

    def _augmented(self, cells: Sequence[Mapping[str, Any]]) -> Iterator[Figure]:
        """Yield the pages that show images beside what the pipeline of a cell makes of them."""
        from runner.report.figures.options import PlotOptions, asked_figure
        from runner.report.figures.page import style
        from runner.report.figures.rendering import draw_figure

        if not cells:
            raise UsageError("no experiment asks for this run any more")
        cell = cells[0]
        stored = next(
            each
            for each in stored_experiments(self._database)
            if (each.name, each.variant) == (cell["experiment"], cell["variant"])
        )
        profile, sets = variant_choice(stored.variant)
        tree = to_node(stored.document)
        experiment = build_experiment(tree, Path(stored.path), profile, sets)
        chosen = [each for each in experiment.cells if each.cell.position == cell["position"]]
        figure = asked_figure(experiment, PlotOptions(AUGMENTED))
        with style():
            drawn = draw_figure(experiment, figure, chosen[:1], self._home, "")
            for _, page in drawn.pages:
                yield page

    def _arrays(self, stage_key: str) -> Mapping[str, NDArray[Any]]:
        artifact = analysis_name(stage_key)
        digest = artifact_digests(self._database, [artifact]).get(artifact)
        stored = self._home.artifacts(self._database)
        kept = read_whole(stored, artifact, lambda path: read_arrays(path, digest))
        if kept is None:
            raise UsageError("its arrays are gone or damaged", hint="`runner run` makes them again")
        return kept.arrays

    def images(
        self, run: str, split: str, pair: tuple[str, str] | None, kind: str = "wrong"
    ) -> list[dict[str, Any]]:
        """Return images of a split with what the run predicts of them.

        Args:
            run: as of :meth:`of_run`.
            split: of which logits were kept.
            pair: images of this class that are predicted as that one; None for the most confident.
            kind: of these, ``right`` or ``wrong``.

        Returns:
            ``name``, ``label``, ``predicted``, ``probability`` (of the predicted class) and
            ``digest`` of each, at most ``MOST_IMAGES``.

        Raises:
            UsageError: where no logits were kept, or the images are gone.
            DataError: when they cannot be decoded.
        """
        record = find_record(self._database, run)
        kept = find_logits(self._database, self._home, record, split)
        rows = _rows(kept, pair) if pair else confident_rows(kept, MOST_IMAGES).get(kind, [])
        if not rows:
            return []
        sheet = predicted_images(self._home, record, kept, {"asked": rows[:MOST_IMAGES]})["asked"]
        return [
            {
                "name": str(name),
                "label": kept.classes[label],
                "predicted": kept.classes[predicted],
                "probability": float(probabilities[predicted]),
                "digest": self._keep(_png_of_pixels(pixels)),
            }
            for pixels, label, predicted, probabilities, name in zip(
                *(
                    sheet[each]
                    for each in ("images", "labels", "predicted", "probabilities", "names")
                ),
                strict=True,
            )
        ]

    def png(self, digest: str) -> bytes | None:
        """Return a picture that was drawn, or None for any other digest; from any thread."""
        with self._holding:
            found = self._held.get(digest)
            if found is not None:
                self._held.move_to_end(digest)
            return found

    def reopen(self) -> None:
        """Open the file that is there now; as :meth:`runner.api.watching.Watch.reopen`."""
        opened = open_to_watch(self._where)
        self.close()
        self._database = opened

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def _confusions(self, record: Mapping[str, Any]) -> Any:
        from runner.components.scores import confusion_matrix

        for split in METRIC_SPLITS:
            try:
                kept = find_logits(self._database, self._home, record, split)
                matrix = confusion_matrix(kept.logits, kept.labels)
            except (RunnerError, ValueError):  # not kept, gone, or not finite
                continue
            found = {"split": split, "epoch": kept.epoch, "classes": list(kept.classes)}
            if len(kept.classes) <= MOST_CLASSES:
                yield {**found, "matrix": matrix.tolist()}
            else:
                wrong = [
                    [int(row), int(column), int(matrix[row, column])]
                    for row, column in zip(*matrix.nonzero(), strict=True)
                    if row != column
                ]
                wrong.sort(key=lambda each: -each[2])
                yield {**found, "pairs": wrong[:MOST_PAIRS]}

    def _keep(self, png: bytes) -> str:
        digest = hashlib.sha256(png).hexdigest()
        with self._holding:
            self._held[digest] = png
            self._held.move_to_end(digest)
            while sum(map(len, self._held.values())) > MOST_BYTES and len(self._held) > 1:
                self._held.popitem(last=False)
        return digest


def _rows(kept: KeptLogits, pair: tuple[str, str]) -> list[int]:
    """Return the rows of images of one class that are predicted as another.

    Raises:
        UsageError: for an unknown class.
    """
    from runner.components.scores import predicted

    classes: Sequence[str] = list(kept.classes)
    unknown = [name for name in pair if name not in classes]
    if unknown:
        raise UsageError(f"no class '{unknown[0][:40]}'")
    label, guess = (classes.index(name) for name in pair)
    rows = (kept.labels == label) & (predicted(kept.logits) == guess)
    return [int(row) for row in rows.nonzero()[0]]


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _png_of_pixels(pixels: NDArray[Any]) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    shown = pixels[:, :, 0] if pixels.shape[2] == 1 else pixels
    Image.fromarray(shown).save(buffer, format="png")
    return buffer.getvalue()
