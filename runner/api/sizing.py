"""The verb `inspect sizes`: the layers of the networks of a spec, without data or training."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.api.frames import Framed
from runner.bind.cell_filter import select_cells
from runner.bind.experiments import load_experiments
from runner.bind.positions import network_problems
from runner.bind.request import several
from runner.bind.unseen_images import unseen_classes, unseen_shape
from runner.components.component import canonical_settings
from runner.core.errors import UsageError
from runner.core.keys import canonical_json
from runner.spec.cells import ResolvedCell

if TYPE_CHECKING:
    import pandas as pd

    from runner.engine.inspection.sizes import LayerSize, NetworkSizes

Shape = tuple[int, int, int]
SHAPE = re.compile(r"([0-9]+)[x×]([0-9]+)[x×]([0-9]+)")
MAX_SIDE = 1 << 14
MAX_CLASSES = 1 << 20


@dataclass(frozen=True, slots=True)
class SizedNetwork:
    """A network that cells of a spec have in common.

    Attributes:
        name: of its model.
        cells: names of the cells, without their seeds.
        shape: channels, height, width of an image.
        classes: how many the data has.
        sizes: its layers.
    """

    name: str
    cells: tuple[str, ...]
    shape: Shape
    classes: int
    sizes: NetworkSizes

    def rows(self) -> list[dict[str, Any]]:
        """Return a mapping for each layer; see :meth:`InspectedSizes.frame`."""
        return [
            {"network": self.name, "cells": "; ".join(self.cells), **_row(layer)}
            for layer in self.sizes.layers
        ]


def _row(layer: LayerSize) -> dict[str, Any]:
    seen = layer.field
    sizes, strides = (None, None) if seen is None else (seen.size, seen.stride)
    return {
        "layer": layer.layer,
        "kind": layer.kind,
        "output": "×".join(map(str, layer.output)),
        "parameters": layer.parameters,
        "trainable": layer.trainable,
        "multiply_adds": layer.multiply_adds,
        "field_height": sizes and sizes[0],
        "field_width": sizes and sizes[1],
        "stride_height": strides and strides[0],
        "stride_width": strides and strides[1],
    }


@dataclass(frozen=True, slots=True, repr=False)
class InspectedSizes(Framed):
    """The different networks of a spec, in its order."""

    networks: tuple[SizedNetwork, ...]

    def frame(self) -> pd.DataFrame:
        """Return a row per network and call of a layer.

        Columns: network, cells, layer, kind, output (shape, as 64×27×27), parameters, trainable,
        multiply_adds, then the receptive field in pixels: field_height, field_width, and how far
        apart those of neighbouring units are, stride_height, stride_width, 0 where all units see
        the same. The last four are None where they are not known.
        """
        import pandas as pd

        frame = pd.DataFrame([row for network in self.networks for row in network.rows()])
        whole = ["field_height", "field_width"]
        return frame.astype(dict.fromkeys(whole, "Int64"))


def inspect_sizes(
    spec: str | Path,
    only: Sequence[str] = (),
    profile: str | None = None,
    sets: Sequence[str] = (),
    image: str | None = None,
    classes: int | None = None,
) -> InspectedSizes:
    """Return the sizes of the networks of a spec; its data is not looked at.

    Args:
        spec: a spec file.
        only: label texts, ``label=text`` or ``setting=value``; only the networks of these cells.
        profile: name of a profile.
        sets: ``setting=value`` options.
        image: channels, height and width to take, as ``3x224x224``; what follows from the spec
            when not given.
        classes: how many classes to take; what follows from the spec when not given.

    Raises:
        SpecError: for any problem in the spec, a network that does not fit, or a size or number
            of classes that only the data has.
        UsageError: when no cell is left, or for an image or classes that cannot be.
    """
    shape = None if image is None else _shape(image)
    if classes is not None and not 1 <= classes <= MAX_CLASSES:
        raise UsageError(f"--classes is {classes}", allowed=f"1 to {MAX_CLASSES}")
    experiment = load_experiments([spec], profile, several(sets))[0]
    selected = select_cells(experiment.cells, several(only))
    return InspectedSizes(tuple(_networks(selected, experiment.name, shape, classes)))


def _shape(text: str) -> Shape:
    matched = SHAPE.fullmatch(text)
    numbers = [int(each) for each in matched.groups()] if matched else []
    if not numbers or not all(1 <= each <= MAX_SIDE for each in numbers):
        allowed = f"channels, height and width, as 3x224x224; 1 to {MAX_SIDE} each"
        raise UsageError(f"--image is '{text}'", allowed=allowed)
    return numbers[0], numbers[1], numbers[2]


def _networks(
    cells: Iterable[ResolvedCell], experiment: str, shape: Shape | None, classes: int | None
) -> list[SizedNetwork]:
    from runner.engine.inspection.sizes import network_sizes

    alike: dict[tuple[str, Shape, int], list[ResolvedCell]] = {}
    for item in cells:
        model = canonical_json(canonical_settings(item.settings.model))
        key = (model, unseen_shape(item, shape), unseen_classes(item, classes))
        alike.setdefault(key, []).append(item)
    networks = []
    for (_, its_shape, its_classes), items in alike.items():
        with network_problems(items[0]):
            sizes = network_sizes(items[0].settings.model, its_shape, its_classes)
        names = tuple(dict.fromkeys(item.cell.name or experiment for item in items))
        name = items[0].settings.model.name
        networks.append(SizedNetwork(name, names, its_shape, its_classes, sizes))
    return networks
