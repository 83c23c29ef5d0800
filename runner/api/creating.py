"""The verb `new`: a short spec for images at hand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from runner.core.errors import UsageError
from runner.spec.starter import make_spec


@dataclass(frozen=True, slots=True)
class NewSpec:
    """A spec for images at hand.

    Attributes:
        name: of the experiment.
        text: of the spec.
        path: its file, or None where none was written.
    """

    name: str
    text: str
    path: Path | None

    def __str__(self) -> str:
        return self.text


def new_spec(data: str | Path, out: str | None = None, side: int | None = None) -> NewSpec:
    """Write a short spec for images at hand.

    Args:
        data: a folder with one folder of images per class, or with train, val, test of these; a
            table, or the folder of its metadata.csv; an .npz file.
        out: the file, which must not be there yet; NAME.yaml when not given; "-" for none.
        side: of the prepared images in pixels; chosen by the images when not given.

    Raises:
        UsageError: when there are no images to learn from, or the file is there already.
    """
    beside = Path.cwd() if out in (None, "-") else Path(str(out)).parent
    name, text = make_spec(Path(data), beside, side)
    if out == "-":
        return NewSpec(name, text, None)
    path = Path(out or f"{name}.yaml")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"{path} is there already", hint="give another --out") from None
    return NewSpec(name, text, path)
