"""What installed packages offer: entry points of the group ``runner.components``.

Nothing is imported to find them. Packages count where installers put them, and nowhere else: not in
the current folder, in PYTHONPATH or in an archive, which others may have filled.
"""

from __future__ import annotations

import json
import os
import re
import site
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

from runner.components.own.names import PackageName, normal_name
from runner.components.own.permission import Root
from runner.components.own.problems import CodeProblem
from runner.core.errors import nearest

GROUP = "runner.components"
INSTALLERS = ("site-packages", "dist-packages")
"""What installers call the folders that they fill."""
SHOWN = 16
"""Names that a message lists at most."""
_VALUE = re.compile(r"(?P<module>[^\W\d]\w*(?:\.[^\W\d]\w*)*)\s*:\s*(?P<attribute>[^\W\d]\w*)")


@dataclass(frozen=True, slots=True)
class Offer:
    """An entry point.

    Attributes:
        name: in specs.
        value: what it stands for: module:class.
        version: of the package.
        folder: in which the package is installed.
        project: the folder that an editable package is edited in; None of others.
    """

    name: PackageName
    value: str
    version: str
    folder: Path
    project: Path | None

    def __str__(self) -> str:
        return f"{self.name.distribution} {self.version} in {self.folder} ({self.value})"


@dataclass(frozen=True, slots=True)
class Installed:
    """A class of an installed package, and where its source lies.

    Attributes:
        root: the folder of the package's top-level module.
        module: that defines it.
        attribute: the class.
        distribution: name of the package.
        version: of it.
        is_editable: whether its text may change while its version does not.
    """

    root: Root
    module: str
    attribute: str
    distribution: str
    version: str
    is_editable: bool

    @property
    def shown(self) -> str:
        """Name and version."""
        return f"{self.distribution} {self.version}"


def find_installed(name: PackageName) -> Installed:
    """Return what a package offers under a name.

    Raises:
        CodeProblem: when none does, or two do; when what it offers is no class of a module, or its
            source is not found.
    """
    offers = _offers(tuple(_site_folders()))
    alike = [each for each in offers if each.name == name]
    if not alike:
        known = list(dict.fromkeys(str(each.name) for each in offers))
        more = f" and {len(known) - SHOWN} more" if len(known) > SHOWN else ""
        raise CodeProblem(
            f"no installed package offers '{name}'",
            ", ".join(known[:SHOWN]) + more or "no package offers anything",
            hint=f"a package offers classes as entry points of the group {GROUP}",
            suggestion=nearest(str(name), known),
        )
    if len({(each.value, each.version) for each in alike}) > 1:
        told = " and ".join(map(str, alike))
        raise CodeProblem(f"'{name}' may be one of several: {told}", hint="uninstall one")
    offer = alike[0]
    parts = _VALUE.fullmatch(offer.value)
    if parts is None:
        found = f"'{name}' stands for {offer.value!r:.100}, which is no class of a module"
        raise CodeProblem(found, "module:Class")
    top = parts["module"].partition(".")[0]
    folder = offer.folder if offer.project is None else _edited(offer, top)
    root = Root(f"{name.distribution} {offer.version}", "", folder, str(folder), (top,))
    is_editable = offer.project is not None
    return Installed(
        root, parts["module"], parts["attribute"], name.distribution, offer.version, is_editable
    )


def installed_names() -> tuple[PackageName, ...]:
    """Return what all installed packages offer, each name once."""
    return tuple(dict.fromkeys(each.name for each in _offers(tuple(_site_folders()))))


def _site_folders() -> Iterator[Path]:
    """Yield the folders into which installers put packages, each once.

    Those of other environments that this one builds upon are known by their name; what is called
    so in PYTHONPATH, or is the current folder, was filled by whom ever.
    """
    named = [*site.getsitepackages(), *map(sysconfig.get_path, ("purelib", "platlib"))]
    if site.ENABLE_USER_SITE:
        named.append(site.getusersitepackages())
    foreign = {*map(os.path.realpath, ["", *os.environ.get("PYTHONPATH", "").split(os.pathsep)])}
    linked = [
        each
        for each in sys.path
        if Path(each).name in INSTALLERS and os.path.realpath(each) not in foreign
    ]
    yield from dict.fromkeys(Path(each).resolve() for each in named + linked if Path(each).is_dir())


def _offers(folders: tuple[Path, ...]) -> tuple[Offer, ...]:
    return _read_offers(tuple((folder, folder.stat().st_mtime_ns) for folder in folders))


@lru_cache(maxsize=4)
def _read_offers(folders: tuple[tuple[Path, int], ...]) -> tuple[Offer, ...]:
    """Return the entry points in folders, as they are at times of change."""
    return tuple(offer for folder, _ in folders for offer in _offers_in(folder))


def _offers_in(folder: Path) -> Iterator[Offer]:
    for found in metadata.distributions(path=[str(folder)]):
        try:
            entries = found.entry_points.select(group=GROUP)
            name, version = normal_name(found.metadata["Name"]), str(found.version)
        except (TypeError, ValueError, LookupError, AttributeError, OSError):
            continue  # what was not installed properly offers nothing
        for entry in entries:
            yield Offer(
                PackageName(name, entry.name), entry.value, version, folder, _project(found)
            )


def _project(found: metadata.Distribution) -> Path | None:
    """Return the folder in which an editable package is edited, None of others."""
    try:
        origin = json.loads(found.read_text("direct_url.json") or "{}")
        if not origin.get("dir_info", {}).get("editable"):
            return None
        return Path(unquote(urlsplit(origin["url"]).path)).resolve()
    except (ValueError, KeyError, AttributeError):
        return None


def _edited(offer: Offer, top: str) -> Path:
    """Return the folder that holds the top-level module of an editable package.

    Raises:
        CodeProblem: when what would be imported by its name is no part of the package's project.
    """
    try:
        spec = find_spec(top)
    except (ImportError, ValueError):
        spec = None
    locations = [] if spec is None else [*(spec.submodule_search_locations or ()), spec.origin]
    folders = [Path(each).resolve().parent for each in locations if each and Path(each).exists()]
    found = next((each for each in folders if each.is_relative_to(str(offer.project))), None)
    if found is None:
        told = f"{top} is imported from {folders[0] / top}" if folders else f"there is no {top}"
        raise CodeProblem(
            f"{offer.name.distribution} is installed from {offer.project}, but {told}",
            hint="install it again, or rename what hides it",
        )
    return found
