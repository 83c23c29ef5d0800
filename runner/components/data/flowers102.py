"""The Oxford 102 Flower set in torchvision's layout."""

from typing import Literal

from runner.components.data.archives import Archive, PublicFile
from runner.components.data.dataset import DataAccess, DatasetSettings, ImageSource
from runner.components.data.finding import find_root
from runner.components.data.mat_files import read_mat
from runner.components.data.published import ListedImage, listed_source
from runner.components.data.splitting import Split

HOME = "https://www.robots.ox.ac.uk/~vgg/data/flowers/102"
ARCHIVE = Archive(
    (
        PublicFile(f"{HOME}/102flowers.tgz", "52808999861908f626f3c1f4e79d11fa", 344_862_509),
        PublicFile(f"{HOME}/imagelabels.mat", "e0620be6f572b9609742df49c70aed4d", 502),
        PublicFile(f"{HOME}/setid.mat", "a5357ecc9cb78c4bef273ce3793fc85c", 14_989),
    ),
    folder="flowers-102",
)
LISTS = ("imagelabels.mat", "setid.mat")
PARTS: dict[Split, str] = {"train": "trnid", "val": "valid", "test": "tstid"}
"""Arrays of the numbers of images, counted from 1."""

CLASSES = (
    *("pink primrose", "hard-leaved pocket orchid", "canterbury bells", "sweet pea"),
    *("english marigold", "tiger lily", "moon orchid", "bird of paradise", "monkshood"),
    *("globe thistle", "snapdragon", "colt's foot", "king protea", "spear thistle", "yellow iris"),
    *("globe-flower", "purple coneflower", "peruvian lily", "balloon flower"),
    *("giant white arum lily", "fire lily", "pincushion flower", "fritillary", "red ginger"),
    *("grape hyacinth", "corn poppy", "prince of wales feathers", "stemless gentian", "artichoke"),
    *("sweet william", "carnation", "garden phlox", "love in the mist", "mexican aster"),
    *("alpine sea holly", "ruby-lipped cattleya", "cape flower", "great masterwort", "siam tulip"),
    *("lenten rose", "barbeton daisy", "daffodil", "sword lily", "poinsettia", "bolero deep blue"),
    *("wallflower", "marigold", "buttercup", "oxeye daisy", "common dandelion", "petunia"),
    *("wild pansy", "primula", "sunflower", "pelargonium", "bishop of llandaff", "gaura"),
    *("geranium", "orange dahlia", "pink-yellow dahlia?", "cautleya spicata", "japanese anemone"),
    *("black-eyed susan", "silverbush", "californian poppy", "osteospermum", "spring crocus"),
    *("bearded iris", "windflower", "tree poppy", "gazania", "azalea", "water lily", "rose"),
    *("thorn apple", "morning glory", "passion flower", "lotus", "toad lily", "anthurium"),
    *("frangipani", "clematis", "hibiscus", "columbine", "desert-rose", "tree mallow", "magnolia"),
    *("cyclamen", "watercress", "canna lily", "hippeastrum", "bee balm", "ball moss", "foxglove"),
    *("bougainvillea", "camellia", "mallow", "mexican petunia", "bromelia", "blanket flower"),
    *("trumpet creeper", "blackberry lily"),
)


class Flowers102(DatasetSettings):
    """Flowers-102 (Nilsback and Zisserman, 2008): photographs of 102 kinds of flowers.

    1,020 images train, 1,020 validate, 6,149 test; their shorter side has at least 500 pixels.
    """

    dataset: Literal["flowers102"]

    def num_classes(self) -> int:
        """Return how many classes there are."""
        return len(CLASSES)

    def build(self, access: DataAccess) -> ImageSource:
        """Return the source: training, validation and test images in the order of their lists.

        Raises:
            MissingData: when the folder is not there, and is not fetched.
            DownloadFailed: when it cannot be fetched.
            OSError: for files that are not in the official layout.
        """
        root = find_root(access, ARCHIVE.folder, ARCHIVE.how_to_get(), ARCHIVE)
        (labels,) = read_mat(root / LISTS[0], ("labels",))
        label_of = dict(enumerate(labels.reshape(-1).tolist(), start=1))
        parts = read_mat(root / LISTS[1], tuple(PARTS.values()))
        images = []
        for split, numbers in zip(PARTS, parts, strict=True):
            for number in map(int, numbers.reshape(-1)):
                if number not in label_of:
                    what = f"image {number} of {PARTS[split]} has no label"
                    raise OSError(f"{root} is not as it was published: {what}")
                label = int(label_of[number]) - 1
                images.append(ListedImage(f"jpg/image_{number:05d}.jpg", label, split))
        return listed_source(access, root, images, CLASSES, LISTS)
