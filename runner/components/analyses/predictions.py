"""Predictions: which classes a network tells apart, and which it takes for one another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from runner.components.analyses.analysis import Named, OnSplit


class Predictions(OnSplit):
    """What kept weights say of the images of a split: how well each class is told from the others.

    They come from the logits that are kept, with labels and image names; where there are none, the
    images go through the network once more. The arrays are the confusion matrix (`confusion`:
    class, predicted class), `class_names` and, over 15 bins of confidence, `bin_images`,
    `bin_confidence` and `bin_accuracy`. A value that a class has not (the precision of a class that
    is never predicted) is left out. Outputs beyond the classes of the data (`model.classes`) are
    called `output 11` and so on.
    """

    VALUES: ClassVar[Mapping[str, str]] = {
        "precision": "share of right ones among the images predicted as the class",
        "recall": "share of the images of the class that are predicted right",
        "f1": "harmonic mean of precision and recall",
        "auroc": "area under the ROC curve, the class against all others",
        "images": "how many images the class has",
    }
    DIMENSIONS: ClassVar[Mapping[str, str]] = {"class": "name of the class"}
    NAMES: ClassVar[Mapping[str, Named]] = {"class": "class"}
    LEAVES_ARRAYS: ClassVar[bool] = True
    FROM_LOGITS: ClassVar[bool] = True

    name: Literal["predictions"]
