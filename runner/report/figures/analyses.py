"""The pictures of each analysis that leaves arrays, by the name of the analysis.

To add one: a function from a title and arrays to figures by name, and a line in ``PICTURES``. What
the arrays hold is said by the analysis' component.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from runner.report.figures import embedding, pictures, robustness
from runner.report.figures.predictions import predictions_pages

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from runner.components.analyses.analysis import AnalysisSettings
    from runner.core.records import AnalysisValue
    from runner.report.figures.curves import FigureRequest


def pages(kind: str, request: FigureRequest) -> Iterator[tuple[str, Figure]]:
    """Yield the pages of a figure of an analysis, one or more a run, with part of the file's name.

    Arrays of a run are read when its first page is asked for: nothing holds those of all.

    Args:
        kind: of figures, a name in ``PICTURES``.
        request: with the arrays of runs.
    """
    variant = f" [{request.variant}]" if request.variant else ""
    for run in request.runs:
        name = "" if run.name == request.experiment else f", {run.name}"
        title = f"{request.experiment}{variant}{name}{request.said}"
        drawn = PICTURES[kind](title, run.read())
        for part in list(drawn):
            yield "-".join(text for text in (run.part, part) if text), drawn.pop(part)


def _filters(title: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, Figure]:
    layer = str(arrays["layer"][0])
    return {"": pictures.filters(f"{title}: filters", layer, arrays["before"], arrays["after"])}


def _neurons(title: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, Figure]:
    layer, numbers = str(arrays["layer"][0]), arrays["neurons"].tolist()
    title = f"{title}: neurons"
    found = {"": pictures.neurons(title, layer, numbers, arrays["summed"])}
    if arrays["color"].shape[3] == 3:
        found["color"] = pictures.neurons(title, layer, numbers, arrays["color"])
    return found


def _saliency(title: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, Figure]:
    captions, found = _captions(arrays), {}
    for method in ("gradient", "guided_backpropagation"):
        made = {
            name: arrays[f"{method}_{name}"]
            for name in pictures.SALIENCY
            if f"{method}_{name}" in arrays
        }
        if made:
            words = method.replace("_", " ")
            found[method] = pictures.saliency(
                f"{title}: {words}", arrays["images"], captions, made, words
            )
    if "grad_cam" in arrays:
        found["grad_cam"] = pictures.heat(
            f"{title}: Grad-CAM",
            arrays["images"],
            captions,
            arrays["grad_cam"],
            str(arrays["layer"][0]),
        )
    return found


def _captions(arrays: Mapping[str, NDArray[Any]]) -> list[str]:
    """Return what each image is, which class is explained, and how likely the network finds it."""
    classes, labels = arrays["class_names"], arrays["labels"]
    # a file that is no image of the data has no label, but a name
    what = [
        classes[label] if label >= 0 else arrays["names"][row] for row, label in enumerate(labels)
    ]
    rows = zip(what, arrays["classes"], arrays["probabilities"], strict=True)
    return [
        f"{each}; explained: {classes[target]} ({shares[target]:.0%})"
        for each, target, shares in rows
    ]


def _embedding(title: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, Figure]:
    method = "PCA" if len(arrays["explained"]) else "t-SNE"
    caption = f"{method} of {arrays['layer'][0]}, {len(arrays['points'])} images"
    figure = embedding.embedding(
        f"{title}: embedding",
        arrays["points"],
        arrays["labels"].tolist(),
        arrays["class_names"].tolist(),
        caption,
        arrays["explained"].tolist(),
    )
    return {"": figure}


PICTURES: Mapping[str, Callable[[str, Mapping[str, NDArray[Any]]], dict[str, Figure]]] = {
    "filters": _filters,
    "neurons": _neurons,
    "saliency": _saliency,
    "embedding": _embedding,
    "predictions": predictions_pages,
}
"""What draws an analysis; the names of its figures distinguish their files."""

OfValues = Callable[[str, "AnalysisSettings", "Sequence[AnalysisValue]"], "dict[str, Figure]"]

OF_VALUES: Mapping[str, OfValues] = {"robustness": robustness.of_run}
"""What draws the analysis of a run that leaves values, no arrays: title, its settings, values."""
