"""The figures of the analysis `saliency`, of the arrays that it leaves of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from runner.report.figures import pictures

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray


def saliency(title: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, Figure]:
    """Return a figure for each method, by its name.

    Args:
        title: begins those of the figures.
        arrays: that the analysis left.
    """
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
