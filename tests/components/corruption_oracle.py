"""Each corruption of CIFAR-10-C of one image, by numpy, scipy and Pillow, in plain loops.

By the definitions of Hendrycks and Dietterich (2019); numbers that are drawn are given. What their
program takes from OpenCV and ImageMagick is written out.
"""

from __future__ import annotations

import colorsys
import io
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage, stats

Values = NDArray[Any]
Drawn = Mapping[str, Values]


def _stored(values: Values) -> Values:
    return np.uint8(np.clip(values, 0, 1) * 255 + 1e-6)


def _gaussian(values: Values, sigma: float, **options: Any) -> Values:
    sigmas = (sigma, sigma) + (0,) * (values.ndim - 2)
    return ndimage.gaussian_filter(values, sigmas, **{"mode": "nearest", **options})


def _zoom(image: Values, factor: float) -> Values:
    side = len(image)
    middle = math.ceil(side / factor)
    top = (side - middle) // 2
    cut = image[top : top + middle, top : top + middle]
    larger = ndimage.zoom(cut, (factor, factor) + (1,) * (image.ndim - 2), order=1, mode="nearest")
    trim = (len(larger) - side) // 2
    return larger[trim : trim + side, trim : trim + side]


def _plasma(numbers: Values, decay: float) -> Values:
    """Diamond-square, point by point."""
    side = len(numbers)
    heights = np.zeros((side, side))
    step, strength = side, 100.0
    while step >= 2:
        half = step // 2

        def put(row: int, column: int, around: Sequence[tuple[int, int]]) -> None:
            mean = sum(heights[r % side, c % side] for r, c in around) / 4
            noise = strength * (-strength + 2 * strength * numbers[row, column])  # noqa: B023
            heights[row, column] = mean + noise

        for row in range(half, side, step):
            for column in range(half, side, step):
                corners = [(row + a * half, column + b * half) for a in (-1, 1) for b in (-1, 1)]
                put(row, column, corners)
        for row in range(0, side, half):
            for column in range(0, side, half):
                if (row // half + column // half) % 2:
                    put(
                        row,
                        column,
                        [
                            (row - half, column),
                            (row + half, column),
                            (row, column - half),
                            (row, column + half),
                        ],
                    )
        step, strength = half, strength / decay
    heights -= heights.min()
    return heights / heights.max()


def _streaks(levels: Values, radius: float, sigma: float, angle: float) -> Values:
    """As ImageMagick blurs motion: of whole levels (H, W, …), whole levels."""
    width = 2 * math.ceil(radius) + 1
    weights = [math.exp(-(i * i) / (2 * sigma * sigma)) for i in range(width)]
    sine, cosine = math.sin(math.radians(angle)), math.cos(math.radians(angle))
    down, across = np.mgrid[: levels.shape[0], : levels.shape[1]]
    result = np.zeros(levels.shape)
    for i, weight in enumerate(weights):
        rows = (down + math.ceil(i * sine - 0.5)).clip(0, len(levels) - 1)
        columns = (across + math.ceil(i * cosine - 0.5)).clip(0, levels.shape[1] - 1)
        result += weight * levels[rows, columns]
    return np.floor(result / sum(weights) + 0.5 + 1e-6)


def gaussian_noise(x: Values, c: Sequence[float], drawn: Drawn) -> Values:
    return _stored(x / 255 + drawn["normal"] * c[0])


def shot_noise(x: Values, c: Sequence[float], drawn: Drawn) -> Values:
    return _stored(stats.poisson.ppf(drawn["uniform"], x / 255 * c[0]).clip(0) / c[0])


def impulse_noise(x: Values, c: Sequence[float], drawn: Drawn) -> Values:
    result = x / 255
    hit = drawn["chosen"] <= c[0]
    result[hit & (drawn["sides"] <= 0.5)] = 1
    result[hit & (drawn["sides"] > 0.5)] = 0
    return _stored(result)


def speckle_noise(x: Values, c: Sequence[float], drawn: Drawn) -> Values:
    return _stored(x / 255 * (1 + drawn["normal"] * c[0]))


def gaussian_blur(x: Values, c: Sequence[float], drawn: Drawn) -> Values:
    return _stored(_gaussian(x / 255, c[0]))


def glass_blur(x: Values, c: Sequence[float], drawn: Drawn) -> Values:
    x = _stored(_gaussian(x / 255, c[0]))
    for number in range(int(c[1])):
        for h in range(31, 1, -1):
            for w in range(31, 1, -1):
                up, left = (int(each) for each in drawn["before"][number][:, h, w])
                x[h, w], x[h - up, w - left] = x[h - up, w - left], x[h, w]
    return _stored(_gaussian(x / 255, c[0]))


def defocus_blur(x: Values, c: Sequence[float], drawn: Drawn) -> Values:
    side = np.arange(-8, 9)
    disk = (side[:, None] ** 2 + side**2 <= c[0] ** 2).astype(float)
    line = np.exp(-np.array([1, 0, 1]) / (2 * c[1] ** 2))
    kernel = ndimage.correlate(disk / disk.sum(), np.outer(line, line) / line.sum() ** 2)
    return _stored(np.stack([ndimage.correlate(z, kernel, mode="mirror") for z in (x / 255).T]).T)


def motion_blur(x: Values, c: Sequence[float], drawn: Drawn) -> Values:
    return np.uint8(_streaks(x, c[0], c[1], -45 + 90 * float(drawn["angle"])))


def zoom_blur(x: Values, c: Sequence[float], drawn: Drawn) -> Values:
    factors = np.arange(1, c[0], 0.01)
    every = [x / 255, *(_zoom(x / 255, factor) for factor in factors)]
    return _stored(sum(every) / len(every))


def snow(x: Values, c: Sequence[float], drawn: Drawn) -> Values:
    layer = _zoom(c[0] + c[1] * drawn["normal"], c[2])
    layer[layer < c[3]] = 0
    angle = -135 + 90 * float(drawn["angle"])
    layer = _streaks(_stored(layer).astype(float), c[4], c[5], angle)[..., None] / 255
    x = x / 255
    gray = x @ [0.299, 0.587, 0.114] if x.shape[2] == 3 else x[..., 0]
    x = c[6] * x + (1 - c[6]) * np.maximum(x, gray[..., None] * 1.5 + 0.5)
    return _stored(x + layer + np.rot90(layer, k=2))


def frost(x: Values, c: Sequence[float], drawn: Drawn) -> Values:
    crests = [1 - np.abs(2 * _plasma(each, 1.7) - 1) for each in drawn["numbers"]]
    layer = np.maximum(*crests)[..., None] ** 2 * np.array([214, 235, 255])
    return np.uint8(np.clip(c[0] * x + c[1] * layer, 0, 255) + 1e-6)


def fog(x: Values, c: Sequence[float], drawn: Drawn) -> Values:
    x = x / 255
    top = x.max()
    x = x + c[0] * _plasma(drawn["numbers"], c[1])[..., None]
    return _stored(x * top / (top + c[0]))


def _in_hsv(x: Values, change: Callable[[float, float, float], tuple[float, ...]]) -> Values:
    pixels = (x / 255).reshape(-1, 3)
    changed = [colorsys.hsv_to_rgb(*change(*colorsys.rgb_to_hsv(*pixel))) for pixel in pixels]
    return _stored(np.array(changed).reshape(x.shape))


def brightness(x: Values, c: Sequence[float], drawn: Drawn) -> Values:
    return _in_hsv(x, lambda h, s, v: (h, s, min(v + c[0], 1)))


def saturate(x: Values, c: Sequence[float], drawn: Drawn) -> Values:
    return _in_hsv(x, lambda h, s, v: (h, min(s * c[0] + c[1], 1), v))


def contrast(x: Values, c: Sequence[float], drawn: Drawn) -> Values:
    x = x / 255
    mean = x.mean(axis=(0, 1))
    return _stored((x - mean) * c[0] + mean)


def pixelate(x: Values, c: Sequence[float], drawn: Drawn) -> Values:
    image, small = Image.fromarray(x), (int(32 * c[0]),) * 2
    return np.asarray(
        image.resize(small, Image.Resampling.BOX).resize((32, 32), Image.Resampling.BOX)
    )


def jpeg_compression(x: Values, c: Sequence[float], drawn: Drawn) -> Values:
    file = io.BytesIO()
    Image.fromarray(x).save(file, "JPEG", quality=int(c[0]))
    return np.asarray(Image.open(file))


def elastic_transform(x: Values, c: Sequence[float], drawn: Drawn) -> Values:
    strength, smooth, reach = (32 * each for each in c)
    before = np.array([[26, 26], [26, 6], [6, 6]], float)
    after = before + reach * (2 * drawn["corners"] - 1)
    # what takes the moved points, as x and y, back to where they were
    back = np.linalg.solve(np.column_stack([after, np.ones(3)]), before)
    down, across = np.mgrid[:32, :32]
    from_x, from_y = np.moveaxis(np.dstack([across, down, np.ones((32, 32))]) @ back, 2, 0)
    image = np.dstack(
        [ndimage.map_coordinates(z.T / 255, [from_y, from_x], order=1, mode="mirror") for z in x.T]
    )
    moves = 2 * drawn["moves"] - 1
    if smooth:
        moves = np.stack([_gaussian(each, smooth, mode="reflect", truncate=3) for each in moves])
    places = [down + strength * moves[1], across + strength * moves[0]]
    return _stored(
        np.dstack([ndimage.map_coordinates(z.T, places, order=1, mode="reflect") for z in image.T])
    )


def spatter(x: Values, c: Sequence[float], drawn: Drawn) -> Values:
    x, liquid = x / 255, _gaussian(c[0] + c[1] * drawn["normal"], c[2])
    liquid[liquid < c[3]] = 0
    if c[5]:
        mud = _gaussian((liquid > c[3]).astype(float), c[4])
        mud[mud < 0.8] = 0
        return _stored(x * (1 - mud[..., None]) + mud[..., None] * np.array([63, 42, 20]) / 255)
    levels = np.uint8(np.clip(liquid, 0, 1) * 255 + 1e-6).astype(int)
    near = np.minimum(_distances(_canny(levels)), 20)
    near = _equalised(np.floor(ndimage.uniform_filter(near, 3, mode="mirror") + 1e-6).astype(int))
    emboss = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]])
    light = ndimage.correlate(near.astype(float), emboss, mode="mirror").clip(0, 255)
    drops = levels * np.floor(ndimage.uniform_filter(light, 3, mode="mirror") + 0.5 + 1e-6)
    drops = c[4] * drops / (drops.max() or 1)
    return _stored(x + drops[..., None] * np.array([175, 238, 238]) / 255)


def _canny(levels: Values) -> Values:
    down = ndimage.sobel(levels, 0, mode="nearest")
    across = ndimage.sobel(levels, 1, mode="nearest")
    size = np.pad(np.abs(down) + np.abs(across), 1)
    weak = np.zeros(levels.shape, bool)
    for (row, column), _ in np.ndenumerate(levels):
        dy, dx, here = down[row, column], across[row, column], size[row + 1, column + 1]
        turn = abs(math.degrees(math.atan2(abs(dy), abs(dx))))
        if turn < 22.5:
            one, other, tie = (0, -1), (0, 1), True
        elif turn > 67.5:
            one, other, tie = (-1, 0), (1, 0), True
        elif (dx < 0) != (dy < 0):
            one, other, tie = (-1, 1), (1, -1), False
        else:
            one, other, tie = (-1, -1), (1, 1), False
        before = size[row + 1 + one[0], column + 1 + one[1]]
        behind = size[row + 1 + other[0], column + 1 + other[1]]
        crest = here > before and (here >= behind if tie else here > behind)
        weak[row, column] = here > 50 and crest
    groups, _ = ndimage.label(weak, np.ones((3, 3)))
    strong = np.unique(groups[weak & (size[1:-1, 1:-1] > 150)])
    return np.isin(groups, strong[strong > 0])


def _distances(edges: Values) -> Values:
    """The length of the shortest way along moves of 1, 1.4 and 2.1969, in closed form."""
    found = np.full(edges.shape, 1e9)
    for row, column in np.argwhere(edges):
        down, across = np.mgrid[: len(edges), : len(edges)]
        sides = np.sort([np.abs(down - row), np.abs(across - column)], axis=0)
        short, long = sides
        steep = short * 2.1969 + (long - 2 * short)
        flat = (long - short) * 2.1969 + (2 * short - long) * 1.4
        found = np.minimum(found, np.where(2 * short <= long, steep, flat))
    return found


def _equalised(levels: Values) -> Values:
    counts = np.bincount(levels.ravel(), minlength=256)
    first = int(np.flatnonzero(counts)[0])
    rest = levels.size - counts[first]
    if not rest:
        return levels
    table = np.array([np.round(255 / rest * counts[first + 1 : n + 1].sum()) for n in range(256)])
    return np.asarray(table[levels])
