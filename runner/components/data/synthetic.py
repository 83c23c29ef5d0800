"""Generated images for trials, tests and benchmarks without data."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from runner.components.component import keyed_settings
from runner.components.data.dataset import DataAccess, FractionDataset, ImageSource, array_source
from runner.core.keys import keyed_seed

if TYPE_CHECKING:
    from PIL.Image import Image

CONTENT_FIELDS = ("classes", "images", "height", "width", "noise", "content_seed")


class Synthetic(FractionDataset):
    """Each class is one smooth random colour pattern; an image is its pattern plus noise."""

    dataset: Literal["synthetic"]
    classes: int = Field(10, ge=2, le=10_000, description="number of classes")
    images: int = Field(1000, ge=4, le=10_000_000, description="number of images, all classes")
    height: int = Field(32, ge=1, le=4096, description="pixels")
    width: int = Field(32, ge=1, le=4096, description="pixels")
    noise: float = Field(
        0.5, ge=0, le=10, description="standard deviation of the noise; the pattern's is about 1"
    )
    content_seed: int = Field(0, ge=0, le=2**63 - 1, description="seed of patterns and noise")

    def image_size(self) -> tuple[int, int]:
        """Return height and width of every image."""
        return self.height, self.width

    def num_classes(self) -> int:
        """Return how many classes there are."""
        return self.classes

    def build(self, access: DataAccess) -> ImageSource:
        """Return the source; image i belongs to class i modulo ``classes``."""
        import numpy as np
        from PIL import Image as PillowImage

        grid = (4, 4, 3)
        patterns = [
            np.random.default_rng(keyed_seed(self.content_seed, "pattern", label)).normal(size=grid)
            for label in range(self.classes)
        ]

        def read(index: int) -> "Image":
            pattern = patterns[index % self.classes]
            rows = np.linspace(0, 3.999, self.height).astype(int)
            columns = np.linspace(0, 3.999, self.width).astype(int)
            rng = np.random.default_rng(keyed_seed(self.content_seed, "noise", index))
            noisy = pattern[rows][:, columns] + self.noise * rng.normal(
                size=(self.height, self.width, 3)
            )
            return PillowImage.fromarray(np.clip(128 + 40 * noisy, 0, 255).astype(np.uint8))

        keyed = keyed_settings(self)
        content = {name: keyed[name] for name in (*CONTENT_FIELDS, "semantics")}
        return array_source(
            [f"{index:08d}" for index in range(self.images)],
            [index % self.classes for index in range(self.images)],
            [f"class_{label}" for label in range(self.classes)],
            {"synthetic": content},
            read,
        )
