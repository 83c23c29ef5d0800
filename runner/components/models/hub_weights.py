"""timm's published weights: files on the Hugging Face Hub, by repository, revision and checksum.

They are kept in the Hub's own cache. Nothing of a repository is fetched but the one file, which is
read as tensors and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from runner.artifacts.hashes import file_digest
from runner.components.download import DownloadFailed, Downloading, OnProgress

HUB = "https://huggingface.co"
NEWEST = "main"
"""The revision of weights that name none."""

SHA256 = re.compile("[0-9a-f]{64}")
COMMIT = re.compile("[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file of a repository of the Hub.

    Attributes:
        repository: OWNER/NAME.
        name: of the file.
        revision: commit, or ``main``.
        sha256: what its SHA-256 must be; "" where the Hub says it.
    """

    repository: str
    name: str
    revision: str
    sha256: str = ""

    @property
    def url(self) -> str:
        """Where it is."""
        return f"{HUB}/{self.repository}/resolve/{self.revision}/{self.name}"

    @property
    def title(self) -> str:
        """What it is called in messages."""
        return f"{self.repository}@{self.revision}"

    def kept(self) -> Path | None:
        """Return it where it is in the cache, None where it is not."""
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(self.repository, self.name, revision=self.revision)
        return Path(found) if isinstance(found, str) and Path(found).is_file() else None

    def fetch(self, on_progress: OnProgress) -> Path:
        """Fetch it into the cache; return where it is.

        Raises:
            DownloadFailed: when it cannot be fetched or stored, or its SHA-256 is not the Hub's.
        """
        from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url

        try:
            url = hf_hub_url(self.repository, self.name, revision=self.revision)
            size = get_hf_file_metadata(url).size
        except Exception as error:  # of many kinds, by where the network or the Hub refuses
            raise self._failed(f"the Hub does not give it: {_first_line(error)}") from error
        on_progress(Downloading(self.title, 0, size, Path(self.repository) / self.name))
        try:
            with _quietly():
                path = Path(hf_hub_download(self.repository, self.name, revision=self.revision))
        except Exception as error:  # as above
            raise self._failed(f"the Hub does not give it: {_first_line(error)}") from error
        called, digest = path.resolve().name, file_digest(path)
        if SHA256.fullmatch(called) and digest != called:
            path.resolve().unlink()
            raise self._failed(f"the file that came has the SHA-256 {digest} instead of {called}")
        done = path.stat().st_size
        on_progress(Downloading(self.title, done, done, path))
        return path

    def digest_of(self, path: Path) -> str:
        """Return the SHA-256 that a kept file must have, "" where neither spec nor cache says it.

        The cache calls its files by their SHA-256.
        """
        if self.sha256:
            return self.sha256
        called = path.resolve().name
        return called if SHA256.fullmatch(called) else ""

    def _failed(self, what: str) -> DownloadFailed:
        return DownloadFailed(self.url, what, "run the same command again")


def commit_of(path: Path) -> str:
    """Return of which commit a file in the Hub's cache is: its folder is called so."""
    commit = path.parent.name
    assert COMMIT.fullmatch(commit), f"{path} is not in a folder of a commit"
    return commit


@contextmanager
def _quietly() -> Iterator[None]:
    """Leave out the package's own bars of progress."""
    from huggingface_hub.utils.tqdm import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    was_loud = not are_progress_bars_disabled()
    disable_progress_bars()
    try:
        yield
    finally:
        if was_loud:
            enable_progress_bars()


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
