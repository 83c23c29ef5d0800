"""Images per second of each batched image operation, and of torchvision's image by image.

    python bench/augment.py [--repetitions 7] [--device cpu] [--only NAME]

Both sides do the same work: each image has its own parameters, and the result is one batch. The
measurement checks that, and writes its own report, bench/results/augment.md, unless it is of some
operations --only.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from runner.components.augmentations import cropping_net

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests" / "components"))
from batched_operations import batched
from torchvision_operations import reference

RESULTS = Path(__file__).resolve().parent / "results" / "augment.md"
SIZES = {32: 200, 224: 64}
"""Batch size by the side of the images in pixels."""


@dataclass(frozen=True)
class Case:
    """An operation, its parameters with a row for each image, and those for all."""

    name: str
    each: dict[str, Tensor] = field(default_factory=dict)
    shared: dict[str, Any] = field(default_factory=dict)

    def batched(self, images: Tensor) -> Tensor:
        return batched(self.name)(images, **self.each, **self.shared)

    def one_by_one(self, images: Tensor) -> Tensor:
        rows = []
        for number, image in enumerate(images):
            own = {key: value[number] for key, value in self.each.items()}
            rows.append(reference(self.name, image, **own, **self.shared))
        return torch.stack(rows)


@dataclass(frozen=True)
class Measured:
    """Images per second of each repetition of both sides, and the largest difference."""

    case: Case
    batched: list[float]
    one_by_one: list[float]
    levels: int


def uniform(generator: torch.Generator, low: float, high: float, *shape: int) -> Tensor:
    return torch.rand(*shape, generator=generator) * (high - low) + low


def color_cases(generator: torch.Generator, side: int, number: int) -> list[Case]:
    """Return the colour operations, with parameters as SimCLR draws them."""
    factors = {"factors": uniform(generator, 0.2, 1.8, number)}
    names = ("brightness", "contrast", "saturation", "sharpness")
    taps = side // 20 * 2 + 1
    return [
        *[Case(f"adjust_{name}", factors) for name in names],
        Case("adjust_hue", {"factors": uniform(generator, -0.2, 0.2, number)}),
        Case("rgb_to_grayscale"),
        Case("equalize"),
        Case(
            "gaussian_blur",
            {"sigmas": uniform(generator, 0.1, 2, number)},
            {"kernel_size": (taps, taps)},
        ),
    ]


def geometry_cases(generator: torch.Generator, side: int, number: int) -> list[Case]:
    """Return the geometric operations, with parameters as classifiers are trained with them."""
    quarter = side // 4
    drawn = torch.randint(quarter, (4, number), generator=generator)
    origins = {"tops": drawn[0], "lefts": drawn[1]}
    sides = {"heights": drawn[2] + quarter, "widths": drawn[3] + quarter}
    last = side - 1
    starts = torch.tensor([[0, 0], [last, 0], [last, last], [0, last]]).expand(number, 4, 2)
    inwards = torch.tensor([[1, 1], [-1, 1], [-1, -1], [1, -1]])
    steps = torch.randint(0, quarter, (number, 4, 2), generator=generator)
    angles = {"angles": uniform(generator, -30, 30, number)}
    affine = {
        **angles,
        "translations": uniform(generator, -4, 4, number, 2).round(),
        "scales": uniform(generator, 0.8, 1.2, number),
        "shears": uniform(generator, -10, 10, number, 2),
    }
    cases = [
        Case("horizontal_flip"),
        Case("vertical_flip"),
        *[Case("pad", {}, {"padding": 4, "mode": mode}) for mode in cropping_net.PADDING_MODES],
        Case("crop", origins, {"size": (side - quarter, side - quarter)}),
        Case("resize", {}, {"size": (side * 3 // 4, side * 3 // 4)}),
        Case("resized_crop", {**origins, **sides}, {"size": (side, side)}),
        Case("erase", {**origins, **sides}, {"value": 0}),
    ]
    for interpolation in ("nearest", "bilinear"):
        how = {"interpolation": interpolation}
        points = {"startpoints": starts, "endpoints": starts + steps * inwards}
        cases += [Case("perspective", points, how), Case("affine", affine, how)]
        cases.append(Case("rotate", angles, how))
    return cases


def measure(case: Case, images: Tensor, repetitions: int) -> Measured:
    """Return the rates of both sides, measured in turns."""
    sides = (case.batched, case.one_by_one)
    results = [side(images) for side in sides]
    difference = results[0].int() - results[1].int()
    rates: tuple[list[float], list[float]] = ([], [])
    for _ in range(repetitions):
        for side, measured in zip(sides, rates, strict=True):
            measured.append(len(images) / seconds_of(side, images))
    return Measured(case, *rates, int(difference.abs().max()))


def seconds_of(operation: Callable[[Tensor], Tensor], images: Tensor) -> float:
    """Return the mean seconds of as many calls as take a twentieth of a second, at least one."""
    synchronize(images)
    started = time.perf_counter()
    calls = 0
    while not calls or time.perf_counter() - started < 0.05:
        operation(images)
        synchronize(images)
        calls += 1
    return (time.perf_counter() - started) / calls


def synchronize(images: Tensor) -> None:
    """Wait for the GPU, if the images are on one."""
    if images.device.type == "cuda":
        torch.cuda.synchronize(images.device)


def table(measured: list[Measured]) -> list[str]:
    """Return a table in Markdown with a row for each operation."""
    lines = [
        "| operation | images/s | torchvision's | faster by | levels apart |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for each in measured:
        varying = ("mode", "interpolation", "kernel_size")
        words = [str(each.case.shared[key]) for key in varying if key in each.case.shared]
        name = " ".join([f"`{each.case.name}`", *words])
        ratio = statistics.median(each.batched) / statistics.median(each.one_by_one)
        rates = f"{spread(each.batched)} | {spread(each.one_by_one)}"
        lines.append(f"| {name} | {rates} | {ratio:.1f} × | {each.levels} |")
    return lines


def spread(rates: list[float]) -> str:
    """Return the median, and the slowest and fastest behind it."""
    return f"{statistics.median(rates):,.0f} ({min(rates):,.0f}–{max(rates):,.0f})"


def main() -> int:
    """Measure and write the report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", metavar="NAME", help="operations to measure; writes no report")
    options = parser.parse_args()
    where = f"{os.cpu_count()} CPU cores, threads: {torch.get_num_threads()}"
    load = os.getloadavg()[0]
    if options.device != "cpu":
        where = str(torch.cuda.get_device_name(options.device))
    lines = [
        "# Images per second of the image operations",
        "",
        f"Written by `python bench/augment.py` on {date.today()}: {platform.platform()},",
        f"{where}, Python {platform.python_version()}, torch {torch.__version__};"
        f" {options.repetitions} repetitions. Other programs' load at the start: {load:.1f}.",
        "Median (slowest–fastest). Each image has its own parameters; torchvision takes the images"
        " one by one.",
    ]
    for side, number in SIZES.items():
        generator = torch.Generator().manual_seed(0)
        images = torch.randint(0, 256, (number, 3, side, side), generator=generator)
        images = images.to(options.device, torch.uint8)
        cases = color_cases(generator, side, number) + geometry_cases(generator, side, number)
        cases = [each for each in cases if (options.only or "") in each.name]
        rows = table([measure(case, images, options.repetitions) for case in cases])
        lines += ["", f"## {number} images of {side} × {side} pixels", "", *rows]
    text = "\n".join(lines) + "\n"
    if options.only is None:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(text, encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
