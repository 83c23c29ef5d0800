"""The verb `inspect saliency --image`: what of images speaks for a class, by weights that are kept.

Nothing is trained and nothing recorded: what is found is given back, drawn, and forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from runner.api.drawing import check_out, draw, figure_path
from runner.api.frames import Framed, frame_of, records_of
from runner.bind.given_images import GivenImage, check_suits, given_images
from runner.bind.kept_run import KeptRun, kept_run
from runner.bind.request import several
from runner.components.analyses.saliency import Saliency, SaliencyMethod
from runner.core.errors import UsageError, nearest

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from runner.engine.inference.model import TrainedModel

METHODS: tuple[SaliencyMethod, ...] = get_args(SaliencyMethod)
SHOWN_CLASSES = 24


@dataclass(frozen=True)
class ExplainedImage:
    """What a network says of an image, and which class is explained.

    Attributes:
        image: its name in the data set, or its file.
        label: the class it has in the data set; None of a file.
        predicted: the most probable class.
        probability: of that.
        explained: the class whose score the pictures are about.
        explained_probability: of that.
    """

    image: str
    label: str | None
    predicted: str
    probability: float
    explained: str
    explained_probability: float


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class InspectedSaliency(Framed):
    """What of images speaks for a class.

    Attributes:
        run_key: of the run whose weights are looked at.
        epoch: whose weights they are.
        rows: of each image.
        arrays: by name, as the analysis `saliency` leaves them; also ``names``.
        figures: by the name of the method.
        paths: of their files.
        notes: methods that were left out, and why.
    """

    run_key: str
    epoch: int
    rows: tuple[ExplainedImage, ...]
    arrays: Mapping[str, NDArray[Any]]
    figures: Mapping[str, Figure]
    paths: tuple[Path, ...]
    notes: tuple[str, ...] = ()

    def records(self) -> list[dict[str, Any]]:
        """Return the rows as mappings."""
        return records_of(self.rows)

    def frame(self) -> pd.DataFrame:
        """Return a row for each, with the attributes of :class:`ExplainedImage`."""
        return frame_of(ExplainedImage, self.rows)


def inspect_saliency(
    run: str | KeptRun,
    images: str | Path | Iterable[str | Path],
    *,
    class_name: str | None = None,
    methods: str | Sequence[str] | None = None,
    layer: str | None = None,
    out: str | Path | None = None,
) -> InspectedSaliency:
    """Return and draw what of images speaks for a class, by the weights that a run keeps.

    Args:
        run: its name, as :func:`runner.api.show` takes it, or a :class:`KeptRun`.
        images: names of images in the run's data, or files, which are prepared as that was.
        class_name: the class whose score is explained; the predicted one when not given.
        methods: of ``gradient``, ``guided_backpropagation`` and ``grad_cam``; when not given, the
            last two, or where guided backpropagation says nothing of the network, ``gradient``.
        layer: of Grad-CAM; the last maps before they are pooled when not given.
        out: a .png, .svg or .pdf file; figures/RUN-saliency-IMAGE.png when not given, with the
            class and the layer that are named. The method stands before the suffix.

    Raises:
        UsageError: when no run is meant, its weights are gone (with what getting them back costs),
            it has no such class or layer, a method says nothing of its network, or an image is not
            there or cannot be read.
        DataError: for an image of the data that cannot be decoded.
        DiskFull: when there is no room for the figures.
    """
    check_out(out)
    texts = [str(each) for each in several(images)]
    wanted = _methods(methods, layer)
    kept = kept_run(run)
    model, run_images = kept.load()
    _check_class(class_name, model.outputs)
    asked, notes = _suiting(model, wanted, class_name, layer)
    given = given_images(texts, run_images, model.settings.data)
    arrays = _arrays(model, given, asked, kept.device)

    from runner.report.figures.kinds import draw_arrays

    title = f"run {model.run_key[:12]}, epoch {model.epoch}"
    weights = kept.weights if kept.weights != "best" else None
    chosen = {"class": class_name, "layer": layer, "weights": weights}
    names = [each.name for each in given]
    path = figure_path(out, model.run_key, "saliency", names, chosen)
    figures, paths = draw(lambda: draw_arrays("saliency", title, arrays), path)
    rows = tuple(_rows(model, given, arrays))
    return InspectedSaliency(model.run_key, model.epoch, rows, arrays, figures, paths, notes)


def _methods(methods: str | Sequence[str] | None, layer: str | None) -> list[SaliencyMethod]:
    """Return the methods that are named; [] for the usual ones."""
    given = [] if methods is None else list(dict.fromkeys(several(methods)))
    for each in given:
        if each not in METHODS:
            raise UsageError(
                f"no method is called '{each}'",
                allowed=", ".join(METHODS),
                suggestion=nearest(str(each), METHODS),
            )
    if given and layer is not None and "grad_cam" not in given:
        raise UsageError("the layer is of grad_cam, which is not among the methods")
    return [each for each in METHODS if each in given]


def _check_class(name: str | None, names: Sequence[str]) -> None:
    if name is None or name in names:
        return
    more = ", …" if len(names) > SHOWN_CLASSES else ""
    raise UsageError(
        f"the run has no class '{name}'",
        allowed=", ".join(names[:SHOWN_CLASSES]) + more,
        suggestion=nearest(name, names),
    )


def _suiting(
    model: TrainedModel, wanted: Sequence[SaliencyMethod], target: str | None, layer: str | None
) -> tuple[Saliency, tuple[str, ...]]:
    """Return what is asked for, and which of the usual methods say nothing of the network."""

    def asked(methods: Sequence[SaliencyMethod]) -> Saliency:
        of_maps = layer if "grad_cam" in methods else None
        found = Saliency(name="saliency", methods=tuple(methods), target=target, layer=of_maps)
        check_suits(model, found)
        return found

    if wanted:
        return asked(wanted), ()
    suiting: list[SaliencyMethod] = []
    notes: list[str] = []
    for method in ("guided_backpropagation", "grad_cam"):
        try:
            asked([method])
        except UsageError as error:
            if method == "grad_cam" and layer is not None:
                raise
            notes.append(f"no {method}: {error.found}")
            if method == "guided_backpropagation":
                suiting.append("gradient")
        else:
            suiting.append(method)
    return asked(suiting), tuple(notes)


def _arrays(
    model: TrainedModel, given: Sequence[GivenImage], asked: Saliency, device: str | None
) -> dict[str, NDArray[Any]]:
    """Return what the analysis leaves of these images; -1 is the label of a file."""
    import numpy as np

    from runner.engine.device import choose_device
    from runner.engine.inference.classifying import TrainedClassifier
    from runner.engine.inference.inspecting import explained_images
    from runner.engine.inspection.layers import NotSuitable

    classifier = TrainedClassifier(model, choose_device(device))
    try:
        arrays = explained_images(classifier, np.stack([each.pixels for each in given]), asked)
    except NotSuitable as error:
        raise UsageError(str(error)) from None
    arrays["labels"] = np.array([-1 if each.label is None else each.label for each in given])
    arrays["names"] = np.array([each.name for each in given])
    return arrays


def _rows(
    model: TrainedModel, given: Sequence[GivenImage], arrays: Mapping[str, NDArray[Any]]
) -> Iterable[ExplainedImage]:
    for each, target, shares in zip(
        given, arrays["classes"].tolist(), arrays["probabilities"], strict=True
    ):
        first = int(shares.argmax())
        yield ExplainedImage(
            each.name,
            None if each.label is None else model.outputs[each.label],
            model.outputs[first],
            float(shares[first]),
            model.outputs[target],
            float(shares[target]),
        )
