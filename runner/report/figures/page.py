"""Pages of figures: their style, legends beside the panels, and files.

Lays out parts without overlap, and writes equal figures as equal bytes.
"""

from __future__ import annotations

import errno
import os
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.legend import Legend

from runner.artifacts.atomic import refuse_place, whole_file
from runner.core.errors import DiskFull, UsageError

Entries = Sequence[tuple[Artist, str]]
"""A legend's handles with their words."""

Location = Literal["outside right center", "outside lower center"]

SUFFIXES = (".png", ".svg", ".pdf")

STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "0.88",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.fontsize": 8,
    "legend.title_fontsize": 8,
    "legend.frameon": False,
    "legend.handlelength": 2.8,
    "lines.linewidth": 1.4,
    "lines.markersize": 4.5,
    "savefig.dpi": 150,
    "svg.hashsalt": "runner",
    "pdf.fonttype": 42,
}
NO_DATES = {
    ".png": {"Software": None},
    ".svg": {"Date": None},
    ".pdf": {"CreationDate": None},
}


@contextmanager
def style() -> Iterator[None]:
    """Apply the style of all figures, whatever the user's matplotlibrc."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        yield


def shorten(text: str, width: int = 0, lines: int = 3) -> str:
    r"""Return text for a figure: without mathtext, wrapped and cut to a length.

    Args:
        text: any text.
        width: characters a line, 0 for one line.
        lines: maximum number of lines.
    """
    plain = text.replace("$", r"\$")
    if not width:
        return plain
    return "\n".join(
        textwrap.fill(part, width, max_lines=lines, placeholder=" …") for part in plain.splitlines()
    )


def page(width: float, height: float, title: str) -> Figure:
    """Return an empty figure, ``width`` × ``height`` inches, with constrained layout."""
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(shorten(title, int(width * 11)), fontsize=11)
    return figure


def side_legend(figure: Figure, entries: Entries) -> None:
    """Add a legend right of all panels; grow the page to its height."""
    legend = _legend(figure, entries, "outside right center", 1, "")
    lines = sum(1 + label.count("\n") for _, label in entries)
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, max(height, 0.16 * lines + 1.5))
    legend.set_in_layout(True)


def foot_legend(figure: Figure, entries: Entries, caption: str) -> None:
    """Add a legend and a caption below all panels, in as few rows as possible."""
    limit = figure.get_size_inches()[0] * figure.dpi * 0.98
    words = shorten(caption, int(figure.get_size_inches()[0] * 15), 6)
    for columns in range(max(1, len(entries)), 0, -1):
        legend = _legend(figure, entries, "outside lower center", columns, words)
        if columns == 1 or legend.get_window_extent().width <= limit:
            return
        legend.remove()


def _legend(
    figure: Figure, entries: Entries, location: Location, columns: int, title: str
) -> Legend:
    handles = [handle for handle, _ in entries]
    numbers = [str(number) for number in range(len(entries))]
    legend: Legend = figure.legend(
        handles, numbers, loc=location, ncols=columns, title=title or None
    )
    legend.get_title().set_multialignment("center")
    # set afterwards: a legend leaves out labels that begin with an underscore
    for text, (_, label) in zip(legend.get_texts(), entries, strict=True):
        text.set_text(label)
    return legend


def check_suffix(path: Path) -> None:
    """Check that a file name has a known suffix.

    Raises:
        UsageError: with the suffixes that are.
    """
    if path.suffix.lower() not in SUFFIXES:
        found = f"the suffix '{path.suffix}'" if path.suffix else "no suffix"
        raise UsageError(f"{path} has {found}", allowed=", ".join(SUFFIXES))


def check_file(path: Path) -> None:
    """Check that a figure can be written to a file, before any work; missing folders are made.

    Raises:
        UsageError: for an unknown suffix, or a place where none can be.
    """
    check_suffix(path)
    above = next(each for each in path.absolute().parents if each.exists())
    if not above.is_dir():
        raise UsageError(f"{path} cannot be written: {above} is a file")
    if path.absolute().parent == above:
        refuse_place(path)
    elif not os.access(above, os.W_OK):
        raise UsageError(f"{path} cannot be written: no right to write in {above}")


def save(figure: Figure, path: Path) -> None:
    """Write a figure to a file atomically; missing folders are made.

    The same figure is the same bytes: no dates, no random identifiers.

    Raises:
        UsageError: for an unknown suffix, or a path that cannot be written.
        DiskFull: when the disk is full.
    """
    check_suffix(path)
    suffix = path.suffix.lower()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path, durable=False) as partial:
            figure.savefig(partial, format=suffix[1:], metadata=NO_DATES[suffix])
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(error) from error
        raise UsageError(f"{path} cannot be written: {error.strerror}") from None
