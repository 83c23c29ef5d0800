"""Artifacts where several machines find them: how they get there, and how they come from there.

An artifact is files, named by their digests, and a manifest that is written last and names them.
What is damaged or half-written is said once and not used. Knows neither `.runner/` nor what
artifacts hold.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from runner.artifacts.getting import get_files
from runner.artifacts.manifest import (
    SUFFIX,
    DamagedManifest,
    Manifest,
    manifest_place,
    read_manifest,
)
from runner.artifacts.patience import Patience, Refused, Unreachable, told
from runner.artifacts.places import Place
from runner.artifacts.putting import LocalFiles, put_files, stamps_of
from runner.artifacts.removing import drop, removal
from runner.core.errors import ClaimLost, is_full_disk
from runner.core.moments import reached

T = TypeVar("T")

LISTED_SECONDS = 10.0
"""For so long a list of what is there counts."""
AT_ONCE = 16
"""Manifests that are read at the same time."""
DAMAGED_SECONDS = 60.0
"""For so long what was found to be damaged counts as not there: others may make it again."""
PAUSE = 0.3
"""Seconds after which what another process may just be replacing is looked at again."""


@dataclass
class Traffic:
    """What has come and gone: artifacts, bytes, and seconds."""

    fetched: int = 0
    fetched_bytes: int = 0
    fetched_seconds: float = 0.0
    put: int = 0
    put_bytes: int = 0
    put_seconds: float = 0.0


class SharedStore:
    """The artifacts at one place.

    Attributes:
        patience: how the place is asked, and what a person is told of it.
        traffic: what has come and gone.
    """

    def __init__(self, place: Place, patience: Patience) -> None:
        self._place, self.patience = place, patience
        self.traffic = Traffic()
        self._is_closed = False
        self._damaged: dict[str, float] = {}
        self._listed: dict[str, tuple[float, frozenset[str]]] = {}
        self._put_as: dict[str, dict[str, str]] = {}  # stamps of what lay here when it was put

    def listed(self, home: str, fresh: bool = False) -> frozenset[str]:
        """Return what is called how in a folder of artifacts, but for what is known as damaged.

        Args:
            home: the folder, as ``states/<database>``.
            fresh: as it is now, and not as it was some seconds ago.
        """
        at, found = self._listed.get(home, (0.0, None))
        if found is None or fresh or time.monotonic() - at > LISTED_SECONDS:
            none: list[str] = []
            names = self._asked(lambda: self._place.names(home), none)
            found = frozenset(each.removesuffix(SUFFIX) for each in names if each.endswith(SUFFIX))
            self._listed[home] = (time.monotonic(), found)
        return frozenset(each for each in found if not self._is_bad(f"{home}/{each}"))

    def look_again(self) -> None:
        """Let no list count that was made before."""
        self._listed.clear()

    def manifest(self, name: str) -> Manifest | None:
        """Return what is there of an artifact, None of none or of a damaged one."""
        if self._is_bad(name):
            return None
        try:
            return self._asked(lambda: self._manifest(name), None)
        except DamagedManifest as error:
            self._is_damaged(name, f"its manifest: {error}")
            return None

    def manifests(self, names: Iterable[str]) -> list[Manifest]:
        """Return what is there of artifacts, of those that are there and whole."""
        wanted = list(names)
        if not wanted:
            return []
        with ThreadPoolExecutor(min(AT_ONCE, len(wanted))) as pool:
            return [each for each in pool.map(self.manifest, wanted) if each is not None]

    def fetch(
        self,
        name: str,
        final: Path,
        is_file: bool = False,
        accept: Callable[[Manifest], bool] = lambda manifest: True,
    ) -> bool:
        """Bring an artifact here, in place of what lies at ``final``.

        Args:
            name: where it lies.
            final: where it is wanted.
            is_file: whether it is one file, and no folder.
            accept: whether it will do, by what its manifest says.

        Returns:
            Whether it is here now; else what was here stays.

        Raises:
            OSError: when the disk here is full.
        """
        fault = ""
        for _ in range(2):  # the first time, another process may have been replacing it
            manifest = self.manifest(name)
            if manifest is None or not accept(manifest):
                return False
            if is_file and set(manifest.files) != {final.name}:
                fault = "it is another artifact"
                break
            wrong = self._asked(partial(self._fetched, manifest, final, is_file), None)
            if not wrong:
                return wrong is not None
            fault = wrong
        self._is_damaged(name, fault)
        return False

    def put(
        self,
        name: str,
        look: Callable[[], LocalFiles | None],
        check: Callable[[], None] = lambda: None,
        stays: Callable[[Manifest], bool] = lambda manifest: False,
    ) -> bool:
        """Put an artifact there, unless it is there already.

        Args:
            name: where it is to lie.
            look: returns its files, None where it is gone.
            check: called before it is named there; raises ClaimLost where it must not be.
            stays: whether what is there under this name, perhaps another content, is left.

        Returns:
            Whether nothing is left to do; False when the place could not be reached.

        Raises:
            StoreError: of ``check``, which asks the database.
        """
        if self._is_closed:
            return True
        try:
            return self.patience.ask(lambda: self._put(name, look, check, stays), ClaimLost)
        except ClaimLost:
            return True
        except Unreachable:
            return False
        except Refused as refused:
            self._close(refused.why)
        except OSError as error:
            if not is_full_disk(error):
                raise
            self._close(error)
        return True

    def remove(
        self,
        name: str,
        check: Callable[[], None] = lambda: None,
        stays: Callable[[Manifest], bool] | None = None,
    ) -> None:
        """Remove an artifact there, as far as that is possible; see :func:`removal`."""
        if not self._is_closed:
            look = partial(self._replaceable, name)
            with suppress(ClaimLost):
                self._asked(removal(self._place, name, look, check, stays), None, ClaimLost)

    def _asked(self, do: Callable[[], T], otherwise: T, *raising: type[Exception]) -> T:
        """Return the answer to a question, or something else where there is none."""
        try:
            return self.patience.ask(do, DamagedManifest, *raising)
        except Unreachable:
            return otherwise
        except Refused as refused:
            self.patience.say(f"{self.patience.address} must not be read ({told(refused.why)})")
            return otherwise

    def _manifest(self, name: str) -> Manifest | None:
        """Return what is there of an artifact.

        Raises:
            DamagedManifest: when it is damaged, also a moment later.
        """
        place = manifest_place(name)
        try:
            try:
                return read_manifest(name, self._place.read(place))
            except DamagedManifest:  # another process may be writing it
                self.patience.wait(PAUSE)
                return read_manifest(name, self._place.read(place))
        except FileNotFoundError:
            return None

    def _fetched(self, manifest: Manifest, final: Path, is_file: bool) -> str:
        """Bring files here; return what is wrong with them, or ""."""
        began = time.perf_counter()
        if wrong := get_files(self._place, manifest, final, is_file):
            return wrong
        self.traffic.fetched += 1
        self.traffic.fetched_bytes += manifest.num_bytes
        self.traffic.fetched_seconds += time.perf_counter() - began
        return ""

    def _put(
        self,
        name: str,
        look: Callable[[], LocalFiles | None],
        check: Callable[[], None],
        stays: Callable[[Manifest], bool],
    ) -> bool:
        began = time.perf_counter()
        if not self._is_bad(name) and stamps_of(look()) == self._put_as.get(name, {}):
            return True
        before = self._replaceable(name)
        if before is not None and stays(before):
            return True
        known = set[str]() if before is None else before.places()
        found = put_files(self._place, name, look, known)
        if found is None:
            return True
        manifest, stamps = found
        if manifest != before:  # it may have taken long: others may have put theirs
            now = self._replaceable(name)
            known |= set() if now is None else now.places()
            if now is not None and (now == manifest or stays(now)):
                drop(self._place, known - now.places())
            else:
                check()
                self._write(manifest, known - manifest.places())
                self.traffic.put += 1
                self.traffic.put_bytes += manifest.num_bytes
                self.traffic.put_seconds += time.perf_counter() - began
        self._put_as[name] = stamps
        return True

    def _write(self, manifest: Manifest, old: set[str]) -> None:
        """Name what has been put; remove files that it replaces, unless others have replaced it.

        A claim may be lost between its check and this. What is then named is not taken back: it is
        whole, and who has the claim now may count on it.
        """
        name = manifest.name
        reached("artifact put there, not named")
        self._place.write(manifest.to_bytes(), manifest_place(name))
        reached("artifact put there")
        self._damaged.pop(name, None)
        self._listed.pop(name.rpartition("/")[0], None)
        if old and self._manifest(name) == manifest:
            drop(self._place, old)

    def _replaceable(self, name: str) -> Manifest | None:
        """Return what is there of an artifact; what is damaged counts as nothing."""
        try:
            return None if name in self._damaged else self._manifest(name)
        except DamagedManifest:
            return None

    def _close(self, error: Exception) -> None:
        """Put nothing there any more."""
        self._is_closed = True
        self.patience.say(
            f"nothing can be put to {self.patience.address} ({told(error)}):"
            " what is made stays in .runner/"
        )

    def _is_bad(self, name: str) -> bool:
        at = self._damaged.get(name)
        return at is not None and time.monotonic() - at < DAMAGED_SECONDS

    def _is_damaged(self, name: str, fault: str) -> None:
        self._damaged[name] = time.monotonic()
        self.patience.say(f"{name} at {self.patience.address} is damaged ({fault}): it is not used")
