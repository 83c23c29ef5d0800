"""The Oxford-IIIT Pet Dataset in torchvision's layout."""

from typing import Literal

from runner.components.data.archives import Archive, PublicFile
from runner.components.data.dataset import DataAccess, DatasetSettings, ImageSource
from runner.components.data.finding import find_root
from runner.components.data.listing import enumerated
from runner.components.data.published import ListedImage, lines_of, listed_source
from runner.components.data.splitting import Split

NUM_CLASSES = 37
HOME = "https://www.robots.ox.ac.uk/~vgg/data/pets/data"
ARCHIVE = Archive(
    (
        PublicFile(f"{HOME}/images.tar.gz", "5c4f3ee8e5d25df40f4fd59a7f44e54c", 791_918_971),
        PublicFile(f"{HOME}/annotations.tar.gz", "95a8c909bbe2e81eed6a22bccdf3f68f", 19_173_078),
    ),
    folder="oxford-iiit-pet",
)
LISTS: dict[Split, str] = {
    "train": "annotations/trainval.txt",
    "test": "annotations/test.txt",
}


class OxfordIiitPet(DatasetSettings):
    """Oxford-IIIT Pet (Parkhi et al., 2012; CC BY-SA 4.0): cats and dogs of 37 breeds.

    Photographs of several sizes: 3,680 train (the official `trainval`), 3,669 test.
    """

    dataset: Literal["oxford_iiit_pet"]

    def num_classes(self) -> int:
        """Return how many classes there are."""
        return NUM_CLASSES

    def build(self, access: DataAccess) -> ImageSource:
        """Return the source: training and test images in the order of their lists.

        Raises:
            MissingData: when the folder is not there, and is not fetched.
            DownloadFailed: when it cannot be fetched.
            OSError: for files that are not in the official layout.
        """
        root = find_root(access, ARCHIVE.folder, ARCHIVE.how_to_get(), ARCHIVE)
        breeds: dict[str, str] = {}
        rows: list[tuple[str, str, Split]] = []
        for split, file in LISTS.items():
            for name, number, _, _ in lines_of(root / file, 4):
                breed = name.rpartition("_")[0]
                if breeds.setdefault(number, breed) != breed:
                    what = f"class {number} is {breeds[number]} and {breed}"
                    raise OSError(f"{root / file} is not as it was published: {what}")
                rows.append((name, number, split))
        numbers = [str(number) for number in range(1, NUM_CLASSES + 1)]
        if breeds.keys() != set(numbers):
            lacking = [number for number in numbers if number not in breeds]
            others = sorted(breeds.keys() - set(numbers))
            what = (
                f"lack the classes {enumerated(lacking)}"
                if lacking
                else f"name {NUM_CLASSES} classes"
            )
            what += f", and name {enumerated(others)}" if others else ""
            raise OSError(f"{root} is not as it was published: its lists {what}")
        classes = [breeds[number].replace("_", " ").title() for number in numbers]
        images = [
            ListedImage(f"images/{name}.jpg", numbers.index(number), split)
            for name, number, split in rows
        ]
        return listed_source(access, root, images, classes, list(LISTS.values()))
