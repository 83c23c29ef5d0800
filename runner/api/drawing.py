"""Figures of what is looked at now: given back, and written to files beside each other."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LETTERS = 40
"""Of a name, in the name of a file."""

PLAIN = re.compile(r"\w[\w/]*(\.\w+)?")
"""Names that stay what they are but for slashes and the dot, which become hyphens."""

DIGITS = 6
"""Of a digest, behind names that are not plain."""


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


def figure_path(
    out: str | Path | None,
    run_key: str,
    kind: str,
    images: Sequence[str],
    chosen: Mapping[str, str | None],
) -> Path:
    """Return where a figure of images goes: ``out``, or figures/RUN-KIND-IMAGE-CHOSEN.png.

    Args:
        out: as a person gave it.
        run_key: of the run.
        kind: of figure.
        images: their names; the first is in the name of the file.
        chosen: what else was asked for, None where it was not. Other questions have other names.
    """
    if out is not None:
        return Path(out)
    others = {name: value for name, value in chosen.items() if value}
    words = [_words(each) for each in (images[0], *others.values())]
    if len(images) > 1 or not all(map(_is_plain, (images[0], *others.values()))):
        asked = json.dumps([list(images), others], sort_keys=True)
        words.append(hashlib.sha256(asked.encode()).hexdigest()[:DIGITS])
    named = "-".join(filter(None, words))
    return Path("figures") / f"{run_key[:12]}-{kind}-{named}.png"


def _words(name: str) -> str:
    words = re.sub(r"\W+", "-", name.removesuffix(".png")).strip("-")
    return words[-LETTERS:].lstrip("-")


def _is_plain(name: str) -> bool:
    """Return whether no other name of that kind becomes the same words."""
    return len(name) <= LETTERS and PLAIN.fullmatch(name) is not None


def check_out(out: str | Path | None) -> None:
    """Check that a figure can be written to its file, before any work.

    Raises:
        UsageError: for an unknown suffix, with those that are known, or a place that is none.
    """
    from runner.report.figures.page import check_file

    check_file(Path("figures/figure.png") if out is None else Path(out))
