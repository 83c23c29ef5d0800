"""EuroSAT's colour images in torchvision's layout."""

from typing import Literal

from runner.components.data.archives import Archive, PublicFile
from runner.components.data.dataset import DataAccess, FractionDataset, ImageSource
from runner.components.data.files import file_source
from runner.components.data.finding import MissingData, find_root
from runner.components.data.imagefolder import ClassFolders

SIDE = 64
NUM_CLASSES = 10
ARCHIVE = Archive(
    (
        PublicFile(
            "https://huggingface.co/datasets/torchgeo/eurosat/resolve/"
            "c877bcd43f099cd0196738f714544e355477f3fd/EuroSAT.zip",
            "c8fa014336c82ac7804f0398fcb19387",
            94_280_567,
        ),
    ),
    folder="eurosat/2750",
)


class EuroSat(ClassFolders, FractionDataset):
    """EuroSAT (Helber et al., 2019; MIT): Sentinel-2 satellite images, ten kinds of land use.

    27,000 images of 64×64 colour pixels. There is no official split: `test` and `validation` are
    fractions.
    """

    dataset: Literal["eurosat"]

    def image_size(self) -> tuple[int, int]:
        """Return height and width of every image."""
        return SIDE, SIDE

    def num_classes(self) -> int:
        """Return how many classes there are."""
        return super().num_classes() or NUM_CLASSES

    def build(self, access: DataAccess) -> ImageSource:
        """Return the source: class folders sorted by name, images sorted within them.

        Raises:
            MissingData: when the folder is not there, and is not fetched.
            DownloadFailed: when it cannot be fetched.
            UnknownClasses: when a class in ``include`` is not there.
            SharedFolder: when a folder belongs to two classes.
            OSError: when a folder or file cannot be read.
        """
        root = find_root(access, ARCHIVE.folder, ARCHIVE.how_to_get(), ARCHIVE)
        listing = self.list_chosen(root)
        if not listing.names:
            what = f"no images in class folders under {root}"
            raise MissingData(what, [root], f"remove the folder; then {ARCHIVE.how_to_get()}")
        return file_source(access, root, listing)
