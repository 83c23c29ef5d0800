"""The page's own files: templates, scripts, styles."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, PackageLoader

FOLDER = Path(__file__).resolve().parent
STATIC = FOLDER / "static"
SCRIPTS = (
    "uplot/uPlot.iife.min.js",
    "core.js",
    "format.js",
    "overview.js",
    "head.js",
    "plan.js",
    "tables.js",
    "curves.js",
    "settings.js",
    "since.js",
    "pictures.js",
    "cell.js",
    "main.js",
)
"""In the order in which they must be run."""

STYLES = ("uplot/uPlot.min.css", "page.css")


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Return where the templates are; text that they are given is escaped."""
    return Environment(
        loader=PackageLoader("runner.page"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )


@lru_cache(maxsize=1)
def script() -> str:
    """Return all scripts as one: a browser waits once for it, not for each of a dozen files."""
    return "\n".join((STATIC / each).read_text("utf-8") for each in SCRIPTS)


@lru_cache(maxsize=1)
def style() -> str:
    """Return all styles as one."""
    return "\n".join((STATIC / each).read_text("utf-8") for each in STYLES)


def page_html(title: str) -> str:
    """Return the page as the server sends it, without its script and style.

    Args:
        title: what the database is called.
    """
    return environment().get_template("page.html").render(title=title, inline=None)
