"""Figures of what is looked at now: given back, and written to files beside each other."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LETTERS = 40
"""Of a name, in the name of a file."""


def draw(
    make: Callable[[], Mapping[str, Figure]], path: Path
) -> tuple[Mapping[str, Figure], tuple[Path, ...]]:
    """Draw figures and write them; return them, and the paths of their files.

    Args:
        make: draws them, by name.
        path: of the file; the name of a figure that has one stands before the suffix.

    Raises:
        UsageError: for a path that cannot be written.
        DiskFull: when there is no room.
    """
    from runner.report.figures.page import save, style

    with style():
        figures = make()
        paths = [path.with_stem(f"{path.stem}-{name}") if name else path for name in figures]
        for figure, each in zip(figures.values(), paths, strict=True):
            save(figure, each)
    return figures, tuple(paths)


def figure_path(out: str | Path | None, run_key: str, kind: str, image: str) -> Path:
    """Return where a figure of an image goes: ``out``, or figures/RUN-KIND-IMAGE.png."""
    if out is not None:
        return Path(out)
    words = re.sub(r"\W+", "-", Path(image).with_suffix("").as_posix()).strip("-")
    return Path("figures") / f"{run_key[:12]}-{kind}-{words[-LETTERS:].lstrip('-')}.png"


def check_out(out: str | Path | None) -> None:
    """Check the suffix of a figure's file, before any work.

    Raises:
        UsageError: with the suffixes that are known.
    """
    from runner.report.figures.page import check_suffix

    if out is not None:
        check_suffix(Path(out))
