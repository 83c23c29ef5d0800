"""The verb `inspect embedding --image`: images of the run's data that are nearest to given ones.

Near is what a layer of the run's network, with the weights it keeps, gives similar outputs for.
Nothing is trained and nothing recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from numpy.typing import NDArray

from runner.api.drawing import check_out, draw, figure_path
from runner.api.frames import Framed, frame_of, records_of
from runner.bind.given_images import GivenImage, check_suits, given_images
from runner.bind.kept_run import KeptRun, kept_run
from runner.bind.request import several
from runner.bind.run_images import RunImages
from runner.components.analyses.embedding import Embedding
from runner.components.data.splitting import Split
from runner.core.errors import UsageError, nearest
from runner.core.spacing import evenly_spaced

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from runner.engine.inference.model import TrainedModel

SPLITS: tuple[Split, ...] = get_args(Split)
MOST_NEIGHBOURS = 100
SEARCHED = 2000


@dataclass(frozen=True)
class Neighbour:
    """One of the images that are nearest to an image.

    Attributes:
        image: name or file of the image whose neighbours these are.
        rank: 1 of the nearest.
        neighbour: its name in the data set.
        label: its class.
        distance: cosine distance of the outputs: 0 of the same direction, 2 of the opposite.
    """

    image: str
    rank: int
    neighbour: str
    label: str
    distance: float


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class InspectedNeighbours(Framed):
    """The images of a run's data that are nearest to given ones.

    Attributes:
        run_key: of the run whose weights are looked at.
        epoch: whose weights they are.
        layer: whose outputs are compared.
        searched: among how many images of the split.
        rows: the neighbours, image by image, the nearest first.
        arrays: ``images`` (Q, H, W, C) uint8, ``nearest`` (Q, K, H, W, C) uint8, ``distances``
            (Q, K).
        figures: one, under the name "".
        paths: of its file.
    """

    run_key: str
    epoch: int
    layer: str
    searched: int
    rows: tuple[Neighbour, ...]
    arrays: Mapping[str, NDArray[Any]]
    figures: Mapping[str, Figure]
    paths: tuple[Path, ...]

    def records(self) -> list[dict[str, Any]]:
        """Return the rows as mappings."""
        return records_of(self.rows)

    def frame(self) -> pd.DataFrame:
        """Return a row for each, with the attributes of :class:`Neighbour`."""
        return frame_of(Neighbour, self.rows)


def inspect_neighbours(
    run: str | KeptRun,
    images: str | Path | Iterable[str | Path],
    count: int = 5,
    *,
    layer: str | None = None,
    split: str = "val",
    most: int = SEARCHED,
    out: str | Path | None = None,
    on_done: Callable[[int, int], None] = lambda *_: None,
) -> InspectedNeighbours:
    """Return and draw the images of a split that are nearest to given ones.

    Args:
        run: its name, as :func:`runner.api.show` takes it, or a :class:`KeptRun`.
        images: names of images in the run's data, or files, which are prepared as that was.
        count: how many neighbours each has; an image is not its own.
        layer: whose outputs are compared; the input of the last linear layer when not given.
        split: ``train``, ``val`` or ``test``: where neighbours are looked for.
        most: at most so many images of the split, evenly spaced.
        out: a .png, .svg or .pdf file; figures/RUN-neighbours-IMAGE.png when not given.
        on_done: hears how many images of the split are done, of how many; what it raises ends the
            work.

    Raises:
        UsageError: when no run is meant, its weights are gone (with what getting them back costs),
            it has no such layer or split, or an image is not there or cannot be read.
        DataError: for an image of the data that cannot be decoded.
        DiskFull: when there is no room for the figure.
    """
    check_out(out)
    texts, chosen = [str(each) for each in several(images)], _split(split)
    if not 1 <= count <= MOST_NEIGHBOURS:
        raise UsageError(f"{count} neighbours are asked for", allowed=f"1 to {MOST_NEIGHBOURS}")
    kept = kept_run(run)
    model, run_images = kept.load()
    asked = Embedding(name="embedding", layer=layer)
    check_suits(model, asked)
    given = given_images(texts, run_images, model.settings.data)
    places = run_images.split(model.settings.data, chosen)
    numbers = [places[place] for place in evenly_spaced(len(places), most)]
    for each in given:
        if numbers == [each.number]:
            found_alone = f"there is no other {chosen} image than {each.name}"
            raise UsageError(found_alone, hint="look for neighbours in another split")
    found = _search(model, run_images, given, numbers, asked, count, kept.device, on_done)
    rows, arrays = tuple(found.rows()), found.arrays()

    from runner.report.figures.embedding import neighbours

    title = f"run {model.run_key[:12]}, epoch {model.epoch}"
    caption = (
        f"the nearest of {len(numbers)} {chosen} images by the cosine distance of {found.layer}"
    )

    def make() -> Mapping[str, Figure]:
        names, near = [each.name for each in given], found.captions()
        return {"": neighbours(title, arrays["images"], names, arrays["nearest"], near, caption)}

    weights = kept.weights if kept.weights != "best" else None
    looked_in = {"split": split if split != "val" else None, "layer": layer, "weights": weights}
    path = figure_path(out, model.run_key, "neighbours", [each.name for each in given], looked_in)
    figures, paths = draw(make, path)
    return InspectedNeighbours(
        model.run_key, model.epoch, found.layer, len(numbers), rows, arrays, figures, paths
    )


def _split(name: str) -> Split:
    for each in SPLITS:
        if each == name:
            return each
    raise UsageError(
        f"no split is called '{name}'", allowed=", ".join(SPLITS), suggestion=nearest(name, SPLITS)
    )


@dataclass(frozen=True, eq=False)
class _Found:
    """The neighbours of images.

    Attributes:
        given: the images.
        images: of the run.
        layer: whose outputs were compared, in words.
        numbers: of the neighbours (Q, K).
        distances: of each.
    """

    given: Sequence[GivenImage]
    images: RunImages
    layer: str
    numbers: NDArray[np.int64]
    distances: NDArray[np.float32]

    def rows(self) -> Iterator[Neighbour]:
        for each, numbers, distances in zip(
            self.given, self.numbers.tolist(), self.distances.tolist(), strict=True
        ):
            for rank, (number, distance) in enumerate(zip(numbers, distances, strict=True), 1):
                name, label = self.images.names[number], self._class_of(number)
                yield Neighbour(each.name, rank, name, label, distance)

    def captions(self) -> list[list[str]]:
        """Return what stands above each neighbour."""
        return [
            [
                f"{self._class_of(number)} ({distance:.2f})"
                for number, distance in zip(numbers, distances, strict=True)
            ]
            for numbers, distances in zip(
                self.numbers.tolist(), self.distances.tolist(), strict=True
            )
        ]

    def arrays(self) -> dict[str, NDArray[Any]]:
        pixels = [self.images.pixels(numbers) for numbers in self.numbers.tolist()]
        return {
            "images": np.stack([each.pixels for each in self.given]),
            "nearest": np.stack(pixels),
            "distances": self.distances,
        }

    def _class_of(self, number: int) -> str:
        return self.images.classes[self.images.labels[number]]


def _search(
    model: TrainedModel,
    images: RunImages,
    given: Sequence[GivenImage],
    numbers: Sequence[int],
    asked: Embedding,
    count: int,
    device: str | None,
    on_done: Callable[[int, int], None],
) -> _Found:
    """Return the neighbours of given images among those of these numbers."""
    from runner.engine.device import choose_device
    from runner.engine.inference.classifying import TrainedClassifier
    from runner.engine.inference.inspecting import outputs_of
    from runner.engine.inspection.embedding import nearest_to
    from runner.engine.inspection.layers import NotSuitable

    classifier = TrainedClassifier(model, choose_device(device))
    itself = {number: place for place, number in enumerate(numbers)}
    pixels = np.stack([each.pixels for each in given])
    try:
        _, own = outputs_of(classifier, range(len(given)), lambda some: pixels[some], asked.layer)
        layer, others = outputs_of(classifier, numbers, images.pixels, asked.layer, on_done)
    except NotSuitable as error:
        raise UsageError(str(error)) from None
    found = []
    for each, outputs in zip(given, own, strict=True):
        place = itself.get(-1 if each.number is None else each.number)
        found.append(
            nearest_to(outputs[None], others, count, None if place is None else np.array([place]))
        )
    fewest = min(places.shape[1] for places, _ in found)
    places = np.concatenate([each[:, :fewest] for each, _ in found])
    distances = np.concatenate([each[:, :fewest] for _, each in found])
    what = layer if asked.layer else f"the input of {layer}"
    return _Found(given, images, what, np.asarray(numbers)[places], distances)
