"""Images and labels as own data sets yield them: what is taken, and what identifies an image.

Owns which values are an image or a label. An image is the same one whatever it was yielded as.
"""

from __future__ import annotations

import hashlib
import operator
import sys
from typing import TYPE_CHECKING, Any

from runner.components.data.depth import levels_of
from runner.components.data.files import decoded_image
from runner.core.text import printable

if TYPE_CHECKING:
    from PIL.Image import Image

IMAGES = "a Pillow image, or uint8 (height, width) or (height, width, 3)"
LABELS = "a whole number, or the name of a class"
LONGEST = 1000
"""Letters of the name of a class."""


class NoItem(ValueError):
    """A value that is no image or label.

    Attributes:
        found: what it is, after "gives".
        allowed: what would be right.
        hint: what to do about it, or "".
    """

    def __init__(self, found: str, allowed: str, hint: str = "") -> None:
        super().__init__(found)
        self.found, self.allowed, self.hint = found, allowed, hint


def as_image(value: Any) -> Image:
    """Return a yielded image as gray, RGB or, where pixels are transparent, RGBA of 8 bits.

    Args:
        value: a Pillow image, which is read as one of a file is; or an array or tensor.

    Raises:
        NoItem: when it is no image.
        OSError: when it is one of a file that cannot be decoded.
    """
    from PIL import Image as PillowImage

    if not isinstance(value, PillowImage.Image):
        return PillowImage.fromarray(_pixels(value))
    if value.mode.startswith(("I", "F")) and levels_of(value) is None:
        found = f"a Pillow image of mode {value.mode}"
        raise NoItem(found, IMAGES, "scale its pixels to 8 bits")
    if 0 in value.size:
        raise NoItem("a Pillow image without pixels", IMAGES)
    image = decoded_image(value)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        is_opaque = image.getchannel("A").getextrema() == (255, 255)
        return image.convert("RGB") if is_opaque else image
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def _pixels(value: Any) -> Any:
    """Return an array or tensor as uint8 (H, W) or (H, W, 3)."""
    import numpy as np

    torch = sys.modules.get("torch")  # where it was not imported, nothing is a tensor
    if torch is not None and isinstance(value, torch.Tensor):
        kind, shape = str(value.dtype).removeprefix("torch."), tuple(value.shape)
        value = value.detach().cpu().numpy() if kind == "uint8" else value
    elif isinstance(value, np.ndarray):
        kind, shape = str(value.dtype), value.shape
    else:
        raise NoItem(f"a {type(value).__name__}", IMAGES)
    if kind != "uint8":
        hint = "give the pixels from 0 to 255; data.normalize scales them"
        raise NoItem(f"{kind} {shape}", IMAGES, hint)
    is_gray = len(shape) == 2 or shape[2:] == (1,)
    if 0 in shape or not (is_gray or shape[2:] == (3,)):
        is_first = len(shape) == 3 and shape[0] in (1, 3)
        hint = "channels stand last: image.permute(1, 2, 0)" if is_first else ""
        raise NoItem(f"uint8 {shape}", IMAGES, hint)
    return np.array(value.reshape(shape[:2]) if is_gray else value)  # own code may write it anew


def as_label(value: Any) -> int | str:
    """Return a yielded label: a whole number of at least 0, or a name.

    Raises:
        NoItem: when it is none.
    """
    if isinstance(value, str):
        if not value or len(value) > LONGEST:
            raise NoItem("a name of no letters" if not value else "a very long name", LABELS)
        return printable(str(value))  # one of numpy is another type
    is_bool = isinstance(value, bool) or str(getattr(value, "dtype", "")).endswith("bool")
    try:
        if is_bool or getattr(value, "shape", ()) != ():
            raise TypeError
        number = operator.index(value)
    except (TypeError, ValueError):
        dtype, shape = getattr(value, "dtype", None), getattr(value, "shape", None)
        shown = f"a {type(value).__name__}"
        if dtype is not None and shape is not None:
            shown = f"{str(dtype).removeprefix('torch.')} {tuple(shape)}"
        elif isinstance(value, float | bool):
            shown = repr(value)
        raise NoItem(shown, LABELS) from None
    if number < 0:
        raise NoItem(str(number), "0 or more")
    return number


def image_digest(image: Image) -> str:
    """Return the SHA-256, in hexadecimal, of what can be seen of an image of :func:`as_image`."""
    seen = image.convert("RGB") if image.mode == "L" else image
    hashed = hashlib.sha256(f"{seen.mode} {seen.height} {seen.width} ".encode())
    hashed.update(seen.tobytes())
    return hashed.hexdigest()
