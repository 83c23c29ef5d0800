"""scikit-learn's handwritten digits: embedded, no download."""

import hashlib
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from runner.components.data.dataset import DataPlaces, FractionDataset, ImageSource, array_source

if TYPE_CHECKING:
    from PIL.Image import Image


class Digits(FractionDataset):
    """1,797 handwritten digits of 8×8 gray pixels in ten classes, shipped with scikit-learn.

    Source: E. Alpaydin and C. Kaynak, UCI "Optical Recognition of Handwritten Digits" (1998), its
    test set. Gray levels 0–16 are stretched to 0–255.
    """

    dataset: Literal["digits"]
    color: Literal["rgb", "gray"] = Field("gray", description="images become three or one channel")

    def build(self, places: DataPlaces) -> ImageSource:
        """Return the source; looks at no file."""
        import numpy as np
        from PIL import Image as PillowImage
        from sklearn.datasets import load_digits

        bunch = load_digits()
        pixels = np.round(bunch.images * (255.0 / 16.0)).astype(np.uint8)
        labels = [int(label) for label in bunch.target]
        digest = hashlib.sha256(pixels.tobytes() + bytes(labels)).hexdigest()

        def read(index: int) -> "Image":
            return PillowImage.fromarray(pixels[index])

        names = [f"{index:04d}" for index in range(len(labels))]
        classes = [str(digit) for digit in range(10)]
        return array_source(names, labels, classes, {"digits": digest}, read)
