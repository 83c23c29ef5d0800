"""What all data sets share: preprocessing settings, and the image source that they build.

A source lists images and reads one at a time; it knows nothing of batches or training. Uses numpy
and Pillow, not torch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from runner.components.component import Component, canonical_settings, keyed_settings
from runner.components.data.archives import Fetch
from runner.components.data.folds import Fold, Folding
from runner.components.data.normalizing import NORMALIZATIONS, Normalization
from runner.components.data.splitting import Split, split_images
from runner.components.data.transparency import Recall
from runner.core.keys import content_key

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class ImageSource:
    """The images of a data set, before decoding.

    Attributes:
        names: one printable name per image, with "/" on every system.
        labels: class index of each image, in [0, len(classes)).
        classes: printable class names, in the order of the indices.
        splits: official split of each image, or () where fractions split the whole. Where no image
            is of val or test, a fraction of the training images is.
        fingerprint: key of all names and contents.
        read: from an index to the decoded image; raises OSError or SyntaxError on a corrupt file,
            ChangedFile on one that is not what was hashed.
        root: folder of the files, or None.
        notes: what a person should know of them, as of files that were left out.
        digests: hash of the content of each image, or () where none is known.
        groups: of each image, where images of a group are to be in one fold, else ().
    """

    names: tuple[str, ...]
    labels: tuple[int, ...]
    classes: tuple[str, ...]
    splits: tuple[Split, ...]
    fingerprint: str
    read: Callable[[int], Image]
    root: Path | None = None
    notes: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()

    @cached_property
    def official(self) -> Mapping[Split, int]:
        """How many images each official split has; empty where fractions split the whole."""
        return Counter(self.splits)

    @cached_property
    def name_length(self) -> float:
        """Mean characters of the names."""
        return sum(map(len, self.names)) / max(1, len(self.names))


@dataclass(frozen=True)
class DataAccess:
    """Access of data sets to files: where they look, and how files are hashed.

    Attributes:
        roots: folders in which relative paths are looked up, in order.
        hash_files: from (folder, relative names) to the content hash of each.
        forget: drops what is remembered of the files below a folder.
        fetch: downloads a public set to a folder of data sets; None where nothing is downloaded.
        recall: remembers answers about contents by their key.
        memory: folder of small files that remember what own data sets gave; None where none do.
    """

    roots: tuple[Path, ...]
    hash_files: Callable[[Path, Sequence[str]], list[str]]
    fetch: Fetch | None = None
    forget: Callable[[Path], None] = lambda root: None
    recall: Recall = lambda key, find_out: find_out()
    memory: Path | None = None


Pixels = Annotated[int, Field(ge=1, le=1 << 14)]
MAX_IMAGES = 100_000_000
AFTER_DECODING = ("validation", "test", "split_seed", "fold", "train_images", "normalize")
"""Settings that leave the decoded pixels as they are."""

Size = Pixels | tuple[Pixels, Pixels]


class DatasetSettings(Component):
    """Preprocessing and splitting, the same for every data set."""

    validation: float = Field(
        0.2, ge=0, lt=1, description="fraction of the images that are not test, per class"
    )
    split_seed: int = Field(
        0, ge=0, le=2**32 - 1, description="seed of the split; independent of `seeds`"
    )
    fold: Fold | None = Field(
        None,
        description="hold out one of several folds, in the place of a fraction",
        json_schema_extra={"neutral": None},
    )
    train_images: int | None = Field(
        None,
        ge=1,
        le=MAX_IMAGES,
        description="so many images train, a stratified sample drawn with `split_seed`, instead of"
        " all there are; validation and test images stay what they are",
        json_schema_extra={"neutral": None},
    )
    resize: Size | None = Field(
        None, description="shorter side in pixels, or [height, width]; bilinear, antialiased"
    )
    crop: Size | None = Field(None, description="centre crop: side in pixels, or [height, width]")
    color: Literal["rgb", "gray"] = Field("rgb", description="images become three or one channel")
    background: Literal["white", "black"] = Field(
        "white",
        description="what transparent images are laid on; opaque images do not change",
        json_schema_extra={"neutral": "white"},
    )
    normalize: Literal["none", "half", "imagenet", "model"] | Normalization = Field(
        "half",
        description="`half` is mean 0.5 and std 0.5; `model` that of the network's weights in timm;"
        " or {mean: [...], std: [...]}",
    )
    on_corrupt: Literal["stop", "skip"] = Field(
        "stop",
        description="an image that cannot be decoded stops the run, or is listed and left out",
    )

    def test_share(self) -> float | None:
        """Return the fraction of images that are test, None where the data set says which.

        A data set that says so only where its files do returns a fraction: unused where they do.
        """
        return None

    def fold_as(self, split: Literal["validation", "test"]) -> Fold | None:
        """Return the fold that is these images, None where they are others."""
        return self.fold if self.fold is not None and self.fold.held_out == split else None

    def has_validation(self) -> bool:
        """Return whether images are held out for validation; those of the data set count, too."""
        return self.validation > 0 or self.fold_as("validation") is not None

    def has_test(self) -> bool:
        """Return whether there are test images."""
        return self.test_share() != 0 or self.fold_as("test") is not None

    def group_column(self) -> str | None:
        """Return what says of which group each image is, None where nothing does."""
        return None

    def image_size(self) -> tuple[int, int] | None:
        """Return height and width of every image as it is stored, None where they vary."""
        return None

    def num_classes(self) -> int | None:
        """Return how many classes there are, None where that takes a look at the data."""
        return None

    def split(
        self,
        labels: Sequence[int],
        classes: Sequence[str],
        official: Sequence[Split],
        groups: Sequence[str] = (),
    ) -> dict[Split, list[int]]:
        """Return the image indices of each split, ascending; see :func:`split_images`.

        Args:
            labels: class index of each image.
            classes: class names, for error messages.
            official: the data set's own split of each image, or empty.
            groups: of each image, whose images are in one fold, or empty.

        Raises:
            UnsplittableError: when the images cannot be split as the settings ask for.
        """
        return split_images(
            labels,
            classes,
            official,
            self.validation,
            self.test_share() or 0.0,
            self.split_seed,
            self.train_images,
            None if self.fold is None else Folding(self.fold, groups),
        )

    def split_sizes(self, total: int, official: Mapping[Split, int]) -> dict[Split, float]:
        """Return about how many images each split has.

        Args:
            total: all images.
            official: images of each of the data set's own splits, or empty.
        """
        left: float = official.get("train", 0) if official else total
        test: float = official.get("test", 0)
        if not test:
            test = left * self._share("test", self.test_share() or 0.0)
            left -= test
        validation: float = official.get("val", 0)
        if not validation:
            validation = left * self._share("validation", self.validation)
            left -= validation
        train = left if self.train_images is None else min(left, self.train_images)
        return {"train": train, "val": validation, "test": test}

    def _share(self, split: Literal["validation", "test"], fraction: float) -> float:
        fold = self.fold_as(split)
        return fraction if fold is None else 1 / fold.of

    def normalization(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return mean and standard deviation per channel (or one for all), of pixels in [0, 1].

        Of `model` only a bound run knows them: it has the numbers in its place.
        """
        assert self.normalize != "model", "the network's own numbers are not known yet"
        if isinstance(self.normalize, Normalization):
            return self.normalize.mean, self.normalize.std
        return NORMALIZATIONS[self.normalize]

    def pixel_settings(self) -> dict[str, Any]:
        """Return the settings that affect decoded pixels: all but splits and normalisation.

        They include the data set's own settings, in case its fingerprint leaves one out.
        """
        keyed = keyed_settings(self)
        return {name: value for name, value in keyed.items() if name not in AFTER_DECODING}

    def source_settings(self) -> dict[str, Any]:
        """Return the data set's own settings as JSON: they decide which images there are."""
        shared = {*DatasetSettings.model_fields, *AFTER_DECODING}
        return {
            name: value for name, value in canonical_settings(self).items() if name not in shared
        }


class FractionDataset(DatasetSettings):
    """A data set without an official test split: a fraction is held out."""

    test: float = Field(0.2, ge=0, lt=1, description="fraction of all images, per class")

    def test_share(self) -> float | None:
        """Return the fraction of all images that are test."""
        return self.test


def array_source(
    names: Sequence[str],
    labels: Sequence[int],
    classes: Sequence[str],
    fingerprint_of: Any,
    read: Callable[[int], Image],
    splits: Sequence[Split] = (),
) -> ImageSource:
    """Return a source of images without files, identified by the JSON value ``fingerprint_of``."""
    return ImageSource(
        names=tuple(names),
        labels=tuple(labels),
        classes=tuple(classes),
        splits=tuple(splits),
        fingerprint=content_key("fingerprint", fingerprint_of),
        read=read,
    )
