"""Packages that own code imports and that are no part of it: their versions stand for what they do.

Nothing is imported to find them out.
"""

from __future__ import annotations

import json
import sys
from functools import cache
from importlib import metadata
from importlib.util import find_spec

NOT_KEYED = frozenset({"torch", "torchvision", "numpy", "runner"})
"""Packages whose versions are recorded with each attempt, as they are of every run."""


def is_keyed(top: str) -> bool:
    """Return whether the version of a package counts: not of Python's own, nor of a few others."""
    return bool(top) and top not in sys.stdlib_module_names and top not in NOT_KEYED


@cache
def version_of(top: str) -> str:
    """Return the version of the installed package that has a top-level module, "" without one."""
    found = _distribution(top)
    return "" if found is None else found.version


def unkeyed_versions() -> dict[str, str]:
    """Return the versions of the packages that no key holds, by name.

    What was found out of own code by running it holds for these.
    """
    return {top: version_of(top) for top in sorted(NOT_KEYED - {"runner"})}


def has_no_version(top: str) -> bool:
    """Return whether a module would be imported whose text may change while no version does.

    So it is where it lies in the current folder or in PYTHONPATH, or is installed as `pip install
    --editable` does. A module that is not there at all cannot change.
    """
    if not is_keyed(top):
        return False
    found = _distribution(top)
    if found is not None:
        origin = json.loads(found.read_text("direct_url.json") or "{}")
        return bool(origin.get("dir_info", {}).get("editable"))
    try:
        return find_spec(top) is not None
    except (ImportError, ValueError):
        return False


@cache
def _distribution(top: str) -> metadata.Distribution | None:
    try:
        return metadata.distribution(top)
    except (metadata.PackageNotFoundError, ValueError):
        names = metadata.packages_distributions().get(top, ())
        return metadata.distribution(names[0]) if names else None
